#!/usr/bin/env python3
"""What quantising costs a reference case, computed with transformers and bitsandbytes: CASE/quantization.json.

    python3 make_quantization_errors.py gpt2-tiny

For each 4-bit code, with and without double quantisation, and for each linear of the blocks:
  weights   |Q(W) - W| / |W|
  outputs   |xQ(W) - xW| / |xW|, x being the linear's inputs in the model as it is, over all records' tokens but the last
            of each; the bias is left out; the products in double
  survived, error, norm   with D = scale B A of the case's adapter and C = Q(W + D) - Q(W): <C,D>/<D,D>, |C - D|/|D|, |D|
and survived and error over all linears together. Norms are Frobenius'. One thread.
"""
import json, os, sys
os.environ.setdefault("HF_HUB_OFFLINE", "1")
import torch
import bitsandbytes.functional as bf
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM
from transformers.pytorch_utils import Conv1D

torch.set_num_threads(1)
case = os.path.join(os.path.dirname(os.path.abspath(__file__)), sys.argv[1])
path = lambda *names: os.path.join(case, *names)
model = AutoModelForCausalLM.from_pretrained(path("model"), dtype=torch.float32).eval()
linears = {name: module for name, module in model.named_modules() if isinstance(module, Conv1D)}

inputs = {name: [] for name in linears}
for name, module in linears.items():
    module.register_forward_pre_hook(lambda _, args, name=name: inputs[name].append(args[0][0].double()))
with torch.no_grad():
    for line in open(path("tokens.jsonl")):
        model(input_ids=torch.tensor([json.loads(line)["input_ids"][:-1]]))

lora = json.load(open(path("adapter", "adapter_config.json")))
adapter = load_file(path("adapter", "adapter_model.safetensors"))

def round_trip(weight, kind, double):
    codes, state = bf.quantize_4bit(weight.contiguous(), blocksize=64, compress_statistics=double, quant_type=kind)
    return bf.dequantize_4bit(codes, state).float()

def report(kind, double):
    layers, total = [], torch.zeros(3, dtype=torch.float64)
    for name, module in linears.items():
        w = module.weight.detach().t()                          # [out, in]
        q = round_trip(w, kind, double)
        x = torch.cat(inputs[name])
        a, b = (adapter[f"base_model.model.{name}.lora_{which}.weight"] for which in "AB")
        d = (b @ a) * (lora["lora_alpha"] / lora["r"])
        c, d = (round_trip(w + d, kind, double).double() - q.double()), d.double()
        sums = torch.stack([(c * d).sum(), (c - d).square().sum(), d.square().sum()])
        total += sums
        relative = lambda difference, whole: (difference.norm() / whole.norm()).item()
        layers.append(dict(
            name=name, weights=relative(q.double() - w.double(), w.double()),
            outputs=relative(x @ (q.double() - w.double()).t(), x @ w.double().t()),
            survived=(sums[0] / sums[2]).item(), error=(sums[1] / sums[2]).sqrt().item(), norm=d.norm().item()))
    return dict(kind=kind, double=double, survived=(total[0] / total[2]).item(), error=(total[1] / total[2]).sqrt().item(),
                layers=layers)

tokens = sum(len(x) for x in next(iter(inputs.values())))
reports = [report(kind, double) for kind in ("nf4", "fp4") for double in (True, False)]
rounded = lambda value: json.loads(json.dumps(value), parse_float=lambda text: float(f"{float(text):.9g}"))
json.dump(rounded(dict(tokens=tokens, reports=reports)), open(path("quantization.json"), "w"), indent=1)
