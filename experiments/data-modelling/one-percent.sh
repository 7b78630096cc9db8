#!/usr/bin/env bash
# The same with 1 % of the pool left out instead of half: 100 random drops (LDS), and the 1 % that a method ranks highest for a query (QLD).
# After run.sh; three to four hours on two cores (SUBSETS=100 SEEDS=3 ASKED=16), resumable.
experiment=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$experiment/../environment.sh"
corpus=${CORPUS:-wikitext2}
runs=$repository/runs/data-modelling/$corpus
training=(--epochs 2 --learning-rate 1e-3 --schedule constant --warm-up 0 --batch-rows 8)
methods=()
for kind in dot ekfac adam logra; do
  methods+=("$kind=$runs/$kind-1.h5,$runs/$kind-2.h5,$runs/$kind-3.h5")
done

"$python" "$experiment/bank.py" "$experiment/bank-$corpus-1%.jsonl" --alinfik "$alinfik" --model "$runs/base" \
  --pool "$runs/pool.jsonl" --queries "$runs/queries.jsonl" --dropped 0.01 --subsets "${SUBSETS:-100}" --seeds "${SEEDS:-3}" -- "${training[@]}"
"$python" "$experiment/lds.py" "$experiment/bank-$corpus-1%.jsonl" "$runs/pool.jsonl" "$runs/queries.jsonl" 0.01 \
  "$experiment/results-$corpus-1%.json" "$experiment/lds-$corpus-1%.svg" "${methods[@]}"
"$python" "$experiment/qld.py" "$experiment/qld-$corpus.jsonl" "$runs/pool.jsonl" "$runs/queries.jsonl" "$experiment/bank-$corpus.jsonl" \
  "$experiment/results-$corpus-qld.json" "$experiment/qld-$corpus.svg" --alinfik "$alinfik" --model "$runs/base" \
  --asked "${ASKED:-16}" --seeds "${SEEDS:-3}" $(printf -- '--method %s ' "${methods[@]}") -- "${training[@]}"
