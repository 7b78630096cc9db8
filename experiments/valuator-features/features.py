"""What one forward pass of SmolLM2 shows of the rows of a label file: features.py GGUF TOKENIZER ROWS LABELS OUTPUT

Each row is read as the model read it for its label (chat template, cut to the label's tokens). `features`: hidden states by
layer, pooled over the prompt without position 0, the completion, and the completion's second half. `errors`: the mean over
what is predicted of d = E^T (p - y), the loss's gradient at the last state, over all and over the second half.
`outer`: the mean of d and the last state h multiplied, both projected at random to 24. `statistics`: of the loss, the
entropy, p(y), |d|, |d| |h|, and the norm of the head's whole gradient.
"""
import argparse
import hashlib
import json
import pathlib
import sys
import time

import h5py
import numpy as np
import torch

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
import teacher  # noqa: E402

LAYERS = [0, 3, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 27, 30]

parser = argparse.ArgumentParser()
parser.add_argument("gguf")
parser.add_argument("tokenizer")
parser.add_argument("rows")
parser.add_argument("labels")
parser.add_argument("output")
parser.add_argument("--threads", type=int, default=2)
arguments = parser.parse_args()

torch.set_num_threads(arguments.threads)
model = teacher.language_model(*teacher.weights(arguments.gguf))
layers = LAYERS
norm, model.model.norm = model.model.norm, torch.nn.Identity()
embedding = model.model.embed_tokens.weight
labels = h5py.File(arguments.labels)
read = teacher.Reader(arguments.tokenizer, int(labels.attrs["max_tokens"]))
with open(arguments.rows) as file:
    rows = [json.loads(line) for line in file]

encoded = [read(row) for row in rows]
same = np.mean([len(ids) == count for (ids, _), count in zip(encoded, labels["token_count"][:])])
print(f"{len(rows)} rows; as many tokens as the label's in {same:.1%} of them", flush=True)
order = sorted(range(len(encoded)), key=lambda index: len(encoded[index][0]))
features = np.zeros((len(encoded), len(layers), 3, 576), np.float32)
errors = np.zeros((len(encoded), 2, 576), np.float32)
outer = np.zeros((len(encoded), 24 * 24), np.float32)
statistics = np.zeros((len(encoded), 12), np.float32)
generator = torch.Generator().manual_seed(1)
left, right = (torch.randn(576, 24, generator=generator) / 24 for _ in range(2))


def read_errors(index, states, tokens, split):
    """Of the predictions of positions split and after, each from the state before it."""
    h = norm(states[split - 1 : -1])
    logits = h @ embedding.T
    y = torch.tensor(tokens[split:])
    logs = torch.log_softmax(logits, 1)
    p = logs.exp()
    losses = -logs[torch.arange(len(y)), y]
    d = p @ embedding - embedding[y]
    middle = len(y) // 2
    errors[index, 0], errors[index, 1] = d.mean(0), d[middle:].mean(0)
    outer[index] = ((h @ left)[:, :, None] * (d @ right)[:, None, :]).mean(0).flatten()
    size, height = d.norm(dim=1), h.norm(dim=1)
    whole = ((d @ d.T) * (h @ h.T)).sum().clamp(min=0).sqrt() / len(y)
    statistics[index] = torch.stack([
        losses.mean(), losses.std(unbiased=False), losses[middle:].mean(), losses[0], losses[-1],
        -(p * logs).sum(1).mean(), (-losses).exp().mean(), size.mean(), size.pow(2).mean(), (size * height).mean(), whole,
        (losses > 3).float().mean()])


started = time.time()
with torch.no_grad():
    for at in range(0, len(order), 8):
        batch = order[at : at + 8]
        longest = max(len(encoded[index][0]) for index in batch)
        ids = torch.zeros(len(batch), longest, dtype=torch.long)
        mask = torch.zeros(len(batch), longest)
        for place, index in enumerate(batch):
            ids[place, : len(encoded[index][0])] = torch.tensor(encoded[index][0])
            mask[place, : len(encoded[index][0])] = 1
        states = model.model(ids, attention_mask=mask, output_hidden_states=True).hidden_states
        for place, index in enumerate(batch):
            n, split = len(encoded[index][0]), encoded[index][1]
            middle = (split + n) // 2
            if split < n:
                read_errors(index, states[-1][place, :n], encoded[index][0], split)
            for k, layer in enumerate(layers):
                x = states[layer][place, :n]
                prompt = x[1:split] if split > 1 else x[:1]
                features[index, k, 0] = prompt.mean(0)
                if split < n:
                    features[index, k, 1] = x[split:].mean(0)
                    features[index, k, 2] = x[middle:].mean(0)
        if at % 400 == 0:
            print(f"{at} rows, {time.time() - started:.0f} s", flush=True)
np.savez(
    arguments.output, errors=errors, outer=outer, statistics=statistics, features=features, layers=layers, labels=labels["labels"][:], loss=labels["loss"][:],
    gradient_norm=labels["gradient_norm"][:],
    prompt=[split for _, split in encoded], completion=[len(ids) - split for ids, split in encoded],
    sources=[source.decode() for source in labels["sources"][:]],
    hashes=[hashlib.sha256(text).hexdigest() for text in labels["texts"][:]])
