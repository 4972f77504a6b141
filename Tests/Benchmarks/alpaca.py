"""Alpaca's two prompts, as the template `alpaca` has them."""
WITH = ("Below is an instruction that describes a task, paired with an input that provides further context. "
        "Write a response that appropriately completes the request.\n\n### Instruction:\n{instruction}\n\n"
        "### Input:\n{input}\n\n### Response:\n")
NO = ("Below is an instruction that describes a task. Write a response that appropriately completes the request."
      "\n\n### Instruction:\n{instruction}\n\n### Response:\n")
def prompt(record): return (WITH if record.get("input") else NO).format(instruction=record["instruction"], input=record.get("input", ""))
