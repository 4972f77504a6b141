#!/usr/bin/env python3
"""CASE/full.json: what PyTorch gives as the gradient of every weight of CASE/model for the first four records, before
clipping: its norm, and five elements at equal distances over the flattened tensor.

    make_full_gradients.py CASE
"""
import json, sys
import torch
from transformers import AutoModelForCausalLM

case = sys.argv[1]
torch.set_num_threads(1)
model = AutoModelForCausalLM.from_pretrained(case + "/model", dtype=torch.float32).eval()
rows = [json.loads(line) for line in open(case + "/tokens.jsonl")][:4]
longest = max(len(row["input_ids"]) for row in rows)
ids = torch.zeros((4, longest), dtype=torch.long)
labels = torch.full((4, longest), -100)
mask = torch.zeros((4, longest), dtype=torch.long)
for index, row in enumerate(rows):
    count = len(row["input_ids"])
    ids[index, :count] = torch.tensor(row["input_ids"])
    labels[index, :count] = torch.tensor(row["labels"])
    mask[index, :count] = 1
loss = model(input_ids=ids, labels=labels, attention_mask=mask).loss
loss.backward()
gradients = {}
for name, parameter in model.named_parameters():
    flat = parameter.grad.flatten()
    step = flat.numel() // 5
    gradients[name] = {"norm": flat.double().norm().item(), "elements": [flat[i * step].item() for i in range(5)]}
json.dump({"loss": loss.item(), "gradients": gradients}, open(case + "/full.json", "w"), indent=1)
