#!/usr/bin/env bash
# Labels the same rows in f32 and bf16, and holds labels from int8 gradients against those of the same run in f32. Writes results.json here.
experiment=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$experiment/../environment.sh"

rows "$data/instruct/pool.jsonl" 40 1 "$runs/sample-40.jsonl"
rows "$data/instruct/pool.jsonl" 20 1 "$runs/sample-20.jsonl"
rows "$data/instruct/target.jsonl" 64 1 "$runs/target.jsonl"
# The targets' own gradients stand in the same store as the samples'.
cat "$runs/target.jsonl" "$runs/sample-20.jsonl" > "$runs/stored.jsonl"

# labels OUTPUT SAMPLE OPTIONS...
labels() {
  local output=$1 sample=$2
  shift 2
  local resume=()
  [ ! -e "$output.partial" ] || resume=(--resume)
  once "$output" "$alinfik" label --model "$model" --target "$runs/target.jsonl" --sample "$sample" \
    --max-tokens 192 --seed 1 --output "$output" "$@" "${resume[@]}"
}
labels "$runs/bf16.h5" "$runs/sample-40.jsonl" --precision bf16
# The same rows and targets are among those that the valuator's experiment labelled in f32.
f32=$repository/runs/instruct-fidelity/labels.h5
[ -e "$f32" ] || { f32=$runs/f32.h5 && labels "$f32" "$runs/sample-40.jsonl"; }
labels "$runs/int8.h5" "$runs/stored.jsonl" --projection random --rank 32 --store-gradients --store-as int8
"$python" "$experiment/summary.py" "$runs" "$f32" > "$experiment/results.json"
cat "$experiment/results.json"
