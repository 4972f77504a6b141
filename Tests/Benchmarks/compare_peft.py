"""Answers of a base and of its adapter to questions with transformers and peft, greedily: tokens a second.

What `sft compare` does, for the ratio. Usage: compare_peft.py MODEL ADAPTER QUESTIONS.txt NEW_TOKENS BATCH
"""
import sys
import time

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

folder, adapter, questions, new_tokens, batch = sys.argv[1:4] + [int(value) for value in sys.argv[4:6]]
ALPACA = (
    "Below is an instruction that describes a task. Write a response that appropriately completes the request.\n\n"
    "### Instruction:\n{}\n\n### Response:\n"
)
torch.set_num_threads(2)
tokenizer = AutoTokenizer.from_pretrained(folder, padding_side="left")
tokenizer.pad_token = tokenizer.eos_token
model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32), adapter).eval()
prompts = [ALPACA.format(line.strip()) for line in open(questions, encoding="utf-8") if line.strip()]


def answer_all() -> int:
    count = 0
    for first in range(0, len(prompts), batch):
        inputs = tokenizer(prompts[first : first + batch], return_tensors="pt", padding=True)
        output = model.generate(
            **inputs, max_new_tokens=new_tokens, do_sample=False, pad_token_id=tokenizer.pad_token_id
        )[:, inputs.input_ids.shape[1] :]
        ended = (output == tokenizer.eos_token_id).int()
        # Up to the first EOS; what comes after it is padding.
        lengths = torch.where(ended.any(1), ended.argmax(1), output.shape[1])
        count += int(lengths.sum())
    return count


with torch.no_grad():
    start = time.time()
    tokens = answer_all()
    with model.disable_adapter():
        tokens += answer_all()
    taken = time.time() - start
print(f"transformers + peft: {tokens} tokens in {taken:.1f} s, {tokens / taken:.1f} tokens/s")
