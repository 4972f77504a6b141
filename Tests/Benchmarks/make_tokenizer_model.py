#!/usr/bin/env python3
"""A model folder around a tokenizer, for `sft prepare`, which reads no weights: make_tokenizer_model.py TOKENIZER_FOLDER OUT

GPT-2's shapes, as narrow as they go, and weights that are holes in a file. Needs nothing but Python."""
import json, os, shutil, struct, sys
source, out = sys.argv[1:3]
os.makedirs(out, exist_ok=True)
shutil.copy(source + "/tokenizer.json", out)
tokenizer = json.load(open(source + "/tokenizer.json"))
ids = dict(tokenizer["model"]["vocab"], **{t["content"]: t["id"] for t in tokenizer["added_tokens"]})
end = next(t for t in ("</s>", "<eos>", "<|endoftext|>", "<|end_of_text|>") if t in ids)
C, count, context = 8, max(ids.values()) + 1, 4096
shapes = [("wte.weight", [count, C]), ("wpe.weight", [context, C])]
for name, shape in [("ln_1.weight", [C]), ("ln_1.bias", [C]), ("attn.c_attn.weight", [C, 3 * C]), ("attn.c_attn.bias", [3 * C]),
                    ("attn.c_proj.weight", [C, C]), ("attn.c_proj.bias", [C]), ("ln_2.weight", [C]), ("ln_2.bias", [C]),
                    ("mlp.c_fc.weight", [C, 4 * C]), ("mlp.c_fc.bias", [4 * C]), ("mlp.c_proj.weight", [4 * C, C]), ("mlp.c_proj.bias", [C])]:
    shapes.append(("h.0." + name, shape))
shapes += [("ln_f.weight", [C]), ("ln_f.bias", [C])]
header, offset = {}, 0
for name, shape in shapes:
    size = 4 * shape[0] * (shape[1] if len(shape) > 1 else 1)
    header["transformer." + name] = dict(dtype="F32", shape=shape, data_offsets=[offset, offset + size]); offset += size
text = json.dumps(header, separators=(",", ":")).encode(); text += b" " * (-len(text) % 8)
with open(out + "/model.safetensors", "wb") as file: file.write(struct.pack("<Q", len(text)) + text); file.truncate(8 + len(text) + offset)
json.dump(dict(activation_function="gelu_new", layer_norm_epsilon=1e-5, model_type="gpt2", n_embd=C, n_head=1, n_layer=1, n_positions=context,
               vocab_size=count, bos_token_id=ids[end], eos_token_id=ids[end]), open(out + "/config.json", "w"))
json.dump(dict(tokenizer_class="PreTrainedTokenizerFast", eos_token=end), open(out + "/tokenizer_config.json", "w"))
