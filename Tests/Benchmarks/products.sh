#!/usr/bin/env bash
# Builds and runs products.c against the project's kernels. Usage: products.sh [LEVEL], 4 for AVX-512 or 3 for AVX2; set
# OPENBLAS_CORETYPE to compare with other kernels of OpenBLAS.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd); kernels=$here/../../Sources/CKernels
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
clang -O3 -Wall -Wextra -Werror -I"$kernels/include" "$here/products.c" "$kernels/panel_product.c" "$kernels/blas_setup.c" \
  -o "$work/products" $(pkg-config --cflags --libs openblas) -lm
"$work/products" "$@"
