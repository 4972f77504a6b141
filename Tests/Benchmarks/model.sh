#!/usr/bin/env bash
# The whole job on a model folder: seconds and peak memory of each verb, and the training's tokens a second.
# With a PYTHON that has torch, transformers, peft, trl and datasets, the same training in TRL + PEFT and in a PyTorch loop after it.
# Usage: model.sh MODEL_FOLDER RECORDS [STEPS] [PYTHON]   (needs /usr/bin/time: Debian's package `time`)
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd); model=$(realpath "$1"); records=$(realpath "$2"); steps=${3:-20}; python=${4:-}
sft=$here/../../.build/release/sft
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
run() {
  local name=$1; shift
  /usr/bin/time -f "%e %M" -o time.txt "$@" > out.txt 2> err.txt || { cat err.txt >&2; exit 1; }
  awk -v n="$name" '{ printf "%-22s %7.2f s  %6.0f MB\n", n, $1, $2 / 1000 }' time.txt
}
printf '%s\n' "Name three primary colours." "What is the capital of France?" "Convert 3 metres to centimetres." \
  "Give a synonym for quick." "Write a sentence about rain." "What is 7 times 8?" > questions.txt
run "prepare" "$sft" prepare "$records" --model "$model"
run "prepare again" "$sft" prepare "$records" --model "$model"
run "train, $steps steps" "$sft" train --lora-r 16 --batch-size 8 --max-steps "$steps" --eval-every "$steps"
grep -h trained out.txt
run "train --qlora, $steps" "$sft" train --qlora --lora-r 16 --batch-size 8 --max-steps "$steps" --eval-every "$steps"
grep -h trained out.txt
run "compare, 6 questions" "$sft" compare --questions questions.txt --max-new-tokens 32
run "export peft" "$sft" export --format peft --to peft
run "export merged" "$sft" export --format merged --to merged
[ -z "$python" ] || "$python" "$here/train_trl.py" "$model" "$records" "$steps" 8 2> err.txt | tail -1
[ -z "$python" ] || "$python" "$here/train_torch.py" eager "$model" "$records" "$steps" 8 2> err.txt | tail -1
