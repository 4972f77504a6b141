#!/usr/bin/env python3
"""Small tokenizer.model files that normalise, and what the sentencepiece library makes of texts with them.

    make_mapped_sentencepiece.py RECORDS.json [SFT TEXTS]

sentencepiece-mapped: characters written otherwise (a few rules, where nmt_nfkc has 200 kB of them), spaces removed, user-defined
pieces, no byte fallback. sentencepiece-visible: as Gemma's, user-defined pieces of visible spaces, none before a text. Each with
cases.jsonl: text, its ids, and the text they decode to. With SFT, TEXTS random texts go through `sft tokenize` for each of these
and for models with the library's own rules, and the differences are counted. Made with sentencepiece 0.2.3.
"""
import json, os, random, shutil, subprocess, sys, tempfile
import sentencepiece

here = os.path.dirname(os.path.abspath(__file__))
records = os.path.abspath(sys.argv[1])
# Source and target as code points in hexadecimal; what has no target is left out.
RULES = {"\t": " ", "\n": " ", "\u3000": " ", "\u00a0": " ", "\u200b": "", "\u0001": "", "ﬁ": "fi", "Ａ": "A", "ｶﾞ": "ガ", "ｶ": "カ",
         "e\u0301": "é", "가\u11a8": "각", "½": "1⁄2", "…": " . ", "Ⅷ": "VIII", "\ufdfa": "صلى الله"}
USER = ["▁▁", "▁▁▁▁", "<br>", "ＵＤ", "b▁c", "\n\n", "가나"]
MODELS = {
    "mapped": dict(rules=RULES, vocab_size=420, user_defined_symbols=USER),
    "visible": dict(normalization_rule_name="identity", vocab_size=520, byte_fallback=True, remove_extra_whitespaces=False,
                    add_dummy_prefix=False, user_defined_symbols=USER + ["▁" * n for n in (3, 5, 8)]),
}
OWN = {f"{rule}{'' if removes else '-spaces'}{'' if prefix else '-bare'}{'-bytes' if fallback else ''}": dict(
           normalization_rule_name=rule, vocab_size=900, remove_extra_whitespaces=removes, add_dummy_prefix=prefix,
           byte_fallback=fallback, user_defined_symbols=USER if removes == prefix else [])
       for rule, removes, prefix, fallback in [
           ("nmt_nfkc", True, True, False), ("nmt_nfkc", False, True, True), ("nmt_nfkc", True, False, True), ("nfkc", False, False, False),
           ("nfkc", True, True, True), ("nmt_nfkc_cf", True, True, True), ("nfkc_cf", False, True, False), ("identity", True, True, True),
           ("identity", True, False, False), ("identity", False, True, False)]}

def train(folder, options):
    options, folder, home = dict(options), os.path.abspath(folder), os.getcwd()
    with tempfile.TemporaryDirectory() as work:
        # The model keeps the names of the files it is made of: relative ones are the same everywhere.
        os.chdir(work)
        with open("t.txt", "w") as file:
            for record in json.load(open(records))[:300]: file.write(record["instruction"] + "\n" + record["output"].replace("\n", " ") + "\n")
            file.write("대한민국의 수도는 서울입니다. 안녕하세요.\n한국어 문장을 토큰으로 나눕니다. é ガカ fi A 1⁄2\n" * 8)
        rules = options.pop("rules", None)
        if rules:
            with open("rules.tsv", "w") as file:
                for source, target in rules.items():
                    file.write("\t".join(" ".join(f"{ord(c):X}" for c in text) for text in (source, target)) + "\n")
            options["normalization_rule_tsv"] = "rules.tsv"
        sentencepiece.SentencePieceTrainer.train(
            input="t.txt", model_prefix="tokenizer", model_type="bpe", split_digits=True,
            allow_whitespace_only_pieces=True, hard_vocab_limit=False, minloglevel=2, **options)
        shutil.move("tokenizer.model", folder + "/tokenizer.model")
        os.chdir(home)
    return sentencepiece.SentencePieceProcessor(model_file=folder + "/tokenizer.model")

PARTS = [" ", "  ", "   ", "\n", "\n\n", "\t", "▁", "▁▁", "▁ ", "안녕", "대한민국의", "e\u0301", "ﬁ", "日本", "🇰🇷", "<s>", "</s>", "<unk>", "<0x41>",
         "12345", "naïve", "\u0000", "\u3000", "\ufeff", "\u00ad", "\u200b", "\u0001", "ｶﾞ", "ｶ", "ﾞ", "㍿", "ﷺ", "…", "½", "İ", "ß", "Ⅷ",
         "가\u11a8", "\u1112\u1161\u11ab", "\ufffd", "b c", "b  c"] + USER
def texts(model, seed):
    source = random.Random(seed)
    def part():
        kind = source.randrange(5)
        if kind == 0: return source.choice(PARTS)
        if kind == 1: return source.choice(["a", " ", "th", "가", "\u0301", "1", "\u3000", "▁", "\u200b"]) * source.randint(1, 9)
        if kind == 2: return model.id_to_piece(source.randrange(model.get_piece_size())).replace("▁", source.choice([" ", "▁"]))
        if kind == 3: return source.choice(["the", "answer", "Ａ", "한국어"]) + source.choice(["", " ", "  ", "\t", "▁"])
        point = source.choice([0x80, 0x800, 0x3000, 0xD7A4, 0x10000, 0x110000])
        point = source.randrange(point)
        return "\ufffd" if 0xD800 <= point <= 0xDFFF else chr(point)
    while True: yield "".join(part() for _ in range(source.randint(0, 9)))

def compare(name, folder, model, count):
    items = [text for text, _ in zip(texts(model, 7), range(count))]
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as file:
        file.write("".join(json.dumps(dict(text=item)) + "\n" for item in items)); file.flush()
        output = subprocess.run([sys.argv[2], "tokenize", file.name, "--model", folder], capture_output=True, check=True).stdout
    found = [json.loads(line)["ids"] for line in output.decode().split("\n") if line]
    wrong = [(t, a, model.encode(t)) for t, a in zip(items, found, strict=True) if a != model.encode(t)]
    print(name, len(wrong), "differences in", len(items)); print(*wrong[:3], sep="\n", end="\n" if wrong else "")

for name, options in MODELS.items():
    folder = f"{here}/sentencepiece-{name}"
    os.makedirs(folder, exist_ok=True)
    model = train(folder, options)
    with open(folder + "/cases.jsonl", "w") as file:
        for item in ["", " ", " a", "a ", "Hello  world\n", "\u200b", "  \u3000 "] + [text for text, _ in zip(texts(model, 3), range(150))]:
            ids = model.encode(item)
            file.write(json.dumps(dict(text=item, ids=ids, decoded=model.decode(ids))) + "\n")
    if len(sys.argv) > 2: compare(name, folder, model, int(sys.argv[3]))
if len(sys.argv) > 2:
    for name, options in OWN.items():
        with tempfile.TemporaryDirectory() as folder: compare(name, folder, train(folder, options), int(sys.argv[3]))
