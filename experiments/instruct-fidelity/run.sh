#!/usr/bin/env bash
# Labels once, trains with three seeds, reads the test part once a seed. Writes results.json here.
experiment=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$experiment/../environment.sh"

rows "$data/instruct/pool.jsonl" 260 1 "$runs/sample.jsonl"
rows "$data/instruct/target.jsonl" 64 1 "$runs/target.jsonl"
resume=()
[ ! -e "$runs/labels.h5.partial" ] || resume=(--resume)
once "$runs/labels.h5" "$alinfik" label --model "$model" --target "$runs/target.jsonl" \
  --sample "$runs/sample.jsonl" --max-tokens 192 --seed 1 --output "$runs/labels.h5" "${resume[@]}"
for seed in 1 2 3; do
  once "$runs/train-$seed.json" "$alinfik" train "$runs/labels.h5" --init "$encoder" --test-rows 400 \
    --seed "$seed" --json --force --output "$runs/valuator-$seed" > "$runs/train-$seed.json.partial"
  [ -e "$runs/train-$seed.json" ] || mv "$runs/train-$seed.json.partial" "$runs/train-$seed.json"
done
python3 "$experiment/summary.py" "$runs"/train-?.json > "$experiment/results.json"
cat "$experiment/results.json"
