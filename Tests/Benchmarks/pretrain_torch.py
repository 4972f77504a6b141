#!/usr/bin/env python3
"""sft pretrain's work as a hand-written PyTorch loop: pretrain_torch.py eager|compile CONFIG STEPS BATCH

A GPT-2 of the given config.json with nothing around it: fused query-key-value, SDPA, tanh GELU, tied head, float32, AdamW (fused),
clipping at 1. Windows as long as the context, ids drawn at random beforehand. Prints tokens a second over all steps but the first
three (compiling is in those) and the peak memory. Needs torch."""
import json, math, resource, sys, time
import torch
from torch import nn
from torch.nn import functional as F
mode, config, steps, size = sys.argv[1], json.load(open(sys.argv[2])), int(sys.argv[3]), int(sys.argv[4])
width, layers, heads, context, vocabulary = (config[k] for k in ("n_embd", "n_layer", "n_head", "n_positions", "vocab_size"))

class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
    def forward(self, x):
        b, t, _ = x.shape
        q, k, v = (p.view(b, t, heads, width // heads).transpose(1, 2) for p in self.qkv(self.first(x)).split(width, 2))
        x = x + self.out(F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).reshape(b, t, width))
        return x + self.down(F.gelu(self.up(self.second(x)), approximate="tanh"))

class GPT2(nn.Module):
    def __init__(self):
        super().__init__()
        self.tokens, self.positions = nn.Embedding(vocabulary, width), nn.Embedding(context, width)
        self.blocks, self.norm = nn.ModuleList(Block() for _ in range(layers)), nn.LayerNorm(width)
        for parameter in self.parameters(): nn.init.normal_(parameter, std=.02) if parameter.dim() > 1 else None
    def forward(self, ids, targets):
        x = self.tokens(ids) + self.positions(torch.arange(ids.shape[1]))
        for block in self.blocks: x = block(x)
        return F.cross_entropy(F.linear(self.norm(x), self.tokens.weight).flatten(0, 1), targets.flatten())

torch.manual_seed(1)
model = GPT2(); run = torch.compile(model) if mode == "compile" else model
optimizer = torch.optim.AdamW([dict(params=[p for p in model.parameters() if p.dim() > 1], weight_decay=.05),
                               dict(params=[p for p in model.parameters() if p.dim() < 2], weight_decay=0)], lr=1e-3, fused=True)
batches = torch.randint(0, vocabulary, (steps, size, context + 1)); times = []
for batch in batches:
    loss = run(batch[:, :-1], batch[:, 1:]); loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step(); optimizer.zero_grad(); times.append(time.time())
rate = size * context * (steps - 3) / (times[-1] - times[2])
print(f"PyTorch {mode}: {rate:.0f} tokens/s, {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000:.0f} MB")
