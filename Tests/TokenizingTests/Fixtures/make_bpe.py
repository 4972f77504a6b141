#!/usr/bin/env python3
"""OUT/: texts, and the merges that Hugging Face's ByteLevelBPETokenizer trains on them.

    make_bpe.py OUT RECORDS.json

`ties.txt` is noise over a few characters, so that many pairs occur equally often and words are long; `words.txt` has the
records' texts. `merges.json`: for each case files, vocab_size, min_frequency, and the SHA-256 of the merges, one a line
as in merges.txt, with their number and the last three.
"""
import hashlib, json, random, sys
from tokenizers import ByteLevelBPETokenizer

out, records = sys.argv[1:]
random.seed(7)
with open(out + "/ties.txt", "w", newline="") as f:
    f.write("".join(random.choice("aaab b\n\t é日本🙂'sABab  ") for _ in range(9000)))
with open(out + "/words.txt", "w", newline="") as f:
    for record in json.load(open(records))[:250]:
        f.write(record["instruction"] + "\r\n" + record.get("input", "") + "\n" + record["output"] + "\n\n")
cases = []
for files, size, least in [
    (["ties.txt"], 300, 2), (["ties.txt"], 5000, 2), (["ties.txt"], 1200, 1), (["words.txt"], 1500, 2),
    (["words.txt"], 100000, 3), (["words.txt", "ties.txt"], 2500, 2),
]:
    tokenizer = ByteLevelBPETokenizer()
    tokenizer.train([out + "/" + name for name in files], vocab_size=size, min_frequency=least,
                    special_tokens=["<|endoftext|>"], show_progress=False)
    merges = json.loads(tokenizer.to_str())["model"]["merges"]
    lines = [" ".join(merge) for merge in merges]
    digest = hashlib.sha256("".join(line + "\n" for line in lines).encode()).hexdigest()
    cases.append(dict(files=files, vocab_size=size, min_frequency=least, merges=len(lines), sha256=digest, last=lines[-3:]))
json.dump(cases, open(out + "/merges.json", "w"), indent=1)
print([case["merges"] for case in cases])
