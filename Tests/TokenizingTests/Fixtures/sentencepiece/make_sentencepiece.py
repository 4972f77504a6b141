#!/usr/bin/env python3
"""A small tokenizer.model as LLaMA's, and what the sentencepiece library makes of texts with it.

    make_sentencepiece.py OUT RECORDS.json [SFT TEXTS]

OUT/tokenizer.model: BPE with byte fallback, without normalising. OUT/cases.jsonl: text, its ids, and the text they decode
to. With SFT, TEXTS random texts go through `sft tokenize` too, and the differences are counted. Made with sentencepiece 0.2.3.
"""
import json, os, random, subprocess, sys, tempfile
import sentencepiece

out, records = sys.argv[1:3]
with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
    for record in json.load(open(records))[:300]: file.write(record["instruction"] + "\n" + record["output"].replace("\n", " ") + "\n")
    file.write("대한민국의 수도는 서울입니다. 안녕하세요.\n한국어 문장을 토큰으로 나눕니다.\n" * 8); file.flush()
    sentencepiece.SentencePieceTrainer.train(
        input=file.name, model_prefix=out + "/tokenizer", model_type="bpe", vocab_size=620, byte_fallback=True, split_digits=True,
        normalization_rule_name="identity", remove_extra_whitespaces=False, allow_whitespace_only_pieces=True, minloglevel=2)
os.remove(out + "/tokenizer.vocab")
model = sentencepiece.SentencePieceProcessor(model_file=out + "/tokenizer.model")
source = random.Random(3)
PARTS = [" ", "  ", "\n", "\t", "▁", "▁▁", "안녕", "대한민국의", "e\u0301", "ﬁ", "日本", "🇰🇷", "<s>", "</s>", "<unk>", "<0x41>", "12345", "naïve", "\u0000", "\u3000", "\ufeff"]
def text():
    def part():
        kind = source.randrange(4)
        if kind == 0: return source.choice(PARTS)
        if kind == 1: return source.choice(["a", " ", "th", "가", "\u0301", "1"]) * source.randint(1, 9)
        if kind == 2: return model.id_to_piece(source.randrange(model.get_piece_size())).replace("▁", source.choice([" ", "▁"]))
        point = source.choice([0x80, 0x800, 0x3000, 0xD7A4, 0x10000, 0x110000])
        point = source.randrange(point)
        return "\ufffd" if 0xD800 <= point <= 0xDFFF else chr(point)
    return "".join(part() for _ in range(source.randint(0, 9)))
with open(out + "/cases.jsonl", "w") as file:
    for item in ["", " ", " a", "a ", "Hello  world\n"] + [text() for _ in range(120)]:
        ids = model.encode(item)
        file.write(json.dumps(dict(text=item, ids=ids, decoded=model.decode(ids))) + "\n")
if len(sys.argv) > 3:
    items = [text() for _ in range(int(sys.argv[4]))]
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as file:
        file.write("".join(json.dumps(dict(text=item)) + "\n" for item in items)); file.flush()
        output = subprocess.run([sys.argv[3], "tokenize", file.name, "--model", out], capture_output=True, check=True).stdout
    found = [json.loads(line)["ids"] for line in output.decode().split("\n") if line]
    wrong = [(t, a, model.encode(t)) for t, a in zip(items, found, strict=True) if a != model.encode(t)]
    print(len(wrong), "differences in", len(items)); print(*wrong[:5], sep="\n")
