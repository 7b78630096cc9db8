#!/usr/bin/env bash
# Trains a small model on 100 random halves of a pool, in three orders each, and asks which labels foretell the queries' losses.
# Two hours on two cores; goes on where it stopped. Trainings that are in bank-*.jsonl here are not repeated.
#   CORPUS=wikitext2 (ALINFIK_DATA) or demo (the demo's texts, which anyone can fetch); SUBSETS=20 SEEDS=1 for a look (half an hour)
experiment=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$experiment/../environment.sh"
corpus=${CORPUS:-wikitext2}
runs=$runs/$corpus
mkdir -p "$runs"
if [ "$corpus" = demo ]; then
  "$repository/scripts/fetch-models" corpora
  once "$runs/corpus.jsonl" "$python" "$experiment/demo_corpus.py" "$repository/.cache/corpora" "$runs/corpus.jsonl"
  text=$runs/corpus.jsonl
else
  text=$data/wikitext2/train.jsonl.gz
fi

# What a training of the bank is, and of the whole pool.
training=(--epochs 2 --learning-rate 1e-3 --schedule constant --warm-up 0 --batch-rows 8)
once "$runs/pool.jsonl" "$python" "$experiment/rows.py" "$text" "$runs"
once "$runs/base" "$alinfik" finetune --init "$experiment/config.json" --tokenizer "$runs/tokenizer" --data "$runs/rest.jsonl" \
  --output "$runs/base" --learning-rate 3e-3 --epochs 3 --seed 1
"$python" "$experiment/bank.py" "$experiment/bank-$corpus.jsonl" --alinfik "$alinfik" --model "$runs/base" \
  --pool "$runs/pool.jsonl" --queries "$runs/queries.jsonl" --subsets "${SUBSETS:-100}" --seeds "${SEEDS:-3}" -- "${training[@]}"

# label NAME MODEL OPTIONS...: labels of the pool for each query
label() {
  local name=$1 model=$2
  shift 2
  once "$runs/$name.h5" "$alinfik" label --model "$model" --target "$runs/queries.jsonl" --sample "$runs/pool.jsonl" --per-target \
    --quiet --output "$runs/$name.h5" "$@"
}
methods=()
for seed in 1 2 3; do
  full=$runs/full-$seed
  early=$runs/early-$seed
  once "$full" "$alinfik" finetune --model "$runs/base" --data "$runs/pool.jsonl" --output "$full" --seed "$seed" "${training[@]}"
  once "$early" "$alinfik" finetune --model "$runs/base" --data "$runs/pool.jsonl" --output "$early" --seed "$seed" \
    "${training[@]}" --epochs 1
  for kind in dot cosine layer-cosine adam ekfac; do label "$kind-$seed" "$full" --kind "$kind"; done
  for kind in logra relatif; do label "$kind-$seed" "$full" --kind "$kind" --projection random --rank 32 --seed "$seed"; done
  label "logra-pca-$seed" "$full" --kind logra --projection pca --rank 32 --seed "$seed"
  label "tracin-$seed" "$full" --kind tracin --checkpoint "$runs/base:1e-3" --checkpoint "$early:1e-3" --checkpoint "$full:1e-3"
done
# Before any training on the pool: what LinFiK promises of the model as it is.
label "dot-base" "$runs/base"
label "ekfac-base" "$runs/base" --kind ekfac
label "adam-base" "$runs/base" --kind adam

for kind in dot cosine layer-cosine adam ekfac logra relatif logra-pca tracin; do
  methods+=("$kind=$runs/$kind-1.h5,$runs/$kind-2.h5,$runs/$kind-3.h5")
done
for kind in dot ekfac adam; do methods+=("$kind, before training=$runs/$kind-base.h5"); done
"$python" "$experiment/lds.py" "$experiment/bank-$corpus.jsonl" "$runs/pool.jsonl" "$runs/queries.jsonl" 0.5 \
  "$experiment/results-$corpus.json" "$experiment/lds-$corpus.svg" "${methods[@]}"
