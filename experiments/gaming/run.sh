#!/usr/bin/env bash
# What does cheating do to a payout, and what do the counter-measures do to the cheating?
# `run.sh [VALUATOR]`: with a valuator that knows the instruct pool, or one that is trained here of 750 labels (half an hour on two
# cores). Then a minute: fourteen ways to cheat, scored and settled under eight sets of rules.
experiment=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$experiment/../environment.sh"
pool=$data/instruct/pool.jsonl
attacks=$runs/attacks
mkdir -p "$attacks"

valuator=${1:-$runs/valuator}
if [ $# = 0 ]; then
  rows "$pool" 150 1 "$runs/sample.jsonl"
  usable "$data/instruct/target.jsonl" "$runs/usable-target.jsonl"
  head -n 64 "$runs/usable-target.jsonl" > "$runs/target.jsonl"
  once "$runs/labels.h5" "$alinfik" label --model "$model" --target "$runs/target.jsonl" --sample "$runs/sample.jsonl" \
    --max-tokens 192 --precision bf16 --seed 1 --output "$runs/labels.h5"
  once "$valuator" "$alinfik" train "$runs/labels.h5" --output "$valuator" --init "$model" --size small --seed 1
fi

python3 "$experiment/gaming.py" make "$pool" "$valuator" "$attacks"
for pooling in first mean; do
  for file in "$attacks"/*.jsonl; do
    name=$(basename "$file" .jsonl)
    "$alinfik" score "$valuator" "$file" --pooling "$pooling" --on-error mark --output "$attacks/$pooling/$name.jsonl" \
      --force --quiet 2> /dev/null
  done
done

# settle RULES POOLING OPTIONS...: a report of every way to cheat under some rules
settle() {
  local rules=$1 scored=$attacks/$2
  shift 2
  for file in "$attacks"/cheat-*.jsonl; do
    local name files
    name=$(basename "$file" .jsonl)
    files=("$scored/others.jsonl" "$scored/$name.jsonl")
    # One cheat hands in before those it steals from.
    [ "$name" != cheat-stolen-first ] || files=("$scored/$name.jsonl" "$scored/others.jsonl")
    "$alinfik" report "${files[@]}" --by source --budget 10000 --policy share --output "$attacks/reports/$rules/$name" \
      "$@" --force --quiet 2> /dev/null
  done
}
for rules in 1-none 2-exact 3-near 4-domain 5-tokens 6-windows 7-likeness 8-both; do mkdir -p "$attacks/reports/$rules"; done
settle 1-none first --duplicates keep --count-out-of-domain --weight rows
settle 2-exact first --duplicates exact --count-out-of-domain --weight rows
settle 3-near first --count-out-of-domain --weight rows
settle 4-domain first --weight rows
settle 5-tokens first
settle 6-windows mean
settle 7-likeness first --likeness 0.6
settle 8-both mean --likeness 0.6
python3 "$experiment/gaming.py" table "$attacks" > "$experiment/results.json"
cat "$experiment/results.json"
