#!/usr/bin/env bash
# Which kind of label ranks rows as real steps do? On SmolLM2-135M-Instruct, the same after 40 steps of fine-tuning, and the small model of
# experiments/data-modelling (made there). MODELS, SEEDS; ten minutes for each seed of SmolLM2. Goes on where it stopped.
experiment=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$experiment/../environment.sh"
small=$repository/runs/data-modelling/${CORPUS:-wikitext2}
kinds=(--kind cosine --kind layer-cosine --kind relatif --kind ekfac --kind adam --in-run-shapley 1e-3)

# compare NAME SEED OPTIONS...
compare() {
  local report=$runs/$1-$2
  shift 2
  once "$report/report.json" "$alinfik" compare "$@" "${kinds[@]}" --ceiling-rows 0 --quiet --force --output "$report"
}

for name in ${MODELS:-small smollm2 finetuned}; do
  for seed in ${SEEDS:-1 2 3}; do
    if [ "$name" = small ]; then
      sample=$runs/small-$seed.jsonl
      [ -e "$sample" ] || shuf -n 64 --random-source=<(yes "$seed") "$small/pool.jsonl" > "$sample"
      compare small "$seed" --model "$small/full-$seed" --target "$small/queries.jsonl" --sample "$sample" --seed "$seed" \
        --oracle-rows 64 --oracle-targets 64 --checkpoint "$small/base:1e-3" --checkpoint "$small/full-$seed:1e-3"
      continue
    fi
    rows "$data/instruct/pool.jsonl" 5 "$seed" "$runs/sample-$seed.jsonl"
    rows "$data/instruct/target.jsonl" 3 "$seed" "$runs/target-$seed.jsonl"
    at=$model
    if [ "$name" = finetuned ]; then
      at=$runs/finetuned
      rows "$data/instruct/pool.jsonl" 32 99 "$runs/training.jsonl"
      once "$at" "$alinfik" finetune --model "$model" --data "$runs/training.jsonl" --max-tokens 192 --batch-rows 4 --schedule constant \
        --warm-up 0 --learning-rate 2e-5 --quiet --output "$at"
    fi
    compare "$name" "$seed" --model "$at" --target "$runs/target-$seed.jsonl" --sample "$runs/sample-$seed.jsonl" --max-tokens 192 \
      --seed "$seed" --oracle-rows 25 --oracle-targets 3
  done
done
"$python" "$experiment/kinds.py" "$runs" "$experiment"
