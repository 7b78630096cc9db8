#!/usr/bin/env bash
# Labels the poisoned pool by every kind and says how high the poisoned rows stand. One pass over the rows for each SEED of the
# projection (1 2 3; ten minutes each on two cores); WHOLE="adam ekfac" adds kinds on whole gradients of the layers LAYERS.
experiment=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$experiment/../environment.sh"
howdy=$data/howdy
common=(--model "$model" --target "$howdy/target.jsonl")
pass=("${common[@]}" --sample "$howdy/pool.jsonl" --max-tokens 192 --precision bf16)

for seed in ${SEEDS:-1 2 3}; do
  resume=()
  [ ! -e "$runs/gradients-$seed.h5.partial" ] || resume=(--resume)
  once "$runs/gradients-$seed.h5" "$alinfik" label "${pass[@]}" \
    --kind dot --projection random --rank 32 --store-gradients --seed "$seed" --output "$runs/gradients-$seed.h5" "${resume[@]}"
  for kind in dot cosine layer-cosine logra relatif; do
    once "$runs/$kind-$seed.h5" "$alinfik" relabel "$runs/gradients-$seed.h5" "${common[@]}" --kind "$kind" \
      --output "$runs/$kind-$seed.h5"
  done
done
for kind in ${WHOLE:-}; do
  once "$runs/$kind-1.h5" "$alinfik" label "${pass[@]}" --kind "$kind" \
    --layers "${LAYERS:-*.mlp.down_proj.weight}" --output "$runs/$kind-1.h5"
done
"$python" "$experiment/average_precision.py" "$howdy" "$runs" "$experiment"
