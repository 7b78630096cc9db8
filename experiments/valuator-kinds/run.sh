#!/usr/bin/env bash
# Can a valuator learn other kinds of label as well as `dot`? A pool of experiments/retention, labelled there by every kind (KINDS), a
# small valuator for each, tested on rows that it has not seen. Seconds a kind.
experiment=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$experiment/../environment.sh"
pools=$repository/runs/retention
for kind in linfik ${KINDS:-cosine layer-cosine logra relatif}; do
  files=()
  for pool in ${POOLS:-1}; do files+=("$pools/$kind-$pool.h5"); done
  for seed in ${SEEDS:-1 2 3}; do
    once "$runs/$kind-$seed.json" "$alinfik" train "${files[@]}" --init "$model" --size small --features "$runs/small.features" --test-rows 400 \
      --seed "$seed" --json --force --quiet --output "$runs/valuator" > "$runs/$kind-$seed.partial"
    [ -e "$runs/$kind-$seed.json" ] || mv "$runs/$kind-$seed.partial" "$runs/$kind-$seed.json"
  done
done
python3 "$experiment/summary.py" "$runs" > "$experiment/results.json"
cat "$experiment/results.json"
