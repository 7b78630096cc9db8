#!/usr/bin/env bash
# Does fine-tuning the language model's first layers rank truer than a closed-form head on the frozen ones? In PyTorch, on the
# rows of experiments/valuator-features (whose run.sh makes forward.npz). LAYERS (3) and EPOCHS (4).
experiment=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$experiment/../environment.sh"
labels=$repository/runs/valuator-labels
layers=${LAYERS:-3}

"$python" "$experiment/finetune.py" "$repository/runs/valuator-features/forward.npz" "$model" \
  "$data/smollm2-135m/tokenizer.json" "$labels/part-2.jsonl" "$labels/labels-2.h5" "$layers" "${EPOCHS:-4}" \
  > "$runs/layers-$layers.json"
cp "$runs/layers-$layers.json" "$experiment/results-$layers.json"
