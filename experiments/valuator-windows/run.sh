#!/usr/bin/env bash
# Long texts: how well does a valuator that was taught by labels of 192 tokens rank labels of the whole text, by its first window,
# the mean of its windows, or the highest? ROWS (150) rows of part 1 that are longer, ten minutes on two cores.
experiment=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$experiment/../environment.sh"
labels=$repository/runs/valuator-labels
valuators=$repository/runs/valuator-encoders

once "$runs/long.jsonl" "$python" "$experiment/windows.py" long "$labels/labels-1.h5" "$labels/part-1.jsonl" "${ROWS:-150}" "$runs/long.jsonl"
once "$runs/whole.h5" "$alinfik" label --model "$model" --target "$labels/target.jsonl" --sample "$runs/long.jsonl" \
  --max-tokens 1024 --seed 1 --output "$runs/whole.h5"
for size in small base; do
  for pooling in first mean max; do
    once "$runs/$size-$pooling.jsonl" "$alinfik" score "$valuators/final-$size-1" "$runs/long.jsonl" --pooling "$pooling" \
      --output "$runs/$size-$pooling.jsonl"
  done
done
"$python" "$experiment/windows.py" compare "$labels/labels-1.h5" "$runs/whole.h5" "$runs" > "$experiment/results.json"
cat "$experiment/results.json"
