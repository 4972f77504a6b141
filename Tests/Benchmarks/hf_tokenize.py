#!/usr/bin/env python3
"""Rate of Hugging Face's fast tokenizer, batched over all cores: hf_tokenize.py MODEL corpus.jsonl (needs transformers)."""
import json, os, sys, time
os.environ["TOKENIZERS_PARALLELISM"] = "true"; os.environ["HF_HUB_OFFLINE"] = "1"
from transformers import AutoTokenizer
tok = AutoTokenizer.from_pretrained(sys.argv[1])
WITH = ("Below is an instruction that describes a task, paired with an input that provides further context. "
        "Write a response that appropriately completes the request.\n\n### Instruction:\n{instruction}\n\n"
        "### Input:\n{input}\n\n### Response:\n")
NO = ("Below is an instruction that describes a task. Write a response that appropriately completes the request."
      "\n\n### Instruction:\n{instruction}\n\n### Response:\n")
rows = [json.loads(l) for l in open(sys.argv[2])]
texts = [(WITH if r["input"] else NO).format(**r) + r["output"] for r in rows]
size = sum(len(t.encode()) for t in texts)
tok(texts[:100]); start = time.time()
for first in range(0, len(texts), 20000): tok(texts[first:first + 20000])
seconds = time.time() - start
print(json.dumps(dict(bytes=size, seconds=seconds, megabytes_per_second=size / seconds / 1e6)))
