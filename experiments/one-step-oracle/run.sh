#!/usr/bin/env bash
# Labels 65 rows and steps the model on each of them. Writes results.json here.
experiment=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$experiment/../environment.sh"

rows "$data/instruct/pool.jsonl" 13 1 "$runs/sample.jsonl"
rows "$data/instruct/target.jsonl" 4 1 "$runs/target.jsonl"
once "$runs/labels.h5" "$alinfik" label --model "$model" --target "$runs/target.jsonl" \
  --sample "$runs/sample.jsonl" --max-tokens 192 --seed 1 --output "$runs/labels.h5"
once "$runs/report/report.json" "$alinfik" compare --model "$model" --target "$runs/target.jsonl" \
  --sample "$runs/sample.jsonl" --labels "$runs/labels.h5" --max-tokens 192 --seed 1 \
  --oracle-rows 65 --oracle-targets 4 --force --output "$runs/report"
python3 "$experiment/summary.py" "$runs/report/report.json" > "$experiment/results.json"
cat "$experiment/results.json"
