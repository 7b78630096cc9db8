#!/usr/bin/env bash
# Which encoder ranks best, and how fast it scores: trained on the 2,000 rows of part 2, of which 500 are held out.
# With `final` as argument: the chosen encoders on all of part 2, tested on part 1, which nothing was chosen on.
# With `more`: as `final` on parts 2 and 3, some 6,000 labels. With `taught`, after both: a small one that learns from the base's
# scores of part 3 too, without its labels. With `without`: each source left out of training in turn.
# COUNTS and SEEDS name other numbers of layers and seeds. The forward passes of the base take most of it, half an hour for all
# rows, and are kept.
experiment=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$experiment/../environment.sh"
labels=$repository/runs/valuator-labels
head -n 300 "$labels/part-1.jsonl" > "$runs/timed.jsonl"

# valuator NAME "LABELS" TEST_ROWS OPTIONS...: trains and keeps the report
valuator() {
  local name=$1 files=$2 test_rows=$3
  shift 3
  # shellcheck disable=SC2086
  once "$runs/$name.json" "$alinfik" train $files --test-rows "$test_rows" --json --force --output "$runs/$name" \
    --init "$model" "$@" > "$runs/$name.json.partial"
  [ -e "$runs/$name.json" ] || mv "$runs/$name.json.partial" "$runs/$name.json"
}

# timed NAME: scores some test rows with it
timed() {
  local name=$1
  once "$runs/$name.speed.json" "$alinfik" score "$runs/$name" "$runs/timed.jsonl" --pooling first --force --json \
    --output "$runs/$name.jsonl" > "$runs/$name.speed.json.partial"
  [ -e "$runs/$name.speed.json" ] || mv "$runs/$name.speed.json.partial" "$runs/$name.speed.json"
}
small=(--size small --features "$runs/small.features")
base=(--size base --features "$runs/base.features")

# summary PREFIX: results-PREFIX.json of the valuators with this prefix
summary() {
  python3 "$experiment/summary.py" "$runs/$1"-*[0-9a-z].json > "$experiment/results-$1.json"
  cat "$experiment/results-$1.json"
}

case "${1:-}" in
final)
  files="$labels/labels-1.h5 $labels/labels-2.h5"
  for seed in ${SEEDS:-1 2 3}; do
    valuator "final-small-$seed" "$files" 1500 "${small[@]}" --seed "$seed"
    valuator "final-base-$seed" "$files" 1500 "${base[@]}" --seed "$seed"
  done
  timed final-small-1
  timed final-base-1
  summary final
  ;;
taught)
  files="$labels/labels-1.h5 $labels/labels-2.h5"
  # Rows whose labels are not shown to it, for the small one to learn from.
  # `score` says the same in an hour; here the features are at hand from `more`.
  once "$runs/unlabelled.scored.jsonl" "$python" "$experiment/scored.py" "$runs/final-base-1" "$runs/base.features" \
    "$data/smollm2-135m/tokenizer.json" "$labels/part-3.jsonl" > "$runs/unlabelled.partial"
  [ -e "$runs/unlabelled.scored.jsonl" ] || mv "$runs/unlabelled.partial" "$runs/unlabelled.scored.jsonl"
  for seed in ${SEEDS:-1 2 3}; do
    valuator "taught-small-$seed" "$files" 1500 "${small[@]}" --seed "$seed" \
      --teacher "$runs/final-base-1" --scored "$runs/unlabelled.scored.jsonl"
  done
  timed taught-small-1
  summary taught
  ;;
more)
  files="$labels/labels-1.h5 $labels/labels-2.h5 $labels/labels-3.h5"
  for seed in ${SEEDS:-1 2 3}; do
    valuator "more-small-$seed" "$files" 1500 "${small[@]}" --seed "$seed"
    valuator "more-base-$seed" "$files" 1500 "${base[@]}" --seed "$seed"
  done
  summary more
  ;;
without)
  files="$labels/labels-1.h5 $labels/labels-2.h5"
  for source in alpaca code gsm8k roleplay toolformer; do
    valuator "without-small-$source" "$files" 1500 "${small[@]}" --seed 1 --leave-out "$source"
    valuator "without-base-$source" "$files" 1500 "${base[@]}" --seed 1 --leave-out "$source"
  done
  summary without
  ;;
*)
  for count in ${COUNTS:-0 1 3 6 12 20 30}; do
    valuator "layers-$count" "$labels/labels-2.h5" 500 --first-layers "$count" --seed 1
  done
  [ -n "${COUNTS:-}" ] || model=$encoder valuator minilm "$labels/labels-2.h5" 500 --seed 1
  for count in ${COUNTS:-0 1 3 6 12 20 30}; do timed "layers-$count"; done
  python3 "$experiment/summary.py" "$runs"/[lm][ai]*[0-9a-z].json > "$experiment/results.json"
  cat "$experiment/results.json"
  ;;
esac
