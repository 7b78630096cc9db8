#!/usr/bin/env bash
# Labels before, and after 10, 100 and 1000 steps of fine-tuning: how long does a ranking hold? MODELS="small smollm2"; the small model's
# rows are those of experiments/data-modelling (made there), SmolLM2's the instruction pool. Goes on where it stopped.
experiment=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$experiment/../environment.sh"
small=$repository/runs/data-modelling/${CORPUS:-wikitext2}

# series NAME MODEL TRAINING TARGET SAMPLE SEED OPTIONS...: one row or eight a step, constant rate
series() {
  local name=$1 model=$2 training=$3 target=$4 sample=$5 seed=$6 kind steps at
  shift 6
  for steps in 0 10 100 1000; do
    at=$model
    if [ "$steps" != 0 ]; then
      at=$runs/$name-$steps-$seed
      once "$at" "$alinfik" finetune --model "$model" --data "$training" --epochs 1000 --steps "$steps" --schedule constant \
        --warm-up 0 --checkpoint-every 200 --seed "$seed" --quiet --output "$at" "$@"
    fi
    for kind in dot cosine adam; do
      once "$runs/$name-$kind-$steps-$seed.h5" "$alinfik" label --model "$at" --target "$target" --sample "$sample" --kind "$kind" \
        --max-tokens 192 --quiet --output "$runs/$name-$kind-$steps-$seed.h5"
    done
    [ "$name" != smollm2 ] || [ "$steps" = 0 ] || rm -rf "$at.checkpoint.partial"
  done
}

for name in ${MODELS:-small smollm2}; do
  for seed in ${SEEDS:-1 2 3}; do
    if [ "$name" = small ]; then
      # Every other row is learnt, the rest are labelled.
      awk 'NR % 2' "$small/pool.jsonl" > "$runs/small-training.jsonl"
      awk '!(NR % 2)' "$small/pool.jsonl" > "$runs/small-sample.jsonl"
      series small "$small/base" "$runs/small-training.jsonl" "$small/queries.jsonl" "$runs/small-sample.jsonl" "$seed" --batch-rows 8 \
        --learning-rate 1e-3
    else
      rows "$data/instruct/pool.jsonl" 13 1 "$runs/sample.jsonl"
      rows "$data/instruct/target.jsonl" 8 1 "$runs/target.jsonl"
      rows "$data/instruct/pool.jsonl" 200 2 "$runs/any.jsonl"
      grep -vxFf "$runs/sample.jsonl" "$runs/any.jsonl" > "$runs/training.jsonl"
      series smollm2 "$model" "$runs/training.jsonl" "$runs/target.jsonl" "$runs/sample.jsonl" "$seed" --batch-rows 1 \
        --learning-rate 2e-5 --max-tokens 192
    fi
  done
done
"$python" "$experiment/agreement.py" "$runs" "$experiment"
