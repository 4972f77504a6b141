#!/usr/bin/env bash
# Greedy decoding of one sequence beside llama.cpp at equal bits, in turns: bf16 beside F16, `--qlora` beside Q4_0.
# PYTHON has llama-cpp-python, and GGUF is the same model in F16, from which Q4_0 is made; or in Q4_0, named so, for --qlora alone.
# Usage: decode.sh MODEL_FOLDER GGUF PYTHON [ROUNDS] [TOKENS]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd); model=$(realpath "$1"); gguf=$(realpath "$2"); python=$3; rounds=${4:-3}; tokens=${5:-128}
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
pairs=("--qlora $gguf")
case $gguf in *q4_0.gguf) ;; *)
  "$python" "$here/decode_llama_cpp.py" quantize "$gguf" "$work/q4_0.gguf"; pairs=("bf16 $gguf" "--qlora $work/q4_0.gguf") ;;
esac
for _ in $(seq "$rounds"); do
  for pair in "${pairs[@]}"; do
    read -r how file <<< "$pair"
    flags=(); [ "$how" = bf16 ] || flags=("$how")
    ours=$(python3 "$here/decode_sft.py" "$here/../../.build/release/sft" "$model" "$work/ws" "$tokens" "${flags[@]}")
    theirs=$("$python" "$here/decode_llama_cpp.py" decode "$file" "$tokens")
    awk -v h="$how" -v a="$ours" -v b="$theirs" 'BEGIN { printf "%-8s sft %.1f tokens/s   llama.cpp %.1f   ratio %.2f\n", h, a, b, a / b }'
  done
done
