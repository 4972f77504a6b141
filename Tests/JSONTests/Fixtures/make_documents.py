"""Random JSON documents with what Python's json makes of them, one a line: the document's bytes in hexadecimal, a tab, and
its value in the notation of `described`, or why it is refused.

    python3 make_documents.py 300 > documents.txt
    python3 make_documents.py 100000 > /tmp/documents.txt     # then SFT_JSON_DOCUMENTS=/tmp/documents.txt swift test …

What our reader refuses by design and Python does not is told apart here: a name twice in an object, a surrogate without
its other half, a name that holds U+0000, a number beyond a double's range, NaN and Infinity, more than 128 levels.
"""
import json
import math
import random
import struct
import sys

CHARACTERS = list("abcxyz 0189/\"\\\b\f\n\r\t\x01\x1f\x7f\u0080é€한\u2028\ufeff\ufffd\uffff") + [
    "\U00010000", "😀", "\U0001df2b", "\U0002d812", "\U0010ffff", "e\u0301"]
SPACES = ["", "", "", " ", "\n", "\t", "\r\n", "  \n "]
NUMBERS = """0 -0 0.0 -0.0 1 -1 0e0 0E+0 -0e-0 1e0 1E5 1e+5 1e-5 1.5e3 123456789012345678 999999999999999999
1000000000000000000 -1000000000000000000 9007199254740991 9007199254740992 9007199254740993 -9007199254740993
9223372036854775807 9223372036854775808 -9223372036854775808 -9223372036854775809 18446744073709551615
18446744073709551616 9223372036854775296 9223372036854776833 100000000000000000000000000000000000000 1e308 -1e308
1.7976931348623157e308 1.7976931348623158e308 1.7976931348623159e308 1e309 -1e309 1e400 123e999999999999999999 4.9e-324
5e-324 2.4703282292062327e-324 2.4703282292062328e-324 -1e-400 1e-999999999999999999 2.2250738585072014e-308
2.2250738585072011e-308 0.1 0.30000000000000004 1.0000000000000002 9007199254740993.0 0.000001 123456.789e-3""".split()
NUMBERS += ["1" + "0" * 308, "1" + "0" * 309, "9" * 400, "0." + "0" * 400 + "1", "1" * 25 + "." + "1" * 25 + "e-10",
            "0.1" + "0" * 60 + "1", "1" + "0" * 400 + "e-400"]
BROKEN = ["", " ", "NaN", "Infinity", "-Infinity", "nan", "+1", "01", "-01", "1.", ".5", "-", "1e", "1e+", "0x10", "1_0",
          "tru", "True", "nulll", "'a'", '"\\x41"', '"\\u12"', '"\\u12g4"', '"\\ud800"', '"\\udc00"', '"\\udc00\\ud800"',
          '"\\ud800\\ud800"', '"\\ud800x"', '"\\ud800\\n"', '"\\ud800\\', '"\n"', '"\x1f"', '"a', "[1,]", "[,1]", "[1 2]",
          "[", "]", "[}", '{"a"}', '{"a":}', '{"a":1,}', "{1:2}", '{"a" 1}', '{"a":1 "b":2}', "{,}", "1 2", "[] []", "//",
          "[1]/**/", "\ufeff1", "\v1", "\u00a01", '{"a":1}}', "\0", "1\0", '"\\uD83D\\u0041"', '"\\u 041"', '"\\u+041"']


def text(rng, null=0.02):
    return "".join("\0" if rng.random() < null else rng.choice(CHARACTERS) for _ in range(rng.choice([0, 1, 1, 2, 4, 8])))


def spelled_text(rng, value):
    out = '"'
    for character in value:
        short = {'"': '\\"', "\\": "\\\\", "/": "\\/", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
        escaped = character in '"\\' or ord(character) < 32 or rng.random() < 0.4
        if not escaped:
            out += character
        elif character in short and rng.random() < 0.6:
            out += short[character]
        else:
            units = character.encode("utf-16-be").hex()
            for start in range(0, len(units), 4):
                digits = units[start:start + 4]
                out += "\\u" + rng.choice([digits, digits.upper()])
    return out + '"'


def number(rng):
    kind = rng.random()
    if kind < 0.4:
        return rng.choice(NUMBERS)
    if kind < 0.6:
        return str(rng.randint(-10 ** rng.randint(1, 24), 10 ** rng.randint(1, 24)))
    if kind < 0.8:
        return repr(struct.unpack("<d", struct.pack("<Q", rng.getrandbits(64) & ~(1 << 62)))[0])
    digits = "".join(rng.choice("0123456789") for _ in range(rng.randint(1, 30)))
    fraction = "." + "".join(rng.choice("0123456789") for _ in range(rng.randint(1, 30))) if rng.random() < 0.7 else ""
    exponent = rng.choice("eE") + rng.choice(["", "+", "-"]) + str(rng.randint(0, 340)) if rng.random() < 0.6 else ""
    return rng.choice(["", "-"]) + (digits.lstrip("0") or "0") + fraction + exponent


def document(rng, depth=0):
    space = lambda: rng.choice(SPACES)
    kind = rng.random() if depth < 5 else rng.random() * 0.6
    if kind < 0.25:
        return number(rng)
    if kind < 0.5:
        return spelled_text(rng, text(rng))
    if kind < 0.6:
        return rng.choice(["null", "true", "false"])
    count = rng.choice([0, 1, 2, 3, 20 if depth == 0 and rng.random() < 0.1 else 1])
    if kind < 0.8:
        elements = [space() + document(rng, depth + 1) + space() for _ in range(count)]
        return "[" + (",".join(elements) or space()) + "]"
    names = [text(rng, null=0.001) + (str(index) if rng.random() < 0.9 else "") for index in range(count)]
    if count > 1 and rng.random() < 0.05:
        names[-1] = names[0]
    members = [space() + spelled_text(rng, name) + space() + ":" + space() + document(rng, depth + 1) + space()
               for name in names]
    return "{" + (",".join(members) or space()) + "}"


def damaged(rng, data):
    for _ in range(rng.randint(1, 3)):
        place = rng.randint(0, len(data))
        some = rng.choice([b"{", b"}", b"[", b"]", b'"', b",", b":", b"\\", b"\\u", b"0", b"1", b"e", b"-", b".", b" ",
                           b"\n", b"\0", b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xf0\x9f", b"\xf5", b"\xc0\xaf", b"t"])
        cut = rng.choice([0, 0, 1, 1, 4])
        data = data[:place] + rng.choice([some, b""]) + data[place + cut:]
    return data


def make(rng):
    kind = rng.random()
    if kind < 0.1:
        broken = rng.choice(BROKEN)
        around = rng.choice(["%s", "[%s]", '{"a":%s}', '[1, %s , "x"]', "%s\n"])
        return (around % broken).encode()
    if kind < 0.13:
        levels = rng.choice([2, 100, 127, 128, 129, 200])
        opening, closing = rng.choice([("[", "]"), ('{"a":', "}"), ('[{"b":', "}]")])
        levels //= len(closing)
        return (opening * levels + rng.choice(["1", '"x"', "[]", ""]) + closing * levels).encode()
    data = (rng.choice(SPACES) + document(rng) + rng.choice(SPACES)).encode()
    return damaged(rng, data) if rng.random() < 0.3 else data


class Refused(Exception):
    pass


def members(pairs):
    names = [name for name, _ in pairs]
    if any("\0" in name for name in names):
        raise Refused("null in name")
    if len(set(names)) < len(names):
        raise Refused("duplicate")
    return dict(pairs)


def constant(_):
    raise Refused("constant")


def depth(data):
    """Levels of valid JSON."""
    level = deepest = 0
    inside = escaped = False
    for byte in data:
        if inside:
            inside = byte != 0x22 or escaped
            escaped = byte == 0x5c and not escaped
        elif byte == 0x22:
            inside = True
        elif byte in b"[{":
            level += 1
            deepest = max(deepest, level)
        elif byte in b"]}":
            level -= 1
    return deepest


def described(value):
    """n, t, f; i and an integer of 64 bits; d and a double's bits; s and a string's UTF-8; lists and objects of them."""
    if value is None:
        return "n"
    if value is True or value is False:
        return "t" if value else "f"
    if isinstance(value, int) and -2 ** 63 <= value < 2 ** 63:
        return f"i{value}"
    if isinstance(value, (int, float)):
        try:
            value = float(value)
        except OverflowError:
            raise Refused("range")
        if not math.isfinite(value):
            raise Refused("range")
        return "d" + struct.pack(">d", value).hex()
    if isinstance(value, str):
        try:
            return "s" + value.encode().hex()
        except UnicodeEncodeError:
            raise Refused("surrogate")
    if isinstance(value, list):
        return "[" + ",".join(map(described, value)) + "]"
    return "{" + ",".join(described(name) + ":" + described(element) for name, element in value.items()) + "}"


def expected(data):
    try:
        value = json.loads(data.decode(), object_pairs_hook=members, parse_constant=constant)
        if depth(data) > 128:
            raise Refused("depth")
        return described(value)
    except Refused as reason:
        return f"!{reason}"
    except (ValueError, RecursionError):
        return "!invalid"


def main():
    sys.set_int_max_str_digits(0)
    rng = random.Random(20261124)
    for _ in range(int(sys.argv[1])):
        data = make(rng)
        print(data.hex() + "\t" + expected(data))


if __name__ == "__main__":
    main()
