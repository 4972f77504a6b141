#!/usr/bin/env python3
"""A GGUF file in F16 of a folder that make_llama.py wrote, for llama.cpp beside us: make_gguf.py FOLDER OUT [--repeat TIMES]

--repeat writes the slice's blocks so many times over, so that a whole model's file need not be quantised: what llama.cpp's Q4_0 of a
slice of 2 blocks takes 16 times is the shape of 32. It then takes a quantised file too, whose tensors are copied as they are. Needs
numpy and gguf."""
import argparse, json, re
from pathlib import Path
import gguf, numpy

parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
parser.add_argument("source"); parser.add_argument("out"); parser.add_argument("--repeat", type=int, default=1)
given = parser.parse_args()
KINDS = {"input_layernorm": "attn_norm", "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
         "self_attn.o_proj": "attn_output", "post_attention_layernorm": "ffn_norm", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
         "mlp.down_proj": "ffn_down"}
ENDS = {"model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight", "lm_head.weight": "output.weight"}

def name_of(tensor):
    if tensor in ENDS: return ENDS[tensor]
    _, _, block, kind = tensor.removesuffix(".weight").split(".", 3)
    return f"blk.{block}.{KINDS[kind]}.weight"

def folder(path):
    """The folder's tensors under llama.cpp's names, rows of queries and keys in its order of a head's halves."""
    config = json.loads((path / "config.json").read_text())
    files = sorted(path.glob("*.safetensors"))
    for file in files:
        data = numpy.memmap(file, numpy.uint8, "r")
        length = int(data[:8].view("<u8")[0]); header = json.loads(bytes(data[8:8 + length]))
        for tensor, entry in header.items():
            if tensor == "__metadata__": continue
            first, end = (8 + length + o for o in entry["data_offsets"])
            values = (data[first:end].view("<u2").astype("<u4") << 16).view("<f4").reshape(entry["shape"])
            for projection, heads in ("q_proj", "num_attention_heads"), ("k_proj", "num_key_value_heads"):
                if projection in tensor:
                    n = config[heads]
                    values = values.reshape(n, 2, values.shape[0] // n // 2, values.shape[1]).swapaxes(1, 2).reshape(values.shape)
            yield name_of(tensor), values.astype("<f2" if values.ndim == 2 else "<f4")

def from_folder(path):
    config, words = (json.loads((path / n).read_text()) for n in ("config.json", "tokenizer.json"))
    writer = gguf.GGUFWriter(given.out, "llama")
    writer.add_block_count(config["num_hidden_layers"] * given.repeat); writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"]); writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"]); writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_rope_freq_base(config["rope_theta"]); writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_vocab_size(config["vocab_size"]); writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    ids = words["model"]["vocab"] | {t["content"]: t["id"] for t in words["added_tokens"]}
    tokens = {i: t for t, i in ids.items()}; special = {t["id"] for t in words["added_tokens"]}
    writer.add_tokenizer_model("gpt2"); writer.add_tokenizer_pre("llama-bpe")
    writer.add_token_list([tokens.get(i, f"[PAD{i}]") for i in range(config["vocab_size"])])
    writer.add_token_types([gguf.TokenType.UNUSED if i not in tokens else gguf.TokenType.CONTROL if i in special else gguf.TokenType.NORMAL
                            for i in range(config["vocab_size"])])
    writer.add_token_merges(words["model"]["merges"])
    writer.add_bos_token_id(config["bos_token_id"]); writer.add_eos_token_id(config["eos_token_id"][0])
    return writer, config["num_hidden_layers"], list(folder(path)), None

def from_file(path):
    reader = gguf.GGUFReader(path)
    writer = gguf.GGUFWriter(given.out, "llama")
    blocks = int(reader.fields["llama.block_count"].contents())
    for field in reader.fields.values():
        if field.name.startswith("GGUF.") or field.name == "general.architecture": continue
        value = blocks * given.repeat if field.name == "llama.block_count" else field.contents()
        kind = field.types[0]
        writer.add_key_value(field.name, value, kind, sub_type=field.types[-1] if kind == gguf.GGUFValueType.ARRAY else None)
    return writer, blocks, [(t.name, t.data) for t in reader.tensors], {t.name: t.tensor_type for t in reader.tensors}

source = Path(given.source)
writer, blocks, tensors, kinds = from_folder(source) if source.is_dir() else from_file(source)
for name, values in tensors:
    block = re.match(r"blk\.(\d+)\.", name)
    for turn in range(given.repeat if block else 1):
        as_named = re.sub(r"\d+", str(turn * blocks + int(block[1])), name, count=1) if block else name
        writer.add_tensor(as_named, values, raw_dtype=kinds and kinds[name])
writer.write_header_to_file(); writer.write_kv_data_to_file(); writer.write_tensors_to_file(); writer.close()
