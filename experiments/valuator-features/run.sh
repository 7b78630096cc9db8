#!/usr/bin/env bash
# Which features of the language model's forward pass predict labels, on the 2,000 rows of part 2. In PyTorch: some twenty
# minutes on two cores, once.
experiment=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$experiment/../environment.sh"
labels=$repository/runs/valuator-labels

once "$runs/forward.npz" "$python" "$experiment/features.py" "$model" "$data/smollm2-135m/tokenizer.json" \
  "$labels/part-2.jsonl" "$labels/labels-2.h5" "$runs/forward.npz"
"$python" "$experiment/fit.py" "$runs/forward.npz" > "$experiment/results.json"
"$python" "$experiment/targets.py" "$runs/forward.npz" > "$experiment/results-targets.json"
"$python" "$experiment/stacks.py" "$runs/forward.npz" "$labels/labels-2.h5" "$encoder" > "$experiment/results-stacks.json"
