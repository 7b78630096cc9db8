#!/usr/bin/env python3
"""EK-FAC in PyTorch (float64), written apart from ours, on the same model, rows and queries: is a low score ours or the method's?

ekfac_torch.py MODEL POOL.jsonl QUERIES.jsonl LABELS.h5 [DAMPING 0.1]

Says how far its scores agree with those of `label --kind ekfac --per-target` in LABELS.h5. Factors and eigenvalues are of the rows' own
tokens; the loss of a row is the mean over its tokens.
"""

import json
import sys

import h5py
import numpy as np
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer


def texts(path):
    return [json.loads(line)["text"] for line in open(path, encoding="utf-8")]


def main(folder, pool, queries, labels, damping="0.1"):
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager").double()
    layers = [module for name, module in model.named_modules() if isinstance(module, torch.nn.Linear) and "lm_head" not in name]
    inputs, gradients = {}, {}
    for place, layer in enumerate(layers):
        layer.register_forward_hook(lambda module, x, y, place=place: inputs.__setitem__(place, x[0][0].detach()))
        layer.register_full_backward_hook(lambda module, dx, dy, place=place: gradients.__setitem__(place, dy[0][0].detach()))

    def backward(text):
        """Fills `inputs` (T x n_i) and `gradients` (T x n_o) for a row's mean token loss."""
        ids = torch.tensor([tokenizer(text)["input_ids"]])
        model.zero_grad()
        model(ids, labels=ids).loss.backward()

    def gradient(place):
        return gradients[place].T @ inputs[place]

    rows, asked = texts(pool), texts(queries)
    a = [torch.zeros(layer.in_features, layer.in_features, dtype=torch.float64) for layer in layers]
    s = [torch.zeros(layer.out_features, layer.out_features, dtype=torch.float64) for layer in layers]
    for text in rows:
        backward(text)
        for place in range(len(layers)):
            a[place] += inputs[place].T @ inputs[place]
            s[place] += gradients[place].T @ gradients[place]
    a, s = ([torch.linalg.eigh(factor)[1] for factor in factors] for factors in (a, s))
    values = [torch.zeros(layer.out_features, layer.in_features, dtype=torch.float64) for layer in layers]
    for text in rows:
        backward(text)
        for place in range(len(layers)):
            values[place] += (s[place].T @ gradient(place) @ a[place]) ** 2 / len(rows)
    turned = [[] for _ in layers]
    for text in asked:
        backward(text)
        for place in range(len(layers)):
            inner = s[place].T @ gradient(place) @ a[place]
            inner /= values[place] + float(damping) * values[place].mean()
            turned[place].append((s[place] @ inner @ a[place].T).flatten())
    turned = [torch.stack(parts) for parts in turned]
    scores = []
    for text in rows:
        backward(text)
        scores.append(sum(turned[place] @ gradient(place).flatten() for place in range(len(layers))))
    scores = torch.stack(scores).numpy()
    with h5py.File(labels) as file:
        ours = file["labels_per_target"][:]
    error = np.abs(ours - scores).max() / np.abs(scores).max()
    print(json.dumps({
        "pearson": np.corrcoef(ours.ravel(), scores.ravel())[0, 1], "largest_difference_over_largest_score": error,
    }, indent=2))


main(*sys.argv[1:])
