#!/usr/bin/env bash
# sft pretrain beside an eager and a compiled PyTorch loop, in turns, on one text: tokens a second, peak memory, share of sgemm.
# Usage: pretrain.sh CONFIG TOKENIZER_FOLDER TEXT PYTHON [STEPS] [BATCH] [ROUNDS]   (needs /usr/bin/time: Debian's package `time`)
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd); config=$(realpath "$1"); tokenizer=$(realpath "$2"); text=$(realpath "$3"); python=$4
steps=${5:-60}; batch=${6:-8}; rounds=${7:-3}
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
for round in $(seq "$rounds"); do
  /usr/bin/time -f %M -o memory.txt "$here/../../.build/release/sft" pretrain "$text" --config "$config" --tokenizer "$tokenizer" --val 0 \
    --max-steps "$steps" --batch-size "$batch" --lr 1e-3 --save-every 0 --profile --json --quiet --run "r$round" > out.json
  "$python" - "r$round" <<'END'
import json, sys
rows = [json.loads(line) for line in open(f".sft/runs/{sys.argv[1]}/metrics.jsonl")][3:]; profile = json.load(open("out.json"))["profile"]
rate = sum(r["tokens"] for r in rows) / sum(r["seconds"] for r in rows)
share = profile["product_gflop"] / profile["training_seconds"] / profile["sgemm_gflops"]
print(f"sft pretrain: {rate:.0f} tokens/s, {int(open('memory.txt').read()) / 1000:.0f} MB, {100 * share:.0f} % of sgemm")
END
  for mode in eager compile; do "$python" "$here/pretrain_torch.py" "$mode" "$config" "$steps" "$batch" 2> err.txt || { tail -3 err.txt; }; done
done
