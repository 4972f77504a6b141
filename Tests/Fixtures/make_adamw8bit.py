#!/usr/bin/env python3
"""What bitsandbytes' AdamW8bit does (bitsandbytes 0.50.2, torch 2.15, transformers, peft; CPU, float32, one thread).

    python3 make_adamw8bit.py gpt2-tiny adamw8bit

Writes adamw8bit/
  states.safetensors  parameter tensors of several sizes, above and below 4,096 elements, after six updates with clipping,
                      warm-up and decay: `NAME`, and their state `NAME.state1`, `.state2`, `.absmax1`, `.absmax2`. The
                      metadata has SHA-256 of all codes and absmax after each update: `step.S`
  curve.json          loss and gradient norm (before clipping) of twelve updates of gpt2-tiny with a fresh LoRA adapter of
                      r 48, whose tensors have 3,072 to 12,288 elements: by AdamW8bit, and by torch's AdamW

Inputs are not stored: parameters, gradients and the adapter's start are the numbers that the tests' `noise` and
`Adapter.initialize` give.
"""
import hashlib, json, os, sys
os.environ.setdefault("HF_HUB_OFFLINE", "1")
import numpy as np, torch
import bitsandbytes as bnb
from peft import LoraConfig, get_peft_model
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM

torch.set_num_threads(1)
MODEL, OUT = sys.argv[1:]
os.makedirs(OUT, exist_ok=True)
MASK = (1 << 64) - 1


def mix(z):
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


def uniforms(seed, stream, count):
    """`SeededGenerator(seed:stream:)`'s first `count` uniforms."""
    start = mix((seed + mix((stream + 0x632BE59BD9B4E019) & MASK)) & MASK)
    z = np.uint64(start) + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return ((z ^ (z >> np.uint64(31))) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def noise(count, seed):
    """TestSupport's `noise`."""
    u, total = uniforms(seed, 0x6E6F6973, 12 * count).reshape(count, 12), np.zeros(count)
    for column in range(12):
        total += u[:, column]
    return (total - 6).astype(np.float32)


# --- States

SHAPES = dict(a=(16, 768), small=(16, 255), b=(1000, 16), tiny=(3, 5), least=(256, 16))
RATE, WARMUP, STEPS, DECAY, LIMIT = 1e-2, 2, 6, 0.1, 1.0


def gradient(index, shape, step):
    """Rows of very different sizes and whole blocks of zeros; the first tensor's is zero in the first step, as A's is."""
    count = shape[0] * shape[1]
    place = np.arange(count)
    values = noise(count, 100 * step + index) * np.exp2(-3.0 * (place // shape[1] % 7)).astype(np.float32)
    values[place // 256 % 5 == step % 5] = 0
    if index == 0 and step == 1:
        values[:] = 0
    # The clipping factor is 1 in one step.
    return values * np.float32(2.0**-9 if step == 4 else 1)


parameters = {name: torch.nn.Parameter(torch.from_numpy(noise(shape[0] * shape[1], index).reshape(shape)))
              for index, (name, shape) in enumerate(SHAPES.items())}
optimizer = bnb.optim.AdamW8bit(parameters.values(), lr=RATE, betas=(0.9, 0.999), eps=1e-8, weight_decay=DECAY)
metadata, tensors, scales = {"format": "pt"}, {}, []
for step in range(1, STEPS + 1):
    gradients = [gradient(index, shape, step).reshape(shape) for index, shape in enumerate(SHAPES.values())]
    norm = np.sqrt(sum(np.sum(g.astype(np.float64) ** 2) for g in gradients))
    scale = np.float32(min(1, LIMIT / (norm + 1e-6)))
    for parameter, g in zip(parameters.values(), gradients):
        parameter.grad = torch.from_numpy(g.copy())
    measured = float(torch.nn.utils.clip_grad_norm_(parameters.values(), LIMIT))
    assert abs(measured - norm) < 1e-5 * norm
    scales.append(float(scale))
    # torch's own clipping has added up in float32; the scale of the exact norm is what the states shall be compared by.
    for parameter, g in zip(parameters.values(), gradients):
        clipped = torch.from_numpy(g * scale)
        assert torch.allclose(parameter.grad, clipped, rtol=1e-5, atol=0)
        parameter.grad = clipped
    s = step - 1
    optimizer.param_groups[0]["lr"] = RATE * s / WARMUP if s < WARMUP else RATE * max(0, 1 - (s - WARMUP) / (STEPS - WARMUP))
    optimizer.step()
    digest = hashlib.sha256()
    for name, parameter in parameters.items():
        state = optimizer.state[parameter]
        for key in ("state1", "state2", "absmax1", "absmax2"):
            if key in state:
                if state["state1"].dtype == torch.uint8:
                    digest.update(state[key].numpy().tobytes())
                tensors[f"{name}.{key}"] = state[key].clone()
        tensors[name] = parameter.detach().clone()
    metadata[f"step.{step}"] = digest.hexdigest()
assert min(scales) < 0.1 and max(scales) == 1
save_file(tensors, os.path.join(OUT, "states.safetensors"), metadata=metadata)

# --- A training curve

rows = [json.loads(line) for line in open(os.path.join(MODEL, "tokens.jsonl"))]
RANK, BATCH, UPDATES = 48, 4, 12


def batch(rows):
    length = max(len(row["input_ids"]) for row in rows)
    ids, labels, mask = (torch.full((len(rows), length), fill) for fill in (0, -100, 0))
    for i, row in enumerate(rows):
        n = len(row["input_ids"])
        ids[i, :n], labels[i, :n], mask[i, :n] = torch.tensor(row["input_ids"]), torch.tensor(row["labels"]), 1
    return dict(input_ids=ids, labels=labels, attention_mask=mask)


def curve(make_optimizer):
    base = AutoModelForCausalLM.from_pretrained(os.path.join(MODEL, "model"), dtype=torch.float32).eval()
    model = get_peft_model(base, LoraConfig(r=RANK, lora_alpha=RANK, target_modules=["c_attn", "c_proj", "c_fc"],
                                            task_type="CAUSAL_LM", fan_in_fan_out=True))
    for name, p in model.named_parameters():
        if "lora_A" in name:
            key = 0xCBF29CE484222325
            for byte in name.removeprefix("base_model.model.").removesuffix(".lora_A.default.weight").encode():
                key = ((key ^ byte) * 0x100000001B3) & MASK
            bound = 1 / np.sqrt(float(p.shape[1]))
            p.data = torch.from_numpy(((2 * uniforms(42, key, p.numel()) - 1) * bound).astype(np.float32).reshape(p.shape))
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer, log = make_optimizer(trained), []
    for s in range(UPDATES):
        loss = model(**batch([rows[(s * BATCH + i) % len(rows)] for i in range(BATCH)])).loss
        optimizer.zero_grad()
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        log.append(dict(loss=loss.item(), grad_norm=norm.item()))
    return log


settings = dict(lr=2e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01)
result = dict(adamw8bit=curve(lambda p: bnb.optim.AdamW8bit(p, **settings)),
              adamw=curve(lambda p: torch.optim.AdamW(p, **settings)))
with open(os.path.join(OUT, "curve.json"), "w") as file:
    json.dump(result, file, indent=1)
    file.write("\n")
