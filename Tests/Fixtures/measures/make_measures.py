#!/usr/bin/env python3
"""Measures of answers, by other people's code where there is some (rouge-score 0.1.2 from PyPI) and by plain Python.

    python3 make_measures.py > measures.json

SQuAD's normalisation and F1 are those of the official evaluate-v2.0.py. The bootstrap draws from SplitMix64 as this
project seeds it, so that the same questions are drawn.
"""
import collections, json, math, random, re, string, sys
from rouge_score import rouge_scorer

def normalize_answer(s):                                  # evaluate-v2.0.py
    def remove_articles(text): return re.sub(re.compile(r"\b(a|an|the)\b", re.UNICODE), " ", text)
    def white_space_fix(text): return " ".join(text.split())
    def remove_punc(text): return "".join(ch for ch in text if ch not in set(string.punctuation))
    return white_space_fix(remove_articles(remove_punc(s.lower())))
def compute_f1(a_gold, a_pred):
    gold, pred = normalize_answer(a_gold).split(), normalize_answer(a_pred).split()
    same = sum((collections.Counter(gold) & collections.Counter(pred)).values())
    if not gold or not pred: return float(gold == pred)
    if same == 0: return 0.0
    p, r = same / len(pred), same / len(gold)
    return 2 * p * r / (p + r)

scorer = rouge_scorer.RougeScorer(["rougeL"], use_stemmer=False)
fixed = [("", ""), ("", "word"), ("word", ""), ("the", "a"), ("The  Cat!", "cat"), ("a cat, an owl; the fox", "owl cat fox"),
         (" 42 ", "42"), ("42.", "42"), ("don't", "dont"), ("snake_case a_b", "snake case ab"), ("theory another", "ory other"),
         ("서울입니다. 🎉", "서울입니다"), ("한국의 수도는 서울이다", "수도는 서울이다"), ("naïve café", "naïve cafe\u0301"),
         ("“the” end", "end"), ("a’b the–x", "b x"), ("Straße ΣΑΣ", "straße σας"), ("\u00a0x\u2003y\n", "x y"), ("K Å İ", "k å i̇"),
         ("x-y z", "x y-z"), ("One two\tTHREE four", "three one two four"), ("日本語です", "日本です"), ("1,000.5", "1000.5"),
         ("the the cat cat", "cat"), ("!!!", "???"), ("a an the", "")]
rng = random.Random(7)
words = "the a an of otter Otter gecko, crab. moth 7 72 = 79 sorts Sorting it's it is; über Über 서울 数 x_y".split()
for _ in range(150):
    one = [rng.choice(words) for _ in range(rng.randrange(0, 14))]
    two = [w for w in one if rng.random() < 0.7] + [rng.choice(words) for _ in range(rng.randrange(0, 6))]
    if rng.random() < 0.3: rng.shuffle(two)
    fixed.append((" ".join(one), rng.choice([" ", "  ", "\n"]).join(two)))
texts = [dict(answer=a, reference=r, exact=a.strip() == r.strip(), normalised=normalize_answer(a) == normalize_answer(r),
              words=normalize_answer(a).split(), f1=compute_f1(r, a), rouge_l=scorer.score(r, a)["rougeL"].fmeasure)
         for a, r in fixed]

MASK = (1 << 64) - 1
def mix(z):
    z = ((z ^ (z >> 30)) * 0xbf58476d1ce4e5b9) & MASK
    z = ((z ^ (z >> 27)) * 0x94d049bb133111eb) & MASK
    return z ^ (z >> 31)
class SplitMix:
    def __init__(self, seed, stream): self.state = mix((seed + mix((stream + 0x632be59bd9b4e019) & MASK)) & MASK)
    def next(self):
        self.state = (self.state + 0x9e3779b97f4a7c15) & MASK
        return mix(self.state)
    def below(self, bound):
        limit = MASK - MASK % bound
        while True:
            value = self.next()
            if value < limit: return value % bound
def percentile(xs, q):                                     # numpy's default, linear
    xs = sorted(xs); at = q * (len(xs) - 1); low = math.floor(at); high = min(low + 1, len(xs) - 1)
    return xs[low] + (at - low) * (xs[high] - xs[low])
def mean(pairs):
    return (sum(p["tuned"] * p["tuned_weight"] for p in pairs) / sum(p["tuned_weight"] for p in pairs)
            - sum(p["base"] * p["base_weight"] for p in pairs) / sum(p["base_weight"] for p in pairs))
bootstraps = []
for n, seed, weighted in [(2, 1, False), (9, 42, False), (40, 7, True), (100, 3, False)]:
    pairs = [dict(base=rng.gauss(0, 1), tuned=rng.gauss(0.3, 1), base_weight=float(rng.randrange(1, 9)) if weighted else 1.0)
             for _ in range(n)]
    for p in pairs: p["tuned_weight"] = p["base_weight"] if rng.random() < 0.5 or not weighted else float(rng.randrange(1, 9))
    g = SplitMix(seed, 0x626f6f74); draws = [mean([pairs[g.below(n)] for _ in range(n)]) for _ in range(1000)]
    bootstraps.append(dict(pairs=pairs, seed=seed, resamples=1000, difference=mean(pairs), low=percentile(draws, 0.025),
                           high=percentile(draws, 0.975)))
signs = [dict(wins=w, losses=l, p=min(1.0, float(2 * sum(math.comb(w + l, k) for k in range(min(w, l) + 1)) / 2 ** (w + l))))
         for w, l in [(0, 0), (1, 0), (5, 0), (6, 0), (8, 2), (2, 8), (7, 7), (60, 40), (1200, 1100), (0, 2000)]]
json.dump(dict(texts=texts, bootstraps=bootstraps, signs=signs), sys.stdout, ensure_ascii=False, indent=0)
print()
