"""Makes the tokenizers in this folder and what Hugging Face's tokenizers encodes and decodes with them.

    python3 make_fixtures.py        # in this folder; made with tokenizers 0.23.3

One vocabulary is trained on text that is not cut into words, so that its merges cross the boundaries of words: a word
that is cut wrongly then has other ids. Each tokenizer has its own folder; golden.json there holds, for every text of
texts.json, the ids with special tokens as plain text and (if they differ) as special tokens, and decoded id lists.
"""

import copy
import json
import os
import random

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
QWEN2 = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")
GPT4 = (
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+"
)
SPACES = [chr(c) for c in (9, 10, 11, 12, 13, 32, 0x85, 0xA0, 0x1680, 0x2003, 0x2028, 0x202F, 0x3000, 0x200B, 0x1C)]
WORDS = (
    "the a and of Below is an instruction that describes task Write response ### Instruction: Response: don't we'll "
    "I'm they've WE'LL it'S 1234567 3.14 42 foo_bar C++ (x) naïve Straße 한국어 안녕하세요 日本語 Привет мир مرحبا ١٢٣ Ⅳ ½ x² "
    "🇰🇷 👩🏽‍🚀 e\u0301 ﬁ 'ſ \u0378 \U000e0001 \U0001e900 ꙮ \x00 \x7f ... -- != \"quoted\" é ç"
).split(" ")
ADDED = ["<|endoftext|>", "<|endoftext", "<tool>", "<tool>x", "  ", "a b", "é", "[S]", "[SPECIAL]", "Response:", "<lr>", "<|"]
random_source = random.Random(20)


def random_text(extra):
    """Words, white space of every kind, runs, and code points of all planes."""
    text = ""
    for _ in range(random_source.randrange(1, 9)):
        kind = random_source.randrange(9)
        if kind < 4:
            text += random_source.choice(["", " ", " ", "\n"]) + random_source.choice(WORDS)
        elif kind == 4:
            text += "".join(random_source.choice(SPACES) for _ in range(random_source.randrange(1, 5)))
        elif kind == 5:
            text += random_source.choice(SPACES + list("ae1-'")) * random_source.randrange(1, 9)
        elif kind == 6 and extra:
            text += random_source.choice(ADDED)
        elif kind == 7:
            point = random_source.choice([0x80, 0x800, 0x3000, 0x10000, 0x20000, 0x110000])
            point = random_source.randrange(point)
            text += chr(point) if not 0xD800 <= point <= 0xDFFF else "\ufffd"
        else:
            text += random_source.choice("'’ .,:0") + random_source.choice(["s", "ll", "LL", "re", "x", "7", "\r\n"])
    return text


def trained():
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    trainer = trainers.BpeTrainer(
        vocab_size=640, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), max_token_length=8, show_progress=False
    )
    tokenizer.train_from_iterator([random_text(False) for _ in range(4000)], trainer)
    tokenizer.decoder = decoders.ByteLevel()
    return json.loads(tokenizer.to_str())


def added(id, content, **flags):
    token = dict(id=id, content=content, single_word=False, lstrip=False, rstrip=False, normalized=False, special=True)
    return token | flags


def byte_level(**settings):
    return dict(type="ByteLevel", add_prefix_space=False, trim_offsets=True, use_regex=True) | settings


def split(regex, behavior="Isolated", invert=False):
    return dict(type="Split", pattern=dict(Regex=regex), behavior=behavior, invert=invert)


def sequence(*parts):
    return dict(type="Sequence", pretokenizers=list(parts))


def variants(base):
    count = len(base["model"]["vocab"])
    end = [added(count, "<|endoftext|>")]

    def make(pre_tokenizer, tokens=end, **model):
        result = copy.deepcopy(base)
        result["pre_tokenizer"] = pre_tokenizer
        result["added_tokens"] = tokens
        result["model"] |= model
        return result

    gpt2 = make(byte_level())
    gpt2["model"]["vocab"]["<|endoftext|>"] = count
    yield "gpt2", gpt2
    strings = [" ".join(pair) for pair in base["model"]["merges"]]
    yield "prefix", make(byte_level(add_prefix_space=True), merges=strings)
    yield "uncut", make(byte_level(use_regex=False))
    yield "digits", make(sequence(dict(type="Digits", individual_digits=True), byte_level()))
    words = dict(base["model"]["vocab"])
    for word in ("Ġinstruction", "describes", "Ġtheatre", "íķľêµŃìĸ´"):
        words.setdefault(word, len(words))
    llama3 = make(sequence(split(LLAMA3), byte_level(use_regex=False)), vocab=words, ignore_merges=True)
    llama3["added_tokens"] = [added(len(words), "<|begin_of_text|>"), added(len(words) + 1, "<|endoftext|>")]
    llama3["post_processor"] = dict(
        type="Sequence",
        processors=[
            byte_level(),
            dict(
                type="TemplateProcessing",
                single=[
                    dict(SpecialToken=dict(id="<|begin_of_text|>", type_id=0)), dict(Sequence=dict(id="A", type_id=0))
                ],
                pair=[dict(Sequence=dict(id="A", type_id=0)), dict(Sequence=dict(id="B", type_id=1))],
                special_tokens={
                    "<|begin_of_text|>": dict(
                        id="<|begin_of_text|>", ids=[len(words)], tokens=["<|begin_of_text|>"])
                },
            ),
        ],
    )
    yield "llama3", llama3
    yield "qwen2", make(sequence(split(QWEN2, "Removed", True), byte_level(use_regex=False)))
    yield "gpt4", make(sequence(split(GPT4), byte_level(use_regex=False)))
    tokens = end + [
        added(count + 1, "<tool>", special=False, rstrip=True),
        added(count + 2, "<tool>x"),
        added(count + 3, "  ", special=False, normalized=True),
        added(count + 4, "a b", special=False, normalized=True),
        added(count + 5, "[S]", lstrip=True, rstrip=True),
        added(count + 6, "[SPECIAL]", normalized=True),
        added(count + 7, "Response:", special=False, lstrip=True),
        added(count + 8, "<lr>", lstrip=True, rstrip=True, special=False, normalized=True),
        added(count + 9, "éé", special=False),
        added(base["model"]["vocab"]["é"], "é", special=False),
    ]
    yield "added", make(byte_level(), tokens=tokens)
    yield "added-prefix", make(byte_level(add_prefix_space=True), tokens=tokens)


def main():
    base = trained()
    texts = ["", " ", "\n", "a", "'", "'s", " 's", "<|endoftext|>", "a<|endoftext|> b", "\x00", "\r\n\r\n  x"]
    texts += [" " * 70 + "x", "a" * 90, "\n" * 50, "-" * 64, "ab" * 40, "한국어" * 20]
    texts += [random_text(True) for _ in range(260)]
    json.dump(texts, open("texts.json", "w"), ensure_ascii=False, indent=0)
    for name, content in variants(base):
        os.makedirs(name, exist_ok=True)
        path = f"{name}/tokenizer.json"
        json.dump(content, open(path, "w"), ensure_ascii=False, separators=(",", ":"))
        tokenizer = Tokenizer.from_file(path)
        golden = dict(plain=[], special={}, decoded=[])
        for index, text in enumerate(texts):
            tokenizer.encode_special_tokens = True
            plain = tokenizer.encode(text, add_special_tokens=False).ids
            tokenizer.encode_special_tokens = False
            special = tokenizer.encode(text, add_special_tokens=False).ids
            golden["plain"].append(plain)
            if special != plain:
                golden["special"][str(index)] = special
        ids = sorted(tokenizer.get_vocab().values())
        for _ in range(60):
            some = random_source.choices(ids, k=random_source.randrange(1, 12)) + random_source.choices(ids[-12:], k=2)
            golden["decoded"].append([some, tokenizer.decode(some, False), tokenizer.decode(some, True)])
        json.dump(golden, open(f"{name}/golden.json", "w"), ensure_ascii=False, separators=(",", ":"))
        if name == "gpt2":
            os.makedirs("gpt2-files", exist_ok=True)
            json.dump(content["model"]["vocab"], open("gpt2-files/vocab.json", "w"), ensure_ascii=False)
            with open("gpt2-files/merges.txt", "w") as file:
                file.write("#version: 0.2\n" + "".join(" ".join(m) + "\n" for m in content["model"]["merges"]))


main()
