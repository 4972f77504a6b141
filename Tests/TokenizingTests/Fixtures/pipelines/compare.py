#!/usr/bin/env python3
"""Random hostile texts through `sft tokenize` and Hugging Face's tokenizers: every difference is printed, and counted.

    compare.py SFT FOLDER… [--texts 100000] [--seed 1]

A FOLDER holds a tokenizer.json. Compared: ids with special tokens as text, ids with special tokens, those with what the
post-processor writes, and both decoded, special tokens left out of the last.
"""
import argparse, json, os, random, subprocess, tempfile, unicodedata
from tokenizers import Tokenizer

parser = argparse.ArgumentParser()
parser.add_argument("sft"); parser.add_argument("folders", nargs="+")
parser.add_argument("--texts", type=int, default=100_000); parser.add_argument("--seed", type=int, default=1)
arguments = parser.parse_args()
BLOCKS = [(0, 0x1F), (0x20, 0x7E), (0x7F, 0x24F), (0x300, 0x36F), (0x370, 0x6FF), (0x900, 0xDFF), (0x1100, 0x11FF), (0x1E00, 0x20FF),
          (0x2100, 0x24FF), (0x3000, 0x33FF), (0x4E00, 0x9FFF), (0xA000, 0xABFF), (0xAC00, 0xD7A3), (0xF900, 0xFFFD), (0x10000, 0x1FFFF),
          (0x20000, 0x2FFFF), (0xE0000, 0xE01EF), (0x30000, 0x10FFFF)]
FIXED = ["'s", "'LL", "'ſ", "'Re", "n't", "'D've", "’s", "\r\n", "\n\n\n", " \n ", "\t\t", "\u00a0", "\u3000", "\u200b", "\ufeff", "\x85", "\u2028", "각ᆨ", "한ᄀᆞᆯ",
         "e\u0301\u0327", "q\u0307\u0323", "\u0301x", "ﬁ", "ﷺ", "㎏", "\u0344", "ক\u09c7\u09be", "👨‍👩‍👧‍👦", "👍🏽", "1️⃣", "ǅ", "Straße", "ABCdef", "日AB", "!/\n/", "<0x41>", "<0xE3>", "▁", "▁▁",
         "_", "#include", "٣", "②½Ⅷ", "12345", " ", "  ", "   ", "<|user|>", "</s>", "<s>"]


def texts(tokenizer, source, count):
    tokens = [token for token in tokenizer.get_vocab() if token]
    added = [token.content for token in tokenizer.get_added_tokens_decoder().values()] or [""]

    def point(low, high):
        value = source.randint(low, high)
        return "\ufffd" if 0xD800 <= value <= 0xDFFF else chr(value)

    def part():
        kind = source.randrange(9)
        block = source.choice(BLOCKS)
        if kind == 0: return "".join(point(*block) for _ in range(source.randint(1, 5)))
        if kind == 1: return "".join(point(*source.choice(BLOCKS)) for _ in range(source.randint(1, 4)))
        if kind == 2: return source.choice(added) + source.choice(["", " ", "\n", "  "])
        if kind == 3: return source.choice([" ", "\n", "\r", "\t", "1", "a", "A", "가", "-", "\u0301"]) * source.randint(1, 6)
        if kind == 4: return unicodedata.normalize(source.choice(["NFD", "NFKD"]), point(*block) + point(*block))
        if kind <= 6: return source.choice(FIXED)
        token = source.choice(tokens)
        return tokenizer.decode(tokenizer.encode(token, add_special_tokens=False).ids) if kind == 7 else token

    for _ in range(count): yield "".join(part() for _ in range(source.randint(0, 9)))


def run(lines, folder, *options):
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as file:
        file.write("".join(json.dumps(line) + "\n" for line in lines)); file.flush()
        output = subprocess.run([arguments.sft, "tokenize", file.name, "--model", folder, *options], capture_output=True, check=True).stdout
    return [json.loads(line) for line in output.decode().split("\n") if line]


total = 0
for folder in arguments.folders:
    path = os.path.join(folder, "tokenizer.json")
    tokenizer, plain = Tokenizer.from_file(path), Tokenizer.from_file(path)
    plain.encode_special_tokens = True
    differences = 0
    items = list(texts(tokenizer, random.Random(f"{arguments.seed} {folder}"), arguments.texts))
    for start in range(0, len(items), 20_000):
        batch = items[start:start + 20_000]
        rows = [dict(text=text) for text in batch]
        ids = lambda t, add: [e.ids for e in t.encode_batch(batch, add_special_tokens=add)]
        special, whole = ids(tokenizer, False), ids(tokenizer, True)
        for name, found, expected in [
            ("plain", [r["ids"] for r in run(rows, folder)], ids(plain, False)),
            ("special", [r["ids"] for r in run(rows, folder, "--special")], special),
            ("whole", [r["ids"] for r in run(rows, folder, "--special", "--add-special-tokens")], whole),
            ("decoded", [r["text"] for r in run([dict(ids=i) for i in special], folder, "--decode")],
             [tokenizer.decode(i, skip_special_tokens=False) for i in special]),
            ("skipped", [r["text"] for r in run([dict(ids=i) for i in whole], folder, "--decode", "--skip-special-tokens")],
             [tokenizer.decode(i) for i in whole]),
        ]:
            assert len(found) == len(expected) == len(batch)
            for text, a, b in zip(batch, found, expected):
                if a == b: continue
                differences += 1
                if differences <= 5: print(name, json.dumps(text), a, b, sep="\n  ")
    print(f"{folder}: {differences} differences in {len(items)} texts, five ways", flush=True)
    total += differences
raise SystemExit(total > 0)
