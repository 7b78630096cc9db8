#!/usr/bin/env bash
# Our product against OpenBLAS, alternating, one thread, weights from memory each time. Further arguments are kernels'
# folders to compare: copies of Sources/CKernels with a change.
set -euo pipefail
experiment=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
kernels=$experiment/../../Sources/CKernels
unset OPENBLAS_CORETYPE OPENBLAS_L2_SIZE
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
libraries=()
for folder in "$kernels" "$@"; do
  library=$work/${#libraries[@]}.so
  clang -O3 -fPIC -shared -I"$folder/include" -I"$folder" "$folder"/*.c -o "$library" -lm -lpthread
  libraries+=("$library")
done
clang -O2 -I"$kernels/include" "$experiment/products.c" -o "$work/products" -rdynamic $(pkg-config --cflags --libs openblas) -lm -ldl
echo "rows columns depth transposed: GFLOP/s of OpenBLAS, ours${*:+, $*}"
"$work/products" "${libraries[@]}"
