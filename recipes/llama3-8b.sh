#!/usr/bin/env bash
# Llama 3 8B tuned by QLoRA, as courses on a GPU do it: NF4 with double quantisation, r 16 on the seven linears of every block,
# micro-batches of 2 records of up to 2,048 tokens, 8 of them an update, AdamW with 8-bit moments, gradient checkpointing, a constant
# rate after a warm-up, 100 updates; validation every 10 and a checkpoint every 50. Then six questions, to the base and to what came of
# it, and the adapter for PEFT.
#
#   recipes/llama3-8b.sh MODEL ALPACA.json [OUT]     MODEL: a folder, or a name in the Hugging Face cache
#
# Ctrl-C stops in order; the same command goes on, to the same bits. OUT (default: llama3-8b) is the workspace, with TensorBoard's
# files in OUT/tensorboard and the adapter in OUT/adapter. STEPS, SAVE_EVERY, EVAL_EVERY, LENGTH and SFT (the binary) can be set.
set -euo pipefail
if [ $# -lt 2 ]; then sed -n '/^#!/d; /^#/!q; s/^# \{0,1\}//p' "$0"; exit 64; fi
here=$(cd "$(dirname "$0")" && pwd); model=$1; data=$2; out=${3:-llama3-8b}; run=r16
sft=${SFT:-$(command -v sft || echo "$here/../.build/release/sft")}
export SFT_WORKSPACE=$out

if [ ! -e "$out/runs/$run" ]; then
  "$sft" prepare "$data" --model "$model" --only-empty-input --val 0.01 --seed 42 --max-length "${LENGTH:-2048}"
  "$sft" train --run $run --qlora --quant nf4 --lora-r 16 --lora-alpha 16 --batch-size 2 --grad-accum 8 --optimizer adamw8bit \
    --gradient-checkpointing --lr 2e-4 --scheduler constant --warmup-steps 10 --max-steps "${STEPS:-100}" --seed 42 \
    --eval-every "${EVAL_EVERY:-10}" --save-every "${SAVE_EVERY:-50}" --tensorboard "$out/tensorboard"
else
  "$sft" train --run $run --resume
fi
"$sft" compare --questions "$here/questions.txt" --run $run --temperature 0.05 --top-p 0.95 --max-new-tokens 128
[ -e "$out/adapter" ] || "$sft" export --run $run --format peft --to "$out/adapter"
