#!/usr/bin/env python3
"""PEFT adapters that train token rows or whole modules beside LoRA, of the reference cases here (transformers, peft, torch).

    python3 make_ends.py ends

Writes OUT/KIND-CASE/ for the kinds and cases below:
  adapter/      as peft saves it: LoRA r 2 with non-zero A and B on the attention's projections, and token rows or
                modules that differ from the base's
  expect.json   by transformers and peft after PeftModel.from_pretrained: the token-mean loss over CASE/tokens.jsonl, the
                logits after record 0's last token but one, each trained tensor's gradient norm over the first four
                records (not clipped), and loss and gradient norm (before clipping to 1) of six updates with AdamW at
                1e-2; the logits after them
Every number is float32 on CPU with one thread.
"""
import json, os, sys
os.environ.setdefault("HF_HUB_OFFLINE", "1")
import torch
from transformers import AutoModelForCausalLM
from peft import LoraConfig, PeftModel, get_peft_model

torch.set_num_threads(1)
here = os.path.dirname(os.path.abspath(__file__))
CASES = [  # kind, case, its attention projections, what is trained
    ("tokens", "llama3-tiny", ["q_proj", "v_proj"], dict(trainable_token_indices={"embed_tokens": [300, 1, 7, 2], "lm_head": [2, 40]})),
    ("tokens", "gemma3-tiny", ["q_proj", "v_proj"], dict(trainable_token_indices=[300, 1, 7, 2])),
    ("tokens", "gpt2-tiny", ["c_attn"], dict(trainable_token_indices={"wte": [0, 300, 7]})),
    ("modules", "llama3-tiny", ["q_proj", "v_proj"], dict(modules_to_save=["embed_tokens", "lm_head", "model.norm"])),
    ("modules", "qwen2-tiny", ["q_proj", "v_proj"], dict(modules_to_save=["embed_tokens", "lm_head"])),
    ("modules", "gpt2-tiny", ["c_attn"], dict(modules_to_save=["lm_head", "ln_f"])),
]


def rows_of(case):
    return [json.loads(line) for line in open(os.path.join(here, case, "tokens.jsonl"))]


def batch(rows):
    longest = max(len(r["input_ids"]) for r in rows)
    pad = lambda values, fill: values + [fill] * (longest - len(values))
    return dict(
        input_ids=torch.tensor([pad(r["input_ids"], 0) for r in rows]),
        labels=torch.tensor([pad(r["labels"], -100) for r in rows]),
        attention_mask=torch.tensor([pad([1] * len(r["input_ids"]), 0) for r in rows]))


def mean_loss(model, rows):
    total = count = 0.0
    with torch.no_grad():
        for row in rows:
            n = sum(label != -100 for label in row["labels"][1:])
            total += model(**batch([row])).loss.item() * n
            count += n
    return total / count


def logits(model, rows):
    with torch.no_grad():
        return model(input_ids=torch.tensor([rows[0]["input_ids"][:-1]])).logits[0, -1].tolist()


def name(parameter):
    return parameter.removeprefix("base_model.model.").replace(".modules_to_save.default", "").replace(".default", "")


for number, (kind, case, targets, what) in enumerate(CASES):
    torch.manual_seed(500 + number)
    folder = os.path.join(sys.argv[1], f"{kind}-{case}")
    base = lambda: AutoModelForCausalLM.from_pretrained(
        os.path.join(here, case, "model"), dtype=torch.float32, attn_implementation="eager").eval()
    model = get_peft_model(base(), LoraConfig(
        r=2, lora_alpha=4, target_modules=targets, task_type="CAUSAL_LM", fan_in_fan_out=case.startswith("gpt2"), **what))
    with torch.no_grad():
        for _, parameter in model.named_parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn_like(parameter) * 0.05)
    model.save_pretrained(os.path.join(folder, "adapter"))
    os.remove(os.path.join(folder, "adapter", "README.md"))
    # The path to the base is this machine's.
    path = os.path.join(folder, "adapter", "adapter_config.json")
    configuration = json.load(open(path))
    configuration["base_model_name_or_path"] = None
    json.dump(configuration, open(path, "w"), indent=2)

    rows = rows_of(case)
    model = PeftModel.from_pretrained(base(), os.path.join(folder, "adapter"), is_trainable=True).eval()
    expect = dict(loss=mean_loss(model, rows), logits=logits(model, rows))
    trained = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
    model(**batch(rows[:4])).loss.backward()
    expect["gradients"] = {name(n): p.grad.norm().item() for n, p in trained}
    optimizer = torch.optim.AdamW([p for _, p in trained], lr=1e-2, weight_decay=0.01)
    expect["curve"] = []
    for step in range(6):
        loss = model(**batch([rows[(4 * step + i) % len(rows)] for i in range(4)])).loss
        optimizer.zero_grad()
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_([p for _, p in trained], 1.0)
        optimizer.step()
        expect["curve"].append(dict(step=step + 1, loss=loss.item(), grad_norm=norm.item()))
    expect["trained_logits"] = logits(model, rows)
    json.dump(expect, open(os.path.join(folder, "expect.json"), "w"))
    print(folder, expect["loss"], expect["curve"][-1], list(expect["gradients"])[-3:])
