#!/usr/bin/env python3
"""Losses with GELU by its definition, by transformers.

    python3 make_gelu.py gelu.json gpt2-tiny llama3-tiny phi3-tiny

For each case the mean loss over its first record's tokens but the first, with the weights as they are and the activation
that transformers calls `gelu`, under the key of config.json that names it; and with the tanh form beside it.
"""
import json, os, sys
os.environ.setdefault("CUDA_VISIBLE_DEVICES", ""); os.environ.setdefault("HF_HUB_OFFLINE", "1")
import torch
from transformers import AutoConfig, AutoModelForCausalLM

torch.set_num_threads(1)
out, *cases = sys.argv[1:]
result = {}
for case in cases:
    ids = torch.tensor([json.loads(open(f"{case}/tokens.jsonl").readline())["input_ids"]])
    losses = {}
    for name in ("gelu", "gelu_pytorch_tanh"):
        config = AutoConfig.from_pretrained(f"{case}/model")
        key = "activation_function" if config.model_type == "gpt2" else "hidden_act"
        setattr(config, key, name)
        model = AutoModelForCausalLM.from_pretrained(f"{case}/model", config=config, dtype=torch.float32, attn_implementation="eager").eval()
        with torch.no_grad(): logits = model(input_ids=ids).logits[0].double()
        losses[name] = torch.nn.functional.cross_entropy(logits[:-1], ids[0, 1:]).item()
    result[case] = dict(key=key, losses=losses)
json.dump(result, open(out, "w"), indent=1)
