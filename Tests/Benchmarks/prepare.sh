#!/usr/bin/env bash
# `sft prepare`, from JSON to artifact, on 50 MB of rendered text, beside the Hugging Face fast tokenizer's batch rate on the
# same texts (tokenising alone), in turn. MODEL_FOLDER may hold a tokenizer.json alone. SFT is the program to time, if not the
# release build's. Usage: prepare.sh MODEL_FOLDER [PYTHON with transformers] [MEGABYTES] [ROUNDS]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd); model=$1; python=${2:-}; megabytes=${3:-50}; rounds=${4:-3}
sft=${SFT:-$here/../../.build/release/sft}
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 "$here/make_corpus.py" "$megabytes" 1 > "$work/corpus.jsonl"
if [ ! -e "$model/config.json" ]; then
  python3 "$here/make_tokenizer_model.py" "$model" "$work/model"
  model=$work/model
fi
for _ in $(seq "$rounds"); do
  rm -rf "$work/ws"
  start=$(date +%s.%N)
  "$sft" prepare "$work/corpus.jsonl" --model "$model" --workspace "$work/ws" --quiet >/dev/null
  end=$(date +%s.%N)
  ours=$(awk -v m="$megabytes" -v s="$start" -v e="$end" 'BEGIN { printf "%.1f", m / (e - s) }')
  line="sft prepare: $ours MB/s"
  if [ -n "$python" ]; then
    theirs=$("$python" "$here/hf_tokenize.py" "$model" "$work/corpus.jsonl" | sed 's/.*"megabytes_per_second": \([0-9.]*\).*/\1/')
    line+=$(awk -v a="$ours" -v b="$theirs" 'BEGIN { printf "   Hugging Face batch: %.1f MB/s   ratio %.1f", b, a / b }')
  fi
  echo "$line"
done
