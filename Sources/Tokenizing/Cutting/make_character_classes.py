"""Writes CharacterClassTable.swift: how the regular expressions of Hugging Face's tokenizers class every code point.

    python3 make_character_classes.py > CharacterClassTable.swift

Found by experiment, because the classes are those of the Oniguruma that is built into `tokenizers`, whose Unicode
version is its own. One question is asked of each code point and class: does the class match it.
The table in the repository was made with tokenizers 0.23.3 (Unicode 16).
"""

import tokenizers
from tokenizers import Regex, pre_tokenizers


def matching(pattern):
    """Code points that `pattern` removes from a text, surrogates excepted."""
    split = pre_tokenizers.Split(Regex(pattern), behavior="removed")
    found = set()
    for base in range(0, 0x110000, 4096):
        points = [p for p in range(base, base + 4096) if not 0xD800 <= p <= 0xDFFF]
        kept = {c for piece, _ in split.pre_tokenize_str("".join(map(chr, points))) for c in piece}
        found.update(p for p in points if chr(p) not in kept)
    return found


# In the order of `DetailedClass`; 0 is what none matches.
PATTERNS = [r"[\p{Lu}\p{Lt}]", r"\p{Ll}", r"[\p{Lm}\p{Lo}]", r"\p{N}", r"\s", r"\p{M}", r"\p{P}", r"\p{S}"]
kinds = {}
for number, pattern in enumerate(PATTERNS, 1):
    for point in matching(pattern):
        assert point not in kinds
        kinds[point] = number
assert matching(r"\p{L}") == {point for point, kind in kinds.items() if kind <= 3}
boundaries, last = [], None
for point in range(0x110000):
    kind = kinds.get(point, 0)
    if kind != last:
        boundaries.append(point << 4 | kind)
        last = kind

print(f"// Made by make_character_classes.py with tokenizers {tokenizers.__version__}; do not edit.")
print("// swift-format-ignore-file")
print()
print("/// Where the class of code points changes, in order: first code point × 16 + `DetailedClass`, in hexadecimal.")
print('let characterClassBoundaries: StaticString = """')
line = " "
for boundary in boundaries:
    item = f" {boundary:x}"
    if len(line) + len(item) > 118:
        print(line)
        line = " "
    line += item
print(line)
print('  """')
