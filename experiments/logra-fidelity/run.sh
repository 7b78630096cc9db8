#!/usr/bin/env bash
# Exact `dot` labels of 500 rows against their LoGra estimates, random and PCA. Writes results.json here.
experiment=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$experiment/../environment.sh"

rows "$data/instruct/pool.jsonl" 100 1 "$runs/sample.jsonl"
rows "$data/instruct/target.jsonl" 64 1 "$runs/target.jsonl"
# The exact labels are those of experiments/instruct-fidelity, whose rows these 500 are among: run it first.
exact=$repository/runs/instruct-fidelity/labels.h5
rank=34
results=()
for projection in pca random; do
  labels=$runs/$projection-$rank.h5
  resume=()
  [ ! -e "$labels.partial" ] || resume=(--resume)
  once "$labels" "$alinfik" label --model "$model" --target "$runs/target.jsonl" --sample "$runs/sample.jsonl" \
    --max-tokens 192 --seed 1 --kind dot --projection "$projection" --rank "$rank" --output "$labels" "${resume[@]}"
  results+=("\"$projection\": $("$python" "$repository/experiments/agreement.py" "$exact" "$labels")")
done
printf '{%s, %s}\n' "${results[@]}" | python3 -m json.tool > "$experiment/results.json"
cat "$experiment/results.json"
