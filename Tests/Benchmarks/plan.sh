#!/usr/bin/env bash
# What `sft plan` says against what `sft train` then takes: peak memory (the largest resident size, from getrusage) and seconds an
# update (the median of those but the first), of trainings from 2 million weights to slices of Llama 3 8B.
# Usage: plan.sh [FOLDER] [FIRST] [LAST]   FOLDER keeps the models and the prepared data from call to call (7 GB; default: one that is
# removed); FIRST and LAST choose some of the settings. SFT names another binary. Needs numpy.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd); sft=${SFT:-$here/../../.build/release/sft}
work=${1:-}; if [ -z "$work" ]; then work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; fi
mkdir -p "$work"; work=$(realpath "$work"); first=${2:-1}; last=${3:-99}
make() { [ -d "$work/$1" ] || { mkdir "$work/$1.new"; python3 "$here/$2" "$work/$1.new" "${@:3}" >/dev/null; mv "$work/$1.new" "$work/$1"; }; }
model() {
  case $1 in
    embedded) ;; tiny) make tiny make_llama.py --shape tiny;; gpt2) make gpt2 make_gpt2.py;; 135m) make 135m make_llama.py --shape 135m;;
    1b-4) make 1b-4 make_llama.py --shape 1b --layers 4;; 8b-1) make 8b-1 make_llama.py --layers 1;; 8b-2) make 8b-2 make_llama.py --layers 2;;
  esac
}
[ -f "$work/records.jsonl" ] || python3 "$here/make_corpus.py" 0.2 1 >"$work/records.jsonl"
[ -f "$work/long.jsonl" ] || python3 - "$here" >"$work/long.jsonl" <<'PYTHON'
import json, random, sys
sys.path.insert(0, sys.argv[1]); from make_corpus import COMMON
rnd = random.Random(3); words = lambda n: " ".join(rnd.choice(COMMON) for _ in range(n))
for _ in range(24): print(json.dumps(dict(instruction=words(rnd.randint(150, 250)), output=words(rnd.randint(150, 250)))))
PYTHON
number=0
printf '%-60s %9s %9s %7s %9s %9s %7s\n' setting 'plan MB' 'is MB' error 'plan s' 'is s' error
try() { # MODEL RECORDS STEPS FLAGS…
  number=$((number + 1)); if [ $number -lt "$first" ] || [ $number -gt "$last" ]; then return; fi
  local name=$1 records=$2 steps=$3; shift 3
  model "$name"; local path=$work/$name; [ "$name" = embedded ] && path=embedded
  local ws=$work/ws-$name-$records
  [ -d "$ws" ] || "$sft" prepare "$work/$records.jsonl" --model "$path" --val 0 --overlong drop --workspace "$ws" --quiet >/dev/null
  rm -rf "$ws/runs"
  "$sft" plan "$@" --max-steps "$steps" --workspace "$ws" --quiet --json >"$work/plan.json"
  python3 - "$sft" "$ws" "$work/plan.json" "$name $records $*" "$@" --max-steps "$steps" <<'PYTHON'
import json, os, statistics, subprocess, sys
sft, ws, plan, name, *flags = sys.argv[1:]
plan = json.load(open(plan))
process = subprocess.Popen([sft, "train", *flags, "--workspace", ws, "--run", "r", "--save-every", "0", "--quiet"],
                           stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
error = process.stderr.read().decode(); _, status, usage = os.wait4(process.pid, 0)
if status: sys.exit(error)
lines = [json.loads(l) for l in open(f"{ws}/runs/r/metrics.jsonl")]
seconds = statistics.median([l["seconds"] for l in lines if l["kind"] == "train"][1:] or [l["seconds"] for l in lines])
mb, planned = usage.ru_maxrss * 1024 / 1e6, plan["peak_memory_bytes"] / 1e6
each = plan["seconds_per_update"]
print(f"{name[:60]:60} {planned:9.0f} {mb:9.0f} {100 * (planned / mb - 1):+6.1f}% {each:9.3f} {seconds:9.3f} {100 * (each / seconds - 1):+6.1f}%", flush=True)
PYTHON
}
try embedded records 12
try embedded records 12 --full --batch-size 16
try embedded records 12 --qlora --batch-size 32
try tiny records 12 --batch-size 16
try tiny records 12 --full --optimizer adamw8bit
try gpt2 records 6
try gpt2 records 6 --gradient-checkpointing --batch-size 16
try gpt2 records 6 --qlora
try gpt2 records 4 --full
try gpt2 records 4 --full --optimizer adamw8bit --gradient-checkpointing
try 135m records 6
try 135m records 6 --qlora --gradient-checkpointing --batch-size 16
try 135m records 4 --full --optimizer adamw8bit --batch-size 4
try 1b-4 records 4 --qlora --batch-size 4
try 1b-4 records 4 --lora-layers 2-3 --batch-size 4
try 8b-1 records 3 --qlora --batch-size 4
try 8b-2 records 3 --qlora --gradient-checkpointing --optimizer adamw8bit --batch-size 2 --grad-accum 2
try 8b-2 long 2 --qlora --gradient-checkpointing --optimizer adamw8bit --batch-size 2
try 8b-2 long 2 --batch-size 2
