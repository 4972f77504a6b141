#!/usr/bin/env python3
"""Rate of Hugging Face's fast tokenizer, batched over all cores: hf_tokenize.py MODEL corpus.jsonl (needs transformers)."""
import json, os, sys, time
os.environ["TOKENIZERS_PARALLELISM"] = "true"; os.environ["HF_HUB_OFFLINE"] = "1"
from transformers import AutoTokenizer
from alpaca import prompt
tok = AutoTokenizer.from_pretrained(sys.argv[1])
rows = [json.loads(l) for l in open(sys.argv[2])]
texts = [prompt(r) + r["output"] for r in rows]
size = sum(len(t.encode()) for t in texts)
tok(texts[:100]); start = time.time()
for first in range(0, len(texts), 20000): tok(texts[first:first + 20000])
seconds = time.time() - start
print(json.dumps(dict(bytes=size, seconds=seconds, megabytes_per_second=size / seconds / 1e6)))
