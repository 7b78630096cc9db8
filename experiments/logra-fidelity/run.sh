#!/usr/bin/env bash
# Exact `dot` labels of 500 rows against their LoGra estimates. Writes results.json here.
experiment=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$experiment/../environment.sh"

rows "$data/instruct/pool.jsonl" 100 1 "$runs/sample.jsonl"
rows "$data/instruct/target.jsonl" 64 1 "$runs/target.jsonl"
# The exact labels are those of experiments/instruct-fidelity, whose rows these 500 are among: run it first.
exact=$repository/runs/instruct-fidelity/labels.h5
rank=34
once "$runs/random-$rank.h5" "$alinfik" label --model "$model" --target "$runs/target.jsonl" \
  --sample "$runs/sample.jsonl" --max-tokens 192 --seed 1 --kind dot --projection random --rank "$rank" \
  --output "$runs/random-$rank.h5"
"$python" "$repository/experiments/agreement.py" "$exact" "$runs/random-$rank.h5" > "$experiment/results.json"
cat "$experiment/results.json"
