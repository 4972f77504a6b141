#!/usr/bin/env python3
"""Reference tensors of the real bitsandbytes (0.50.2, with torch 2.15 and one thread), for QuantizingTests.

    python3 make_quantized.py FOLDER

Writes FOLDER/
  quantized.safetensors   each case's linear as bitsandbytes serialises it, and `CASE.decoded`, its dequantize_4bit in float32
  adamw8bit.safetensors   codes, absmax and parameters of bitsandbytes.optim.AdamW8bit: `m.S`, `v.S` … after step S

Inputs are not stored: `noise` below and the tests' own give the same numbers (SplitMix64, sums of three uniforms).
"""
import os, sys
import numpy as np, torch
import bitsandbytes as bnb, bitsandbytes.functional as bf
from safetensors.torch import save_file

torch.set_num_threads(1)
MASK = (1 << 64) - 1


def noise(seed, count):
    state, values = seed, []
    def uniform():
        nonlocal state
        state = (state + 0x9E3779B97F4A7C15) & MASK
        z = state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        return ((z ^ (z >> 31)) >> 11) * 2.0**-53
    for _ in range(count):
        values.append(np.float32(uniform() + uniform() + uniform() - 1.5))
    return np.array(values, np.float32)


def weights(seed, rows, columns):
    """Rows of different scales; the second all zero, the third denormal."""
    w = noise(seed, rows * columns).reshape(rows, columns)
    for row in range(rows):
        w[row] *= np.float32(2.0 ** (-(row % 5)))
    if rows > 3:
        w[1] = 0
        w[2] *= np.float32(2.0**-130)
    return w


CASES = [("nf4", True, 24, 64), ("nf4", False, 5, 13), ("nf4", True, 1, 33), ("nf4", True, 40, 500), ("nf4", False, 9, 60),
         ("fp4", True, 7, 60), ("fp4", False, 3, 128), ("fp4", True, 5, 13), ("fp4", True, 24, 64)]

tensors = {}
for seed, (kind, double, rows, columns) in enumerate(CASES):
    packed, state = bf.quantize_4bit(torch.from_numpy(weights(seed, rows, columns)), blocksize=64,
                                     compress_statistics=double, quant_type=kind)
    name = f"{kind}.{'double' if double else 'single'}.{rows}.{columns}"
    tensors[name + ".weight"] = packed
    for key, value in state.as_dict(packed=True).items():
        tensors[f"{name}.weight.{key}"] = value.contiguous().clone()
    tensors[name + ".decoded"] = bf.dequantize_4bit(packed, state)
save_file(tensors, os.path.join(sys.argv[1], "quantized.safetensors"), metadata={"format": "pt"})

COUNT, STEPS = 12300, 4
parameter = torch.nn.Parameter(torch.from_numpy(noise(100, COUNT)))
optimizer = bnb.optim.AdamW8bit([parameter], lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01)
tensors = {}
for step in range(1, STEPS + 1):
    parameter.grad = torch.from_numpy(noise(100 + step, COUNT) * np.float32(2.0**-6))
    optimizer.step()
    state = optimizer.state[parameter]
    for key, stored in (("m", "state1"), ("v", "state2"), ("m_absmax", "absmax1"), ("v_absmax", "absmax2")):
        tensors[f"{key}.{step}"] = state[stored].clone()
tensors["parameters"] = parameter.detach().clone()
save_file(tensors, os.path.join(sys.argv[1], "adamw8bit.safetensors"))
