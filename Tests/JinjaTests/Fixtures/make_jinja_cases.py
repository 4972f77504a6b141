#!/usr/bin/env python3
"""Cases for the template interpreter, rendered by Python's jinja2 as transformers sets it up.

    python3 make_jinja_cases.py OUT.jsonl --seed N --count 1500

Expressions and statements are put together at random from pieces that chat templates use, and from others; every case
is {"source", "variables", "text"} or {"source", "variables", "error"}. What Python prints of objects without a text of
their own (<generator …>, addresses) is left out, and so are integers beyond 64 bits, complex numbers, and
what jinja2 refuses or works out before it renders: filters that do not exist, slices and keys of constants.
"""
import argparse, json, random, re, warnings
from datetime import datetime
import jinja2, jinja2.ext
from jinja2.sandbox import ImmutableSandboxedEnvironment

warnings.simplefilter("ignore")
ap = argparse.ArgumentParser(); ap.add_argument("out"); ap.add_argument("--seed", type=int, required=True)
ap.add_argument("--count", type=int, default=1500); a = ap.parse_args(); R = random.Random(a.seed)

def raise_exception(m): raise jinja2.exceptions.TemplateError(m)
env = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[jinja2.ext.loopcontrols])
env.filters["tojson"] = lambda x, ensure_ascii=False, indent=None, separators=None, sort_keys=False: json.dumps(
    x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)
env.globals["raise_exception"] = raise_exception
env.globals["strftime_now"] = lambda f: datetime(2024, 7, 26, 14, 5, 9).strftime(f)

V = dict(
    s="Hello, World", e="", k="서울 안녕", u="  \u3000padded\u00a0\n", q="it's \"quoted\" <b>&amp;</b>\t\\", n=7, z=0, m=-3,
    f=2.5, g=-0.125, big=1e16, tiny=1e-7, t=True, no=False, nil=None, l=[3, 1, 2], ls=["b", "A", "c", "a"], el=[],
    nested=[[1, 2], [3, [4, "x"]], []], d={"b": 1, "a": {"k": "v", "items": [1]}, "C": None}, ed={},
    rows=[{"name": "x", "n": 2, "in": {"v": "p"}}, {"name": "Y", "n": 1, "in": {"v": "q"}}, {"name": "z", "n": 2}],
    words="one two  three\nfour\tfive", think="<think>\nplan\n</think>\n\nanswer", x="ΑΣ ß ǆ İ ﬁ 1½ ٣",
    messages=[{"role": "system", "content": " Be brief. "}, {"role": "user", "content": "안녕?\n"},
              {"role": "assistant", "content": "<think>a</think>Hi", "tool_calls": [{"function": {"name": "w", "arguments": {"city": "서울", "n": 1.0, "ok": True, "x": None}}}]},
              {"role": "user", "content": [{"type": "text", "text": "part"}, {"type": "image"}]}])
NAMES = list(V) + ["missing", "loop", "range", "namespace"]
STR = ["s", "e", "k", "u", "q", "words", "think", "x"]; LIST = ["l", "ls", "el", "nested", "rows", "messages"]; NUM = ["n", "z", "m", "f", "g", "t", "big", "tiny"]
pick = R.choice
LITS = ["'a'", '"b"', "''", "' '", "'\\n'", "'</think>'", "'한'", "0", "1", "2", "-1", "3.0", "1e3", "true", "false", "none", "[]", "{}", "'role'", "'%s-%d'", "'{} {}'", "'A'", "', '"]
SM = ["strip()", "lstrip()", "rstrip()", "strip('\\n')", "rstrip('d!')", "lstrip('He')", "upper()", "lower()", "title()", "capitalize()", "split()", "split(' ')", "split(',')", "split('</think>')[-1]", "split('</think>')[0]",
      "rsplit(' ', 1)", "split(none, 1)", "split(' ', 2)", "replace('o', '0')", "replace('', '-')", "replace('l', 'L', 1)", "startswith('He')", "endswith('ld')", "startswith(('a', 'H'))", "find('o')", "rfind('o')", "find('zz')", "count('l')",
      "count('')", "index('e')", "splitlines()", "splitlines(true)", "partition(' ')", "rpartition(' ')", "join(ls)", "join(['x', 'y'])", "isdigit()", "isalpha()", "isalnum()", "isspace()", "isupper()", "islower()", "isnumeric()", "isdecimal()", "center(20, '*')",
      "ljust(15)", "rjust(15, '-')", "zfill(14)", "swapcase()", "removeprefix('He')", "removesuffix('ld')", "expandtabs(4)", "format(1, 'b')", "format(a=1)", "encode()", "foo()", "casefold()", "isascii()", "isidentifier()", "find('o', 5)", "count('o', 0, -3)", "startswith('W', 7)"]
DM = ["get('a')", "get('zz')", "get('zz', 'dflt')", "keys() | list", "values() | list", "items() | list", "items()", "keys()", "pop('a')", "a.k", "a.items", "a['items']", "b", "C", "zz", "get('a', {}).get('k')", "copy()", "update({})"]
LM = ["index(1)", "count(2)", "append(1)", "copy()", "foo", "0", "1", "9"]
FILTERS = ["trim", "upper", "lower", "title", "capitalize", "length", "count", "string", "tojson", "tojson(indent=2)", "tojson(indent=4, sort_keys=true)", "tojson(separators=(',', ':'))", "tojson(ensure_ascii=true)", "list", "first", "last", "join", "join(', ')", "join('-', attribute='name')",
           "default('D')", "default('D', true)", "d('x')", "default", "items | list", "dictsort", "dictsort(by='value')", "dictsort(true)", "sort", "sort(reverse=true)", "sort(attribute='n')", "sort(attribute='n,name')", "sort(case_sensitive=true)", "unique | list", "reverse | list", "reverse", "map('upper') | list",
           "map(attribute='name') | list", "map(attribute='in.v', default='-') | list", "map('string') | join('|')", "map('default', 'x') | list", "selectattr('n', 'equalto', 2) | list | length", "selectattr('in') | map(attribute='name') | list", "rejectattr('in') | list | length",
           "selectattr('role', 'in', ['user', 'system']) | map(attribute='role') | join(',')", "selectattr('role', 'equalto', 'user') | list | length", "select('string') | list", "select | list", "reject('none') | list", "select('odd') | list", "select('gt', 1) | list", "replace('a', 'b')", "replace('o', '0', 1)", "replace(1, 2)",
           "int", "int(5)", "int(base=16)", "float", "float(1.5)", "abs", "round", "round(1)", "round(2, 'floor')", "round(method='ceil')", "sum", "sum(attribute='n')", "sum(start=10)", "min", "max", "min(attribute='n')", "batch(2) | list", "batch(2, 'f') | list", "slice(2) | list", "slice(2, 'f') | list",
           "indent", "indent(2, true)", "indent(2, blank=true)", "truncate(5)", "truncate(8, true)", "truncate(9, false, '..', 0)", "wordcount", "center(20)", "escape", "e", "safe", "safe | upper", "urlencode", "format(1, 2)", "groupby('n') | list | length", "groupby('n') | map(attribute='grouper') | list", "attr('n')", "filesizeformat", "forceescape",
           "trim('He')", "trim('\\n ')", "nosuch", "map", "first | default('none')", "list | length", "length > 2"]
TESTS = ["defined", "undefined", "none", "string", "mapping", "iterable", "sequence", "number", "integer", "float", "boolean", "true", "false", "odd", "even", "divisibleby(3)", "divisibleby 2", "lower", "upper", "sameas(none)", "sameas true", "in([1, 2, 7])", "in 'Hello, World'", "eq(7)", "equalto 'a'", "ne 1", "gt 1",
         "lt(3)", "ge 2", "le 2", "callable", "escaped", "filter", "nosuch"]
BIN = ["+", "+", "+", "-", "*", "/", "//", "%", "**", "~", "~", "==", "!=", "<", ">", "<=", ">=", "and", "or", "in", "not in"]
SUB = ["[0]", "[-1]", "[1:]", "[:-1]", "[::-1]", "[:2]", "[1:3]", "[::2]", "[-2:]", "[5]", "['a']", "['role']", ".role", ".content", ".name", ".a.k", "[0].content", "[-1]['role']", "[10:]", "[:0]", "[-1:0:-1]", "[none:2]", ".0", "[s]", "['zz']", ".zz", ".zz.y", "[n]"]

def atom():
    r = R.random()
    if r < .45: return pick(NAMES)
    if r < .7: return pick(LITS)
    if r < .76: return "[" + ", ".join(expr(0) for _ in range(R.randint(0, 3))) + "]"
    if r < .79: return "(" + ", ".join(expr(0) for _ in range(R.randint(1, 3))) + ",)"
    if r < .83: return "{" + ", ".join(f"{pick(LITS)}: {expr(0)}" for _ in range(R.randint(0, 2))) + "}"
    if r < .87: return pick(["range(3)", "range(1, 8, 3)", "range(5, 0, -2)", "dict(a=1, b='x')", "dict(d, z=3)", "strftime_now('%d %b %Y')", "strftime_now('%Y-%m-%d %H:%M:%S %A %j %B %p %I %y %%')", "namespace(a=1).a", "range(n)", "dict([(1, 2)])"])
    if r < .93: return pick(STR) + "." + pick(SM)
    if r < .96: return "d." + pick(DM)
    return pick(["l", "ls", "nested"]) + "." + pick(LM)

def expr(depth=2):
    r = R.random()
    if depth <= 0 or r < .12: return atom()
    if r < .30: return f"{expr(depth - 1)} {pick(BIN)} {expr(depth - 1)}"
    if r < .36: return f"({expr(depth - 1)} {pick(BIN)} {expr(depth - 1)})"
    if r < .60: return f"{pick([atom, lambda: '(' + expr(depth - 1) + ')'])()} | {pick(FILTERS)}"
    if r < .72: return f"{atom()}{pick(SUB)}"
    if r < .80: return f"{atom()} is {pick(['', '', 'not '])}{pick(TESTS)}"
    if r < .85: return f"not {expr(depth - 1)}"
    if r < .93: return f"{expr(depth - 1)} if {expr(depth - 1)}" + ("" if R.random() < .2 else f" else {expr(depth - 1)}")
    return f"{pick(['-', '+'])}{pick(NUM)} {pick(['+', '*', '//', '%', '-', '/', '**'])} {pick(NUM + ['3', '2.5', '-2'])}"

def b(body): return pick(["{% ", "{% ", "{%- ", "{%+ "]) + body + pick([" %}", " %}", " -%}", " +%}"])
def o(e): return pick(["{{ ", "{{ ", "{{- "]) + e + pick([" }}", " }}", " -}}"])
TEXT = ["\n", "\n", "  ", "text", " a\n", "\n  b ", "\t", "<|im_start|>", "한글", "\r\n", "\n\n", "}", "{", "%", "#}"]
LOOP = ["loop.index", "loop.index0", "loop.first", "loop.last", "loop.length", "loop.revindex", "loop.revindex0", "loop.previtem", "loop.nextitem", "loop.cycle('a', 'b')", "loop.changed(i)", "loop.depth", "i", "i", "j"]
def block(depth=2):
    r = R.random()
    if depth <= 0 or r < .25: return pick(TEXT) + o(expr(1)) + pick(TEXT)
    if r < .35: return b("if " + expr(1)) + body(depth - 1) + (b("elif " + expr(1)) + body(depth - 1) if R.random() < .3 else "") + (b("else") + body(depth - 1) if R.random() < .5 else "") + b("endif")
    if r < .52:
        it = pick(LIST + ["d", "s", "range(4)", "d.items()", "k", "missing", "n", expr(1), "rows", "messages", "messages[1:]"])
        target = "i, j" if "items()" in it and R.random() < .9 else "i"
        return b(f"for {target} in {it}" + (pick([" if i", " if i is string", " if loop.first", " if i != 1"]) if R.random() < .2 else "")) + o(pick(LOOP)) + body(depth - 1) + pick(["", "", "{% if loop.index0 == 1 %}{% break %}{% endif %}", "{% if i == 1 %}{% continue %}{% endif %}after"]) + (b("else") + body(depth - 1) if R.random() < .2 else "") + b("endfor")
    if r < .62: v = pick(["v", "w", "s", "n"]); return b(f"set {v} = {expr(1)}") + body(depth - 1) + o(v)
    if r < .67: return b("set ns = namespace(a=0, t='')") + b(f"for i in {pick(LIST)}") + b("set ns.a = ns.a + 1") + b("set ns.t = ns.t ~ i") + b("set a = 5") + b("endfor") + o("ns.a") + o("ns.t") + o("a")
    if r < .75:
        return b("macro m(p, r='d', n=2)") + body(depth - 1) + o("p ~ r") + pick(["", o("varargs"), o("kwargs"), o("caller()")]) + b("endmacro") + o(pick(["m(1)", "m('x', 'y')", "m(r=3)", "m(s, n=l)", "m(1, 2, 3, 4)", "m(q=1)", "m()", "m(m(1))", "m.name ~ m.arguments | string"]))
    if r < .79: return b("set cap") + body(depth - 1) + b("endset") + o(pick(["cap", "cap | trim", "cap | length", "cap.strip() ~ '|'"]))
    if r < .82: return b("set cap | " + pick(["trim", "upper", "replace('a', 'b')"])) + body(depth - 1) + b("endset") + o("cap")
    if r < .85: return b("filter " + pick(["upper", "trim", "indent(2)", "replace('e', 'E')"])) + body(depth - 1) + b("endfilter")
    if r < .88: return b(f"with v = {expr(1)}, w = v") + o("v") + o("w") + body(depth - 1) + b("endwith")
    if r < .91: return pick(["{# note #}", "{#- note -#}", "  {# a\n b #}\n", "{#+ c #}", "{% raw %}{{ x }}{% endraw %}", "  {%- raw -%} {% if %} {%- endraw %}\n"])
    if r < .94: return b("macro c(p='P')") + "[" + o("caller(p)") + "]" + b("endmacro") + b("call(y) c(" + pick(["", "1", "s"]) + ")") + o("y") + body(depth - 1) + b("endcall")
    if r < .96: return b("for r in nested recursive") + o("loop.depth") + pick([o("loop(r)"), "{% if r is iterable and r is not string %}{{ loop(r) }}{% else %}{{ r }}{% endif %}"]) + b("endfor")
    if r < .98: return b("set c = cycler('a', 'b')") + b("set jn = joiner('; ')") + b("for i in l") + o("jn()") + o("c.next()") + b("endfor") + o("c.current")
    return o("raise_exception('no: ' ~ " + expr(1) + ")") if R.random() < .3 else b("print " + expr(1))
def body(depth): return "".join(pick([lambda: pick(TEXT), lambda: block(depth)])() for _ in range(R.randint(1, 3)))

BAD = re.compile(r"<(generator|function|bound|built-in|Macro|LoopContext|class|jinja2|list_reverse|dict_|reversed|range_|callable|str_|tuple_|method|macro)|0x[0-9a-f]{6,}|object at|_GroupTuple|Undefined|\dj\)", re.I)
SKIP = re.compile(r"random|pprint|encode\(|casefold|\bnamespace\b(?!\()|\brange\b(?!\()|(\d|\}|true|false|none)\[[^\]]*:|\{\{\}:|\{\[\]:|[{ ]\{\}: |, \{\}:")
def usable(text, source): return not BAD.search(text) and not re.search(r"\d{19,}", text) and len(text) < 3000 and not SKIP.search(source)

made = 0; seen = set()
with open(a.out, "w", encoding="utf-8") as f:
    while made < a.count:
        src = o(expr(R.randint(1, 3))) if R.random() < .55 else body(R.randint(1, 3))
        if src in seen or len(src) > 900: continue
        seen.add(src); row = dict(source=src, variables={n: v for n, v in V.items() if n in src})
        try:
            text = env.from_string(src).render(**V); text.encode()
            if not usable(text, src): continue
            row["text"] = text
        except (OverflowError, MemoryError, RecursionError, jinja2.exceptions.TemplateAssertionError): continue
        except Exception as x:
            if SKIP.search(src): continue
            row["error"] = f"{type(x).__name__}: {x}"[:120]
            if R.random() < .5: continue
        f.write(json.dumps(row, ensure_ascii=False) + "\n"); made += 1
print(made)
