#!/usr/bin/env bash
# Fine-tunes SmolLM2 on what each method ranks highest and takes the loss on report rows. Four minutes a training, 24 of them (SEEDS="1 2 3",
# METHODS=...); goes on where it stopped. Labels come from experiments/valuator-labels, the valuator from experiments/valuator-encoders:
# neither knows a row of these pools but by its label.
experiment=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$experiment/../environment.sh"
labels=$repository/runs/valuator-labels
valuator=$repository/runs/valuator-encoders/final-small-1
rows "$data/instruct/report.jsonl" 40 1 "$runs/report.jsonl"
once "$runs/pools" "$python" "$experiment/choose.py" "$labels/labels-3.h5" "$labels/target.jsonl" "$valuator" "$alinfik" "$runs/pools"

for seed in ${SEEDS:-1 2 3}; do
  for method in ${METHODS:-linfik random linfik-within valuator source-mean bm25 loss length}; do
    result=$runs/$method-$seed.json
    [ ! -e "$result" ] || continue
    chosen=$runs/pools/$method-$seed.jsonl
    "$alinfik" finetune --model "$model" --data "$chosen" --validation "$runs/report.jsonl" --keep-order --batch-rows "$(cat "$chosen.batch")" \
      --learning-rate 5e-5 --schedule constant --warm-up 0 --max-tokens 192 --seed "$seed" --quiet \
      --validate-at 5 10 20 --output "$runs/trained" --force
    mv "$runs/trained/finetune.json" "$result"
    rm -r "$runs/trained"
  done
done
"$python" "$experiment/losses.py" "$runs" "$experiment"
