#!/usr/bin/env bash
# Trains on two thirds of the rows that no test part holds and scores the other third, for folds 1 and 2.
#   run.sh NAME [train options]     for example: run.sh memorises --within-source-share 1 --crop-share 0
experiment=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$experiment/../environment.sh"

name=${1:-default}
shift || true
[ -e "$runs/train-2.h5" ] || "$python" "$experiment/folds.py" "$repository/runs/instruct-fidelity/labels.h5" "$runs"
scored=()
for fold in 1 2; do
  valuator=$runs/$name-$fold
  once "$valuator" "$alinfik" train "$runs/train-$fold.h5" --init "$encoder" --test-rows 0 --output "$valuator" "$@"
  once "$valuator.jsonl" "$alinfik" score "$valuator" "$runs/held-out-$fold.jsonl" --raw --output "$valuator.jsonl"
  scored+=("$valuator.jsonl")
done
"$python" "$experiment/fidelity.py" "$name" "${scored[@]}" | tee -a "$experiment/results.jsonl"
