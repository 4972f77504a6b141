#!/usr/bin/env python3
"""LongRoPE on either side of the original context, by transformers.

    python3 make_longrope.py phi3-tiny longrope.json

Takes the weights of the case with another config.json, which is written down with what transformers makes of it: for token
sequences that begin alike and end before, at and after the original context, each computed by itself, the mean loss over
all tokens but the first and the last row's logits; and a greedy continuation that passes that context, where transformers
computes all of it anew.
"""
import json, os, sys, tempfile
os.environ.setdefault("CUDA_VISIBLE_DEVICES", ""); os.environ.setdefault("HF_HUB_OFFLINE", "1")
import torch
from transformers import AutoModelForCausalLM

torch.set_num_threads(1)
case, out = sys.argv[1:]
config = json.load(open(f"{case}/model/config.json"))
pairs = config["hidden_size"] // config["num_attention_heads"] // 2
theta = config.pop("rope_parameters")["rope_theta"]
config |= dict(rope_theta=theta, original_max_position_embeddings=20, rope_scaling=dict(
    type="longrope", short_factor=[1.0 + 0.1 * i for i in range(pairs)], long_factor=[1.0 + 1.5 * i for i in range(pairs)]))
with tempfile.TemporaryDirectory() as folder:
    json.dump(config, open(f"{folder}/config.json", "w"))
    os.symlink(os.path.abspath(f"{case}/model/model.safetensors"), f"{folder}/model.safetensors")
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    model.generation_config.eos_token_id = None
ids = json.loads(open(f"{case}/tokens.jsonl").readline())["input_ids"]
sequences = []
with torch.no_grad():
    for length in (12, 19, 20, 21, 33, 60):
        tokens = ids[:length - 2] + [(7 * length) % 90 + 20, 50]
        x = torch.tensor([tokens]); logits = model(input_ids=x).logits[0]
        loss = torch.nn.functional.cross_entropy(logits[:-1], x[0, 1:]).item()
        sequences.append(dict(tokens=tokens, loss=loss, logits=logits[-1, :8].tolist()))
    prompt = ids[:14]
    greedy = model.generate(torch.tensor([prompt]), attention_mask=torch.ones(1, len(prompt), dtype=torch.long), max_new_tokens=16,
                            do_sample=False, pad_token_id=0)[0, len(prompt):].tolist()
json.dump(dict(config=config, sequences=sequences, prompt=prompt, greedy=greedy), open(out, "w"), separators=(",", ":"))
