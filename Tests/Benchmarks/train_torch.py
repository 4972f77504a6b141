#!/usr/bin/env python3
"""The same training as a hand-written PyTorch loop: train_torch.py eager|compile MODEL RECORDS STEPS BATCH

What one would write who wants it fast: records tokenised beforehand, batches of about equal length, padded to the longest, SDPA,
LoRA r 16 on all linears by PEFT, float32, loss on completions only. Prints useful (not padded) tokens a second over all steps
but the first two (compiling is in those), and the peak memory. Needs torch, transformers and peft."""
import json, os, random, resource, sys, time
os.environ["HF_HUB_OFFLINE"] = "1"; os.environ["TOKENIZERS_PARALLELISM"] = "false"
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer
from alpaca import prompt
mode, folder, records, steps, size = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5])
text = open(records).read()
rows = json.loads(text) if text.lstrip().startswith("[") else [json.loads(l) for l in text.splitlines() if l.strip()]
tokenizer = AutoTokenizer.from_pretrained(folder)
samples = []
for row in rows:
    p = tokenizer(prompt(row))["input_ids"]; samples.append((p + tokenizer(row["output"])["input_ids"] + [tokenizer.eos_token_id], len(p)))
samples.sort(key=lambda s: len(s[0]))
batches = [samples[i:i + size] for i in range(0, len(samples) - size + 1, size)]
random.seed(0); random.shuffle(batches); batches = [batches[i % len(batches)] for i in range(steps)]
model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="sdpa")
model = get_peft_model(model, LoraConfig(r=16, lora_alpha=16, lora_dropout=0.0, target_modules="all-linear",
                                         task_type="CAUSAL_LM", fan_in_fan_out=model.config.model_type == "gpt2"))
if mode == "compile": model = torch.compile(model, dynamic=True)
optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=2e-4)
times, tokens = [], []
for batch in batches:
    longest = max(len(ids) for ids, _ in batch)
    x = torch.full((len(batch), longest), tokenizer.eos_token_id); y = torch.full_like(x, -100); mask = torch.zeros_like(x)
    for i, (ids, p) in enumerate(batch):
        x[i, :len(ids)] = torch.tensor(ids); y[i, p:len(ids)] = x[i, p:len(ids)]; mask[i, :len(ids)] = 1
    loss = model(input_ids=x, attention_mask=mask, labels=y).loss
    loss.backward(); optimizer.step(); optimizer.zero_grad()
    times.append(time.time()); tokens.append(int(mask.sum()))
rate = sum(tokens[2:]) / (times[-1] - times[1])
print(f"PyTorch {mode}: {rate:.0f} tokens/s, {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000:.0f} MB")
