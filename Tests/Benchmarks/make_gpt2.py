#!/usr/bin/env python3
"""A folder with GPT-2 124M's shapes, random weights and a byte-level BPE of its own: python3 make_gpt2.py OUT

For speed and memory, which the values have no part in. The tokenizer has 50,257 tokens: its merges build the words of
make_corpus.py from the left, the most frequent first. Needs nothing but Python."""
import array, json, os, random, re, struct, sys
from alpaca import NO, WITH
from make_corpus import Text
VOCABULARY, CONTEXT, WIDTH, LAYERS, HEADS = 50257, 1024, 768, 12, 12

def tokenizer(folder):
    printable = list(range(33, 127)) + list(range(161, 173)) + list(range(174, 256))
    alphabet = {b: chr(b) for b in printable}
    for n, b in enumerate(b for b in range(256) if b not in alphabet): alphabet[b] = chr(256 + n)
    tokens, merges = [alphabet[b] for b in printable] + [alphabet[b] for b in range(256) if b not in printable], []
    known = set(tokens)
    own = [w for t in (NO, WITH) for w in re.findall(r" ?[A-Za-z]+|###", t.format(instruction="", input=""))]
    for word in own + [" " + w for w in Text(1).words]:
        letters = [alphabet[b] for b in word.encode()]
        left = letters[0]
        for letter in letters[1:]:
            if left + letter not in known and len(tokens) < VOCABULARY - 1:
                merges.append(f"{left} {letter}"); tokens.append(left + letter); known.add(left + letter)
            if left + letter not in known: break
            left += letter
    tokens.append("<|endoftext|>"); assert len(tokens) == VOCABULARY
    json.dump({t: i for i, t in enumerate(tokens)}, open(f"{folder}/vocab.json", "w"), ensure_ascii=False)
    open(f"{folder}/merges.txt", "w").write("#version: 0.2\n" + "\n".join(merges) + "\n")
    json.dump(dict(tokenizer_class="GPT2Tokenizer", model_max_length=CONTEXT, bos_token="<|endoftext|>", eos_token="<|endoftext|>",
                   unk_token="<|endoftext|>", add_prefix_space=False), open(f"{folder}/tokenizer_config.json", "w"))

def weights(folder):
    rnd = random.Random(0)
    noise = [rnd.gauss(0, 1) for _ in range(99991)]  # a prime, so that no two rows are equal
    scaled = {s: array.array("f", [x * s for x in noise]).tobytes() for s in (0.02, 0.01, 0.02 / (2 * LAYERS) ** 0.5)}
    ones, small, deep = None, 0.02, 0.02 / (2 * LAYERS) ** 0.5
    C, shapes = WIDTH, [("wte.weight", [VOCABULARY, WIDTH], small), ("wpe.weight", [CONTEXT, WIDTH], 0.01)]
    for i in range(LAYERS):
        for name, shape, scale in [
            ("ln_1.weight", [C], ones), ("ln_1.bias", [C], small), ("attn.c_attn.weight", [C, 3 * C], small), ("attn.c_attn.bias", [3 * C], small),
            ("attn.c_proj.weight", [C, C], deep), ("attn.c_proj.bias", [C], small), ("ln_2.weight", [C], ones), ("ln_2.bias", [C], small),
            ("mlp.c_fc.weight", [C, 4 * C], small), ("mlp.c_fc.bias", [4 * C], small), ("mlp.c_proj.weight", [4 * C, C], deep), ("mlp.c_proj.bias", [C], small)]:
            shapes.append((f"h.{i}.{name}", shape, scale))
    shapes += [("ln_f.weight", [C], ones), ("ln_f.bias", [C], small)]
    header, offset, sizes = {"__metadata__": {"format": "pt"}}, 0, []
    for name, shape, _ in shapes:
        size = 4
        for n in shape: size *= n
        header["transformer." + name] = dict(dtype="F32", shape=shape, data_offsets=[offset, offset + size]); offset += size; sizes.append(size)
    text = json.dumps(header, separators=(",", ":")).encode(); text += b" " * (-len(text) % 8)
    with open(f"{folder}/model.safetensors", "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for number, ((_, _, scale), size) in enumerate(zip(shapes, sizes)):
            if scale is ones: file.write(struct.pack("<f", 1) * (size // 4)); continue
            block = scaled[scale]; start = number * 997 % 99991 * 4; left = size
            while left: piece = block[start:start + left]; file.write(piece); left -= len(piece); start = 0

if __name__ == "__main__":
    folder = sys.argv[1]; os.makedirs(folder, exist_ok=True)
    tokenizer(folder); weights(folder)
    json.dump(dict(activation_function="gelu_new", architectures=["GPT2LMHeadModel"], attn_pdrop=0.1, bos_token_id=50256, embd_pdrop=0.1, eos_token_id=50256,
                   initializer_range=0.02, layer_norm_epsilon=1e-5, model_type="gpt2", n_ctx=CONTEXT, n_embd=WIDTH, n_head=HEADS, n_layer=LAYERS,
                   n_positions=CONTEXT, resid_pdrop=0.1, vocab_size=VOCABULARY), open(f"{folder}/config.json", "w"), indent=2)
