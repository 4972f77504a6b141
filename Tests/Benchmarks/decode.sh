#!/usr/bin/env bash
# Greedy decoding of one sequence beside llama.cpp at equal bits, in turns: bf16 beside F16, `--qlora` beside Q4_0, and that again with
# its rows in 16 and in 8 bits, as llama.cpp has them.
# PYTHON has llama-cpp-python, and GGUF is the same model in F16, from which Q4_0 is made; or in Q4_0, named so, for --qlora alone.
# Usage: decode.sh MODEL_FOLDER GGUF PYTHON [ROUNDS] [TOKENS]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd); model=$(realpath "$1"); gguf=$(realpath "$2"); python=$3; rounds=${4:-3}; tokens=${5:-128}
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
ours() { python3 "$here/decode_sft.py" "$here/../../.build/release/sft" "$model" "$work/ws" "$tokens" "$@"; }
theirs() { "$python" "$here/decode_llama_cpp.py" decode "$1" "$tokens"; }
print() { awk -v h="$1" -v a="$2" -v b="$3" 'BEGIN { printf "%-15s sft %.1f tokens/s   llama.cpp %.1f   ratio %.2f\n", h, a, b, a / b }'; }
small=$gguf
case $gguf in *q4_0.gguf) ;; *)
  small=$work/q4_0.gguf; "$python" "$here/decode_llama_cpp.py" quantize "$gguf" "$small" ;;
esac
for _ in $(seq "$rounds"); do
  if [ "$small" != "$gguf" ]; then print bf16 "$(ours)" "$(theirs "$gguf")"; fi
  other=$(theirs "$small")
  print --qlora "$(ours --qlora)" "$other"
  for rows in --int16 --int8; do print "--qlora $rows" "$(ours --qlora $rows)" "$other"; done
done
