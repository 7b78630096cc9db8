#!/usr/bin/env bash
# Can single tokens teach a valuator what whole rows do not? 100 rows a source of part 2, in PyTorch: a quarter of an hour on two
# cores, once.
experiment=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$experiment/../environment.sh"
labels=$repository/runs/valuator-labels

once "$runs/tokens.npz" "$python" "$experiment/tokens.py" "$model" "$data/smollm2-135m/tokenizer.json" \
  "$labels/target.jsonl" "$labels/part-2.jsonl" "$labels/labels-2.h5" 100 "$runs/tokens.npz"
"$python" "$experiment/fit.py" "$runs/tokens.npz" "$model" > "$experiment/results.json"
