#!/usr/bin/env bash
# Which encoder ranks best, and how fast it scores: trained on the 2,000 rows of part 2, of which 500 are held out.
# With `final` as argument: the chosen encoders on all of part 2, tested on part 1, which nothing was chosen on.
# COUNTS and SEEDS name other numbers of layers and seeds. An hour and a half with `final`, for the base's forward passes.
experiment=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$experiment/../environment.sh"
labels=$repository/runs/valuator-labels

# valuator NAME "LABELS" TEST_ROWS OPTIONS...: trains and keeps the report, then times the scoring of the test rows
valuator() {
  local name=$1 files=$2 test_rows=$3
  shift 3
  # shellcheck disable=SC2086
  once "$runs/$name.json" "$alinfik" train $files --test-rows "$test_rows" --json --force --output "$runs/$name" "$@" \
    > "$runs/$name.json.partial"
  [ -e "$runs/$name.json" ] || mv "$runs/$name.json.partial" "$runs/$name.json"
  once "$runs/$name.speed.json" "$alinfik" score "$runs/$name" "$labels/part-1.jsonl" --force --json \
    --output "$runs/$name.jsonl" > "$runs/$name.speed.json.partial"
  [ -e "$runs/$name.speed.json" ] || mv "$runs/$name.speed.json.partial" "$runs/$name.speed.json"
}

if [ "${1:-}" = final ]; then
  both="$labels/labels-1.h5 $labels/labels-2.h5"
  for seed in ${SEEDS:-1 2 3}; do
    valuator "final-small-$seed" "$both" 1500 --init "$model" --size small --seed "$seed"
  done
  valuator final-base-1 "$both" 1500 --init "$model" --size base --seed 1
  # Rows that nobody labelled, for the small one to learn from.
  head -n 2500 "$labels/part-3.jsonl" > "$runs/unlabelled.jsonl"
  once "$runs/unlabelled.scored.jsonl" "$alinfik" score "$runs/final-base-1" "$runs/unlabelled.jsonl" \
    --output "$runs/unlabelled.scored.jsonl"
  for seed in ${SEEDS:-1 2 3}; do
    valuator "final-taught-$seed" "$both" 1500 --init "$model" --size small --seed "$seed" \
      --teacher "$runs/final-base-1" --scored "$runs/unlabelled.scored.jsonl"
  done
  python3 "$experiment/summary.py" "$runs"/final-*.speed.json > "$experiment/results-final.json"
  cat "$experiment/results-final.json"
else
  for count in ${COUNTS:-0 1 3 6 12 20 30}; do
    valuator "layers-$count" "$labels/labels-2.h5" 500 --init "$model" --first-layers "$count" --seed 1
  done
  [ -n "${COUNTS:-}" ] || valuator minilm "$labels/labels-2.h5" 500 --init "$encoder" --seed 1
  python3 "$experiment/summary.py" "$runs"/[lm]*.speed.json > "$experiment/results.json"
  cat "$experiment/results.json"
fi
