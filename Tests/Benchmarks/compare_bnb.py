#!/usr/bin/env python3
"""Loss and gradient norm of one update over a 4-bit base: sft beside transformers + bitsandbytes + PEFT, on the same token ids and from
the same adapter. compare_bnb.py MODEL RECORDS [--records N] [--sft BINARY] (needs torch, transformers, peft, bitsandbytes).

The base is NF4 with double quantisation, computed with in float32, as sft does."""
import argparse, json, subprocess, sys, tempfile
from pathlib import Path
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, BitsAndBytesConfig

here = Path(__file__).resolve().parent
arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
arguments.add_argument("model"); arguments.add_argument("data"); arguments.add_argument("--records", type=int, default=4)
arguments.add_argument("--sft", default=str(here.parent.parent / ".build/release/sft"))
given = arguments.parse_args()
work = Path(tempfile.mkdtemp(prefix="sft-bnb-"))

def sft(*words):
    run = subprocess.run([given.sft, *map(str, words)], cwd=work, capture_output=True, text=True)
    if run.returncode: sys.exit(run.stderr)
    return run.stdout

sft("prepare", Path(given.data).resolve(), "--model", Path(given.model).resolve(), "--val", 0, "--quiet")
settings = ["--qlora", "--lora-r", 16, "--lora-alpha", 16, "--batch-size", given.records, "--no-shuffle", "--quiet"]
# Two updates at a rate that leaves a mark, then one that is compared: B is no longer zero there.
sft("train", *settings, "--max-steps", 2, "--lr", 1e-2, "--scheduler", "constant", "--run", "start")
sft("export", "--run", "start", "--format", "peft", "--to", work / "adapter", "--quiet")
sft("train", "--qlora", "--init-adapter", work / "adapter", "--batch-size", given.records, "--no-shuffle", "--max-steps", 1, "--run", "one", "--quiet")
ours = json.loads(open(work / ".sft/runs/one/metrics.jsonl").readline())
rows = [json.loads(line) for line in sft("inspect", "data", "--jsonl").splitlines()[:given.records]]

torch.set_num_threads(2)
base = AutoModelForCausalLM.from_pretrained(
    given.model, dtype=torch.float32,
    quantization_config=BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype=torch.float32))
model = PeftModel.from_pretrained(base, work / "adapter", is_trainable=True).train()
count = sum(label != -100 for row in rows for label in row["labels"][1:])
total = 0.0
for row in rows:
    logits = model(torch.tensor([row["input_ids"]])).logits[0, :-1].float()
    loss = torch.nn.functional.cross_entropy(logits, torch.tensor(row["labels"][1:]), reduction="sum", ignore_index=-100) / count
    loss.backward(); total += loss.item()
norm = torch.sqrt(sum((p.grad.double() ** 2).sum() for p in model.parameters() if p.grad is not None)).item()
for name, own, other in ("loss", ours["loss"], total), ("grad norm", ours["grad_norm"], norm):
    print(f"{name:10} sft {own:.9f}   transformers + bitsandbytes {other:.9f}   difference {abs(own - other) / abs(other):.1e}")
