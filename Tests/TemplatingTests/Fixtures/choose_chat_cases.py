#!/usr/bin/env python3
"""Makes the fixtures of the chat template tests from what make_chat_reference.py has written.

    python3 make_chat_reference.py DIR --seed N && python3 choose_chat_cases.py DIR .

Writes chat_cases.json with every rendering's text, mask or error, and the ids of every seventh (the others' follow from
their text); and tokenizer.json beside it.
"""
import json, shutil, sys

source, out = sys.argv[1:]
cases = json.load(open(source + "/chat_cases.json", encoding="utf-8"))
for place, case in enumerate(cases["cases"]):
    if place % 7 and "mask" not in case:
        case.pop("ids", None)
    case.pop("error_type", None)
with open(out + "/chat_cases.json", "w", encoding="utf-8") as file:
    json.dump(cases, file, ensure_ascii=False, separators=(",", ":"))
    file.write("\n")
shutil.copy(source + "/tokenizer.json", out + "/tokenizer.json")
