#!/usr/bin/env python3
"""The same training in TRL + PEFT: train_trl.py MODEL RECORDS STEPS BATCH [--qlora] [--grad-accum N] [--gradient-checkpointing]
[--optimizer adamw_torch] (needs torch, transformers, peft, trl, datasets; bitsandbytes for --qlora).

LoRA r 16 on all linears, float32, over float32 or, with --qlora, over NF4 with double quantisation; loss on completions only. Prints
useful (not padded) tokens a second over all micro-batches but those of the first two, and the peak memory."""
import argparse, json, os, resource, tempfile, time
os.environ["HF_HUB_OFFLINE"] = "1"; os.environ["TOKENIZERS_PARALLELISM"] = "false"
from datasets import Dataset
from peft import LoraConfig
from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
from trl import SFTConfig, SFTTrainer
from alpaca import prompt
arguments = argparse.ArgumentParser(); arguments.add_argument("model"); arguments.add_argument("records")
arguments.add_argument("steps", type=int); arguments.add_argument("batch", type=int); arguments.add_argument("--qlora", action="store_true")
arguments.add_argument("--grad-accum", type=int, default=1); arguments.add_argument("--gradient-checkpointing", action="store_true")
arguments.add_argument("--optimizer", default="adamw_torch")
given = arguments.parse_args(); model, steps, batch = given.model, given.steps, given.batch
text = open(given.records).read()
rows = json.loads(text) if text.lstrip().startswith("[") else [json.loads(l) for l in text.splitlines() if l.strip()]
data = Dataset.from_list([dict(prompt=prompt(r), completion=r["output"]) for r in rows])
tokenizer = AutoTokenizer.from_pretrained(model); tokenizer.pad_token = tokenizer.eos_token
times = []
class Clock(TrainerCallback):
    def on_step_end(self, args, state, control, **_): times.append(time.time())
    def on_substep_end(self, args, state, control, **_): times.append(time.time())
quantization = {}
if given.qlora:
    import torch
    from transformers import BitsAndBytesConfig
    quantization["quantization_config"] = BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype=torch.float32)
network = AutoModelForCausalLM.from_pretrained(model, dtype="float32", **quantization)
trainer = SFTTrainer(
    model=network, train_dataset=data, processing_class=tokenizer,
    args=SFTConfig(output_dir=tempfile.mkdtemp(), per_device_train_batch_size=batch, max_steps=steps, learning_rate=2e-4,
                   logging_steps=10**6, save_strategy="no", report_to="none", max_length=1024, completion_only_loss=True,
                   use_cpu=True, bf16=False, gradient_checkpointing=given.gradient_checkpointing, dataloader_pin_memory=False, seed=42,
                   gradient_accumulation_steps=given.grad_accum, optim=given.optimizer),
    peft_config=LoraConfig(r=16, lora_alpha=16, lora_dropout=0.0, target_modules="all-linear",
                           task_type="CAUSAL_LM", fan_in_fan_out=network.config.model_type == "gpt2"), callbacks=[Clock()])
batches = iter(trainer.get_train_dataloader())
tokens = [int(next(batches)["attention_mask"].sum()) for _ in range(steps * given.grad_accum)]
trainer.train()
rate = sum(tokens[2:]) / (times[-1] - times[1])
print(f"TRL + PEFT: {rate:.0f} tokens/s, {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000:.0f} MB")
