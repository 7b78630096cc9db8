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

# KINDS="relatif logra cosine": other kinds of labels too, by projected gradients of the pool (a quarter of an hour a pool)
for seed in ${SEEDS:-1 2 3}; do
  for kind in ${KINDS:-}; do
    stored=$runs/gradients-$seed.h5
    resume=()
    [ ! -e "$stored.partial" ] || resume=(--resume)
    once "$stored" "$alinfik" label --model "$model" --target "$labels/target.jsonl" --sample "$runs/pools/pool-$seed.jsonl" \
      --max-tokens 192 --projection random --rank 32 --store-gradients --store-as int8 --seed "$seed" --output "$stored" "${resume[@]}"
    once "$runs/$kind-$seed.h5" "$alinfik" relabel "$stored" --model "$model" --target "$labels/target.jsonl" --kind "$kind" \
      --output "$runs/$kind-$seed.h5"
    once "$runs/pools/$kind-$seed.jsonl" "$python" "$experiment/choose.py" kind "$runs/pools" "$seed" "$kind" "$runs/$kind-$seed.h5"
  done
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
