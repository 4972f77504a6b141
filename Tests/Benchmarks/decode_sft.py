"""Tokens a second of `sft generate`, greedy: what a long answer takes beyond a short one, so that opening is left out.

Usage: decode_sft.py SFT MODEL_FOLDER WORKSPACE TOKENS [FLAG]...
"""
import json, subprocess, sys, time

sft, model, workspace, tokens, *flags = sys.argv[1:]
PROMPT = "Once upon a time"


def run(count):
    # The end of text is a token like any other here: llama.cpp is not stopped by it either.
    command = [sft, "generate", "--base", "--model", model, "--workspace", workspace, "--prompt", PROMPT, "--json"]
    start = time.time()
    answer = subprocess.run(command + ["--max-new-tokens", str(count)] + flags, capture_output=True, text=True, check=True)
    return time.time() - start, len(json.loads(answer.stdout)["token_ids"])


run(2)
short, few = min(run(2) for _ in range(3))
long, many = min(run(int(tokens)) for _ in range(2))
if many < int(tokens) // 4:
    sys.exit(f"the answer ended after {many} tokens")
print((many - few) / (long - short))
