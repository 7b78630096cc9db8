#!/usr/bin/env bash
# The labels that every valuator experiment learns from: `dot` on the whole instruct pool, 64 targets, 192 tokens.
# Continues where it stopped; about two hours on two cores.
experiment=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$experiment/../environment.sh"

usable "$data/instruct/pool.jsonl" "$runs/pool.jsonl"
rows "$data/instruct/target.jsonl" 64 1 "$runs/target.jsonl"
python3 "$experiment/by_hash.py" "$runs/pool.jsonl" 1500 2000 "$runs/part"
for part in 1 2 3; do
  resume=()
  [ ! -e "$runs/labels-$part.h5.partial" ] || resume=(--resume)
  once "$runs/labels-$part.h5" "$alinfik" label --model "$model" --target "$runs/target.jsonl" \
    --sample "$runs/part-$part.jsonl" --max-tokens 192 --seed 1 --output "$runs/labels-$part.h5" "${resume[@]}"
done
