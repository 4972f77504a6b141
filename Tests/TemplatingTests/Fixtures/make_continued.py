#!/usr/bin/env python3
"""What transformers renders of chat_cases.json's conversations with continue_final_message: python3 make_continued.py

Writes continued.json beside it: [{template, conversation, same, rest} or {template, conversation, error: true}]: how many
bytes of UTF-8 the rendering has in common with the one that is not gone on with, and what follows them. Every conversation
too with its last message's text followed by white space ("spaced": true). Made with transformers 5.24.
"""
import copy, json, os
from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast

here = os.path.dirname(os.path.abspath(__file__))
data = json.load(open(here + "/chat_cases.json", encoding="utf-8"))
tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.BPE()))
whole = {(c["template"], c["conversation"]): c["text"] for c in data["cases"] if "text" in c and not c["add_generation_prompt"]}
out = []
for name, template in data["templates"].items():
    tokenizer.bos_token, tokenizer.eos_token = template["bos_token"], template["eos_token"]
    for number, conversation in enumerate(data["conversations"]):
        for spaced in (False, True):
            messages = copy.deepcopy(conversation["messages"])
            if spaced:
                if not isinstance(messages[-1].get("content"), str): continue
                messages[-1]["content"] += " \n"
            case = dict(template=name, conversation=number) | (dict(spaced=True) if spaced else {})
            try:
                text = tokenizer.apply_chat_template(messages, tools=conversation.get("tools"), chat_template=template["template"], tokenize=False,
                                                     continue_final_message=True)
                same = os.path.commonprefix([text, whole.get((name, number), "")])
                case |= dict(same=len(same.encode()), rest=text[len(same):])
            except Exception: case["error"] = True
            out.append(case)
json.dump(out, open(here + "/continued.json", "w", encoding="utf-8"), ensure_ascii=False, separators=(",", ":"))
