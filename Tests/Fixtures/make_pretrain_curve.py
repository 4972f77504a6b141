#!/usr/bin/env python3
"""CASE/pretrain.json: a training curve of PyTorch's over windows of plain text, where weight decay spares vectors.

    make_pretrain_curve.py CASE

The stream is the input_ids of CASE/tokens.jsonl, one record after the other; windows of 41 tokens start 30 apart; update s
takes windows 3·s, 3·s + 1, 3·s + 2. The weights start as CASE/model.
"""
import json, sys
import torch
from transformers import AutoModelForCausalLM

case = sys.argv[1]
torch.set_num_threads(1)
model = AutoModelForCausalLM.from_pretrained(case + "/model", dtype=torch.float32).eval()
stream = [token for line in open(case + "/tokens.jsonl") for token in json.loads(line)["input_ids"]]
windows = [stream[start:start + 41] for start in range(0, len(stream) - 41, 30)]
groups = [
    {"params": [p for p in model.parameters() if p.dim() > 1], "weight_decay": 0.5},
    {"params": [p for p in model.parameters() if p.dim() < 2], "weight_decay": 0.0},
]
optimizer = torch.optim.AdamW(groups, lr=1e-3)
curve = []
for step in range(6):
    ids = torch.tensor(windows[3 * step:3 * step + 3])
    loss = model(input_ids=ids, labels=ids).loss
    optimizer.zero_grad()
    loss.backward()
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    curve.append({"loss": loss.item(), "grad_norm": norm.item()})
json.dump({"curve": curve}, open(case + "/pretrain.json", "w"), indent=1)
print(curve[-1])
