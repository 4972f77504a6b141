#!/usr/bin/env python3
"""Decoding references made with transformers (torch, peft; from PyPI), float32 on CPU with one thread.

    python3 make_decoding.py CASE        (a folder that make_reference.py wrote)

Writes CASE/decoding.json: for the base and for base + adapter, continuations of the first four prompts of tokens.jsonl by
beam search and with a repetition penalty (an end token at the end where one came); and, for made-up logits, the distributions that
transformers' logits processors leave.
"""
import json, os, sys
os.environ.setdefault("HF_HUB_OFFLINE", "1")
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM
from transformers.generation import (LogitsProcessorList, MinPLogitsWarper, RepetitionPenaltyLogitsProcessor,
                                     TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper)

case = sys.argv[1]; torch.set_num_threads(1)
rows = [json.loads(line) for line in open(f"{case}/tokens.jsonl")][:4]
prompts = [[i for i, l in zip(r["input_ids"], r["labels"]) if l == -100] for r in rows]
settings = [dict(num_beams=2, max_new_tokens=24), dict(num_beams=4, max_new_tokens=24), dict(num_beams=5, max_new_tokens=7),
            dict(num_beams=3, max_new_tokens=24, repetition_penalty=1.3), dict(num_beams=8, max_new_tokens=40),
            dict(num_beams=1, max_new_tokens=24, repetition_penalty=1.2),
            dict(num_beams=1, max_new_tokens=24, repetition_penalty=0.8)]
# Random weights never end by themselves, so some of their favourite tokens are declared ends.
ENDS = [0, 82, 297, 489]
settings += [dict(num_beams=b, max_new_tokens=n, eos_token_id=ENDS) for b, n in [(1, 24), (2, 24), (3, 12), (4, 30), (6, 24)]]
settings += [dict(num_beams=3, max_new_tokens=24, eos_token_id=[0, 82], repetition_penalty=1.5)]
out = dict(continuations=[], distributions=[])
for which in ["base", "adapter"]:
    model = AutoModelForCausalLM.from_pretrained(f"{case}/model", dtype=torch.float32)
    if which == "adapter": model = PeftModel.from_pretrained(model, f"{case}/adapter")
    model.eval()
    for s in settings:
        answers = []
        for p in prompts:
            with torch.no_grad():
                y = model.generate(input_ids=torch.tensor([p]), attention_mask=torch.ones(1, len(p), dtype=torch.long),
                                   do_sample=False, pad_token_id=0, **s)
            answers.append(y[0, len(p):].tolist())
        out["continuations"].append(dict(model=which, **s, answers=answers))

g = torch.Generator().manual_seed(5)
logits = torch.randn(1, 24, generator=g) * 1.5; seen = [3, 3, 7, 11, 20, 0]
for t, k, p, m, r in [(1.0, None, None, 0.1, 1.0), (0.7, None, None, 0.3, 1.0), (1.5, 6, None, 0.4, 1.0), (1.0, None, 0.8, 0.2, 1.0),
                      (1.0, 8, 0.9, 0.25, 1.3), (2.0, None, None, None, 1.7), (0.9, None, 0.6, None, 0.7), (1.0, 5, None, None, 1.0),
                      (0.5, None, None, 1.0, 1.0), (1.0, None, None, 0.0, 1.1)]:
    steps = LogitsProcessorList()
    if r != 1: steps.append(RepetitionPenaltyLogitsProcessor(r))
    if t != 1: steps.append(TemperatureLogitsWarper(t))
    if k: steps.append(TopKLogitsWarper(k))
    if p: steps.append(TopPLogitsWarper(p))
    if m is not None: steps.append(MinPLogitsWarper(m))
    q = torch.softmax(steps(torch.tensor([seen]), logits.clone()).double(), -1)[0].tolist()
    out["distributions"].append(dict(temperature=t, top_k=k, top_p=p, min_p=m, repetition_penalty=r, seen=seen,
                                     logits=logits[0].tolist(), probabilities=q))
json.dump(out, open(f"{case}/decoding.json", "w"))
