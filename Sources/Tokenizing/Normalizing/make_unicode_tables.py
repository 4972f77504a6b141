"""Writes UnicodeTables.swift: decompositions, compositions and combining classes as Hugging Face's tokenizers has them.

    python3 make_unicode_tables.py > UnicodeTables.swift

Found by experiment, because the tables are those of the crate that is built into `tokenizers`, whose Unicode version is
its own: NFD and NFKD of each code point are asked for; a code point's combining class is what it sorts before and after;
a pair composes where NFC of both is the code point that they are the decomposition of. Hangul syllables are left out:
they are computed.
The tables in the repository were made with tokenizers 0.23.3.
"""

import unicodedata

import tokenizers
from tokenizers import normalizers

NFC, NFD, NFKD = (getattr(normalizers, name)().normalize_str for name in ("NFC", "NFD", "NFKD"))
POINTS = [p for p in range(0x110000) if not 0xD800 <= p <= 0xDFFF and not 0xAC00 <= p <= 0xD7A3]

# A mark of each class: one that is moved before U+0345, which has the greatest, or that itself.
LAST = "\u0345"
marks = {}
for p in POINTS:
    c = chr(p)
    if unicodedata.combining(c) and NFD(c) == c and (NFD(LAST + c) != LAST + c or c == LAST):
        marks.setdefault(unicodedata.combining(c), c)
classes = {}
for p in POINTS:
    c = chr(p)
    if NFD(c) != c:
        continue
    above = [k for k, mark in marks.items() if NFD(mark + c) != mark + c]
    below = [k for k, mark in marks.items() if NFD(c + mark) != c + mark]
    if above or below:
        # Its class is less than all of `above`, more than all of `below`: the one in between.
        (classes[p],) = [k for k in marks if k not in above and k not in below]

canonical = {p: NFD(chr(p)) for p in POINTS if NFD(chr(p)) != chr(p)}
compatible = {p: NFKD(chr(p)) for p in POINTS if NFKD(chr(p)) != NFD(chr(p))}
pairs = {}
for p, text in canonical.items():
    if len(text) > 1 and NFC(text) == chr(p):
        first = NFC(text[:-1])
        assert len(first) == 1 and NFC(first + text[-1]) == chr(p) and NFD(first) == text[:-1]
        pairs[p] = first + text[-1]


def show(name, comment, items):
    print()
    print("/// " + comment)
    print(f'let {name}: StaticString = """')
    line = " "
    for item in items:
        if len(line) + len(item) > 117:
            print(line)
            line = " "
        line += " " + item
    print(line)
    print('  """')


points = lambda text: " ".join(f"{ord(c):x}" for c in text)
print(f"// Made by make_unicode_tables.py with tokenizers {tokenizers.__version__}; do not edit.")
print("// swift-format-ignore-file")
show("canonicalDecompositions", "Code point and its whole canonical decomposition where it has no composition, a semicolon after each.",
     [f"{p:x} {points(text)};" for p, text in canonical.items() if p not in pairs])
show("compatibleDecompositions", "The same for compatibility, where it differs from the canonical one.",
     [f"{p:x} {points(text)};" for p, text in compatible.items()])
show("compositions", "Code point and the two that compose to it, which with the first one's decomposition are its own.", [f"{p:x} {points(text)};" for p, text in pairs.items()])
show("combiningClasses", "Code point and its combining class where that is not 0.",
     [f"{p:x} {k:x};" for p, k in classes.items()])
