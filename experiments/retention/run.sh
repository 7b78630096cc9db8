#!/usr/bin/env bash
# Fine-tunes SmolLM2 on what each method ranks highest and takes the loss on report rows. Labels and trainings in bf16; about a
# minute a training and five minutes of labels a pool where the processor has AMX, four times as long elsewhere. SEEDS="1 2 3" names
# pools, METHODS and KINDS what is trained; goes on where it stopped. CORPUS=demo: on the demo's texts, which anyone can fetch.
experiment=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$experiment/../environment.sh"
common=(--model "$model" --max-tokens 192 --precision bf16)
corpus=${CORPUS:-instruct}
results=$experiment
if [ "$corpus" = demo ]; then
  runs=$runs/demo
  results=$experiment/demo
  mkdir -p "$runs" "$results"
  "$repository/scripts/fetch-models" corpora
  # Posts about space are the target, others the report; a valuator learns from 300 rows, pools of 133 are drawn from 400 others.
  once "$runs/part-3.jsonl" "$repository/scripts/make-demo-corpus.py" --target 104 --output "$runs/texts"
  once "$runs/target.jsonl" cp <(head -n 64 "$runs/texts/target.jsonl") "$runs/target.jsonl"
  once "$runs/report.jsonl" cp <(tail -n 40 "$runs/texts/target.jsonl") "$runs/report.jsonl"
  once "$runs/part-2.jsonl" cp "$runs/texts/unseen.jsonl" "$runs/part-2.jsonl"
  once "$runs/part-3.jsonl" cp "$runs/texts/sample.jsonl" "$runs/part-3.jsonl"
else
  rows "$data/instruct/report.jsonl" 40 1 "$runs/report.jsonl"
  rows "$data/instruct/target.jsonl" 64 1 "$runs/target.jsonl"
  # The rows as experiments/valuator-labels divides them: the valuator learns part 2, pools are drawn from part 3.
  usable "$data/instruct/pool.jsonl" "$runs/usable.jsonl"
  once "$runs/part-3.jsonl" python3 "$experiment/../valuator-labels/by_hash.py" "$runs/usable.jsonl" 1500 2000 "$runs/part"
fi
once "$runs/pool-3.jsonl" "$python" "$experiment/choose.py" pools "$runs/part-3.jsonl" "$runs"

# label NAME SAMPLE OPTIONS...
label() {
  local output=$runs/$1.h5 sample=$2 resume=()
  shift 2
  [ ! -e "$output.partial" ] || resume=(--resume)
  once "$output" "$alinfik" label "${common[@]}" --target "$runs/target.jsonl" --sample "$sample" --output "$output" "$@" "${resume[@]}"
}
label part-2 "$runs/part-2.jsonl"
once "$runs/valuator" "$alinfik" train "$runs/part-2.h5" --init "$model" --size small --seed 1 --output "$runs/valuator"

for seed in ${SEEDS:-1 2 3}; do
  label "linfik-$seed" "$runs/pool-$seed.jsonl"
  once "$runs/chosen/linfik-$seed.jsonl" "$python" "$experiment/choose.py" plain "$runs" "$seed" "$runs/target.jsonl" \
    "$runs/valuator" "$alinfik"
  # Other kinds by projected gradients of the pool.
  label "gradients-$seed" "$runs/pool-$seed.jsonl" --projection random --rank 32 --store-gradients --store-as int8 --seed "$seed"
  for kind in ${KINDS:-cosine layer-cosine logra relatif}; do
    once "$runs/$kind-$seed.h5" "$alinfik" relabel "$runs/gradients-$seed.h5" --model "$model" --target "$runs/target.jsonl" \
      --kind "$kind" --output "$runs/$kind-$seed.h5"
    once "$runs/chosen/$kind-$seed.jsonl" "$python" "$experiment/choose.py" kind "$runs" "$seed" "$kind"
  done
done

methods="random linfik relatif cosine source-mean bm25 linfik-within relatif-within cosine-within valuator bm25-within valuator-within"
for seed in ${SEEDS:-1 2 3}; do
  for method in ${METHODS:-$methods logra layer-cosine length loss}; do
    result=$runs/trained-$method-$seed.json
    [ ! -e "$result" ] || continue
    chosen=$runs/chosen/$method-$seed.jsonl
    "$alinfik" finetune "${common[@]}" --data "$chosen" --validation "$runs/report.jsonl" --keep-order \
      --batch-rows "$(cat "$chosen.batch")" --learning-rate 5e-5 --schedule constant --warm-up 0 --seed "$seed" --quiet \
      --validate-at 5 10 20 --output "$runs/trained" --force
    mv "$runs/trained/finetune.json" "$result"
    rm -r "$runs/trained"
  done
done
"$python" "$experiment/losses.py" "$runs" "$results"
