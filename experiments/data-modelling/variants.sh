#!/usr/bin/env bash
# What the score of LoGra and EK-FAC hangs on: rank, damping, and the projection by itself. Labels of one order's model, after run.sh.
# Nothing is chosen by it: the defaults were there before.
experiment=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$experiment/../environment.sh"
corpus=${CORPUS:-wikitext2}
runs=$repository/runs/data-modelling/$corpus

# label NAME OPTIONS...
label() {
  local name=$1 file
  file=$runs/variant-${name//[, ]/-}.h5
  shift
  once "$file" "$alinfik" label --model "$runs/full-1" --target "$runs/queries.jsonl" --sample "$runs/pool.jsonl" \
    --per-target --quiet --output "$file" "$@"
  methods+=("$name=$file")
}
methods=("dot=$runs/dot-1.h5" "logra, random 32, damping 0.1=$runs/logra-1.h5" "ekfac, damping 0.1=$runs/ekfac-1.h5")
for rank in 16 32 64; do label "dot, random $rank" --kind dot --projection random --rank "$rank"; done
for rank in 16 64 128; do label "logra, random $rank, damping 0.1" --kind logra --projection random --rank "$rank"; done
for damping in 0.01 1; do label "logra, random 32, damping $damping" --kind logra --projection random --rank 32 --damping "$damping"; done
label "logra, pca 64, damping 0.1" --kind logra --projection pca --rank 64
once "$runs/ekfac-curvature.safetensors" "$alinfik" curvature --kind ekfac --model "$runs/full-1" --sample "$runs/pool.jsonl" \
  --output "$runs/ekfac-curvature.safetensors"
for damping in 0.001 0.01 1; do
  label "ekfac, damping $damping" --kind ekfac --damping "$damping" --curvature "$runs/ekfac-curvature.safetensors"
done
"$python" "$experiment/lds.py" "$experiment/bank-$corpus.jsonl" "$runs/pool.jsonl" "$runs/queries.jsonl" 0.5 \
  "$experiment/results-$corpus-variants.json" "$experiment/lds-$corpus-variants.svg" "${methods[@]}"
