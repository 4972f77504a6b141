#!/usr/bin/env python3
"""A folder with Llama 3's shapes, seeded random weights and a small byte-level BPE: python3 make_llama.py OUT [--shape 8b] [--layers 32]

For speed and memory, which the values have little part in. Weights are bfloat16, scaled so that the stream neither dies nor grows, and
written a few megabytes at a time. The tokenizer knows some thousand tokens, the words of make_corpus.py among them; the rows of the
vocabulary stay the model's. 8b takes 16 GB; with --layers N it is a slice of N blocks. Needs numpy."""
import argparse, json, os, re, struct
import numpy
from alpaca import NO, WITH
from make_corpus import Text

# C, F, blocks, query heads, key heads, vocabulary, tied head
SHAPES = {"8b": (4096, 14336, 32, 32, 8, 128256, False), "1b": (2048, 8192, 16, 32, 8, 128256, True),
          "135m": (576, 1536, 30, 9, 3, 49152, True), "tiny": (256, 896, 4, 8, 2, 8192, False)}
SPECIAL = ["<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]
# As Llama 3 cuts texts.
PATTERN = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
# A prime, so that no two rows of a matrix are equal.
NOISE = numpy.random.default_rng(0).standard_normal(4194301, dtype=numpy.float32)
scaled = {}

def tokenizer(folder, rows, context):
    printable = list(range(33, 127)) + list(range(161, 173)) + list(range(174, 256))
    alphabet = {b: chr(b) for b in printable}
    for n, b in enumerate(b for b in range(256) if b not in alphabet): alphabet[b] = chr(256 + n)
    tokens, merges = [alphabet[b] for b in range(256)], []
    known, limit = set(tokens), rows - len(SPECIAL)
    own = [w for t in (NO, WITH) for w in re.findall(r" ?[A-Za-z]+|###", t.format(instruction="", input=""))]
    for word in own + [" " + w for w in Text(1).words]:
        letters = [alphabet[b] for b in word.encode()]
        left = letters[0]
        for letter in letters[1:]:
            if left + letter not in known and len(tokens) < limit:
                merges.append(f"{left} {letter}"); tokens.append(left + letter); known.add(left + letter)
            if left + letter not in known: break
            left += letter
    ids = {t: i for i, t in enumerate(tokens + SPECIAL)}
    added = [dict(id=ids[t], content=t, single_word=False, lstrip=False, rstrip=False, normalized=False, special=True) for t in SPECIAL]
    begin = SPECIAL[0]
    pieces = lambda name: [{"SpecialToken": {"id": begin, "type_id": 0}}, {"Sequence": {"id": name, "type_id": 0}}]
    level = dict(type="ByteLevel", add_prefix_space=False, trim_offsets=True, use_regex=False)
    split = dict(type="Split", pattern=dict(Regex=PATTERN), behavior="Isolated", invert=False)
    json.dump(dict(
        version="1.0", truncation=None, padding=None, added_tokens=added, normalizer=None,
        pre_tokenizer=dict(type="Sequence", pretokenizers=[split, level]),
        post_processor=dict(type="TemplateProcessing", single=pieces("A"), pair=pieces("A") + pieces("B"),
                            special_tokens={begin: dict(id=begin, ids=[ids[begin]], tokens=[begin])}),
        decoder=dict(level, add_prefix_space=True, use_regex=True),
        model=dict(type="BPE", dropout=None, unk_token=None, continuing_subword_prefix=None, end_of_word_suffix=None, fuse_unk=False,
                   byte_fallback=False, ignore_merges=True, vocab={t: ids[t] for t in tokens}, merges=merges)),
        open(f"{folder}/tokenizer.json", "w"), ensure_ascii=False)
    json.dump(dict(tokenizer_class="PreTrainedTokenizerFast", model_max_length=context, bos_token=begin, eos_token=SPECIAL[1]),
              open(f"{folder}/tokenizer_config.json", "w"))
    return ids

def tensors(shape, layers):
    """Name, sizes and standard deviation of each, or None for ones; outputs of the branches are smaller in a deeper model."""
    C, F, _, H, K, V, tied = shape
    D = C // H
    deep = (2 * layers) ** -0.5
    yield "model.embed_tokens.weight", (V, C), 0.02
    for i in range(layers):
        block = f"model.layers.{i}."
        yield block + "input_layernorm.weight", (C,), None
        for name, out in ("q", H * D), ("k", K * D), ("v", K * D): yield block + f"self_attn.{name}_proj.weight", (out, C), C ** -0.5
        yield block + "self_attn.o_proj.weight", (C, H * D), (H * D) ** -0.5 * deep
        yield block + "post_attention_layernorm.weight", (C,), None
        for name in "gate", "up": yield block + f"mlp.{name}_proj.weight", (F, C), C ** -0.5
        yield block + "mlp.down_proj.weight", (C, F), F ** -0.5 * deep
    yield "model.norm.weight", (C,), None
    if not tied: yield "lm_head.weight", (V, C), C ** -0.5

def bfloat16(values):
    bits = values.view(numpy.uint32)
    return ((bits + 0x7fff + (bits >> 16 & 1)) >> 16).astype("<u2")

def write(file, number, count, scale):
    if scale is None: file.write(bfloat16(numpy.ones(count, numpy.float32)).tobytes()); return
    if scale not in scaled: scaled[scale] = memoryview(bfloat16(NOISE * numpy.float32(scale)).tobytes())
    start = number * 99991 % len(NOISE)
    while count:
        piece = min(count, len(NOISE) - start)
        file.write(scaled[scale][2 * start:2 * (start + piece)]); count -= piece; start = 0

def weights(folder, shape, layers, limit):
    shards, size = [[]], 0
    for tensor in tensors(shape, layers):
        bytes = 2 * int(numpy.prod(tensor[1]))
        if size + bytes > limit and shards[-1]: shards.append([]); size = 0
        shards[-1].append(tensor); size += bytes
    names = ["model.safetensors"] if len(shards) == 1 else [f"model-{i + 1:05}-of-{len(shards):05}.safetensors" for i in range(len(shards))]
    total, number, index = 0, 0, {}
    for name, shard in zip(names, shards):
        header, offset = {"__metadata__": {"format": "pt"}}, 0
        for tensor, sizes, _ in shard:
            bytes = 2 * int(numpy.prod(sizes))
            header[tensor] = dict(dtype="BF16", shape=sizes, data_offsets=[offset, offset + bytes]); offset += bytes; index[tensor] = name
        text = json.dumps(header, separators=(",", ":")).encode(); text += b" " * (-len(text) % 8)
        with open(f"{folder}/{name}", "wb") as file:
            file.write(struct.pack("<Q", len(text)) + text)
            for _, sizes, scale in shard: write(file, number, int(numpy.prod(sizes)), scale); number += 1
        total += offset
    if len(shards) > 1:
        json.dump(dict(metadata=dict(total_size=total), weight_map=index), open(f"{folder}/model.safetensors.index.json", "w"), indent=2)
    return total

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("out"); parser.add_argument("--shape", choices=SHAPES, default="8b")
    parser.add_argument("--layers", type=int); parser.add_argument("--shard-gb", type=float, default=5)
    given = parser.parse_args()
    C, F, layers, H, K, V, tied = shape = SHAPES[given.shape]
    layers, context = given.layers or layers, 8192
    os.makedirs(given.out, exist_ok=True)
    ids = tokenizer(given.out, V, context)
    total = weights(given.out, shape, layers, int(given.shard_gb * 1e9))
    json.dump(dict(
        architectures=["LlamaForCausalLM"], model_type="llama", hidden_size=C, intermediate_size=F, num_hidden_layers=layers,
        num_attention_heads=H, num_key_value_heads=K, vocab_size=V, max_position_embeddings=context, rms_norm_eps=1e-5, rope_theta=500000.0,
        rope_scaling=None, hidden_act="silu", attention_bias=False, attention_dropout=0.0, mlp_bias=False, initializer_range=0.02,
        tie_word_embeddings=tied, torch_dtype="bfloat16", bos_token_id=ids[SPECIAL[0]],
        eos_token_id=[ids[SPECIAL[1]], ids[SPECIAL[4]]]), open(f"{given.out}/config.json", "w"), indent=2)
    print(f"{total / 1e9:.2f} GB")
