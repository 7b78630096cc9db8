#!/usr/bin/env bash
# Exact `dot` labels of 500 rows against their LoGra estimates. Writes results-PROJECTION.json here.
#   run.sh [pca|random]
experiment=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$experiment/../environment.sh"

rows "$data/instruct/pool.jsonl" 100 1 "$runs/sample.jsonl"
rows "$data/instruct/target.jsonl" 64 1 "$runs/target.jsonl"
# The exact labels are those of experiments/instruct-fidelity, whose rows these 500 are among: run it first.
exact=$repository/runs/instruct-fidelity/labels.h5
rank=34
projection=${1:-pca}
labels=$runs/$projection-$rank.h5
resume=()
[ ! -e "$labels.partial" ] || resume=(--resume)
once "$labels" "$alinfik" label --model "$model" --target "$runs/target.jsonl" --sample "$runs/sample.jsonl" \
  --max-tokens 192 --seed 1 --kind dot --projection "$projection" --rank "$rank" --output "$labels" "${resume[@]}"
"$python" "$repository/experiments/agreement.py" "$exact" "$labels" > "$experiment/results-$projection.json"
cat "$experiment/results-$projection.json"
