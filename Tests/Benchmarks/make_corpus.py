#!/usr/bin/env python3
"""Distinct, seeded Alpaca records for timing `sft prepare`: python3 make_corpus.py MEGABYTES SEED > corpus.jsonl

MEGABYTES counts the rendered text (Alpaca prompt and answer). Words follow Zipf's law over 40,000 forms made of English
syllables, with numbers, punctuation, capitals, a little Korean and emoji, so that neither a word cache nor a
deduplication finds more than it would in real text."""
import bisect, itertools, json, random, sys
ON = "b bl br c ch cl d dr f fl g gr h j k l m n p pl pr qu r s sc sh sp st str t th tr v w wh".split() + [""] * 6
NU = "a e i o u ai ea ee ie oa oo ou".split(); CO = "b ck d g l ll m n nd ng nt p r rd rk rn s sh ss st t th x".split() + [""] * 12
END = ["", "", "", "s", "ed", "ing", "er", "ly", "tion", "ment", "ness", "able"]
COMMON = "the of and to a in is that it for was on are as with his they at be this have from or one had by word but not what all were we when your can said there use an each which she do how their if will up other about out many then them these so some her would make like him into time has look two more write go see number no way could people my than first water been call who oil its now find long down day did get come made may part".split()
HANGUL = ["안녕하세요", "메모리는 데이터를 저장합니다", "서울은 한국의 수도입니다"]; EXTRA = ["🦊", "café", "naïve", "€5", "“so”", "—", "Zürich"]
PREAMBLE, WITH = 165, 245

class Text:
    """Seeded sentences over `words`, the most frequent first."""
    def __init__(self, seed):
        self.rnd = rnd = random.Random(seed)
        syllable = lambda: rnd.choice(ON) + rnd.choice(NU) + rnd.choice(CO)
        self.words, seen = list(COMMON), set(COMMON)
        while len(self.words) < 40000:
            w = "".join(syllable() for _ in range(rnd.choice([1, 1, 2, 2, 2, 3]))) + rnd.choice(END)
            if len(w) > 2 and w not in seen: seen.add(w); self.words.append(w)
        self.total = list(itertools.accumulate(1 / (r + 2.7) for r in range(len(self.words))))
    def sentence(self):
        rnd, out = self.rnd, []
        for _ in range(rnd.randint(5, 18)):
            x = rnd.random()
            if x < .03: w = str(rnd.randint(0, 10 ** rnd.randint(1, 6)))
            elif x < .035: w = rnd.choice(HANGUL)
            elif x < .045: w = rnd.choice(EXTRA)
            else: w = self.words[bisect.bisect(self.total, rnd.random() * self.total[-1])]
            if rnd.random() < .06: w = w.capitalize()
            if rnd.random() < .08: w += rnd.choice([",", ",", ";", ":", "'s", "n't"])
            out.append(w)
        text = " ".join(out); return text[:1].upper() + text[1:] + rnd.choice(".....?!")
    def record(self):
        return dict(instruction=self.sentence(), input=self.sentence() if self.rnd.random() < .4 else "",
                    output=" ".join(self.sentence() for _ in range(self.rnd.randint(1, 4))))

if __name__ == "__main__":
    size, limit, text = 0, float(sys.argv[1]) * 1e6, Text(int(sys.argv[2]))
    while size < limit:
        r = text.record()
        size += sum(len(v.encode()) for v in r.values()) + (WITH if r["input"] else PREAMBLE)
        sys.stdout.write(json.dumps(r, ensure_ascii=False) + "\n")
