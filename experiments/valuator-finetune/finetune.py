"""Fine-tuning the language model's first layers on labels: finetune.py FORWARD.npz GGUF TOKENIZER ROWS LABELS LAYERS EPOCHS

The rows, folds and pooled features of experiments/valuator-features (prompt, completion, its second half, and the length);
fold 0 is tested on, the others train. A linear head in closed form on the frozen features comes first, then AdamW moves head
and layers together: mean squared error on the labels' normal quantiles, layer-wise decay of the rate, cosine schedule. Prints
overall Spearman, mean within source and recall@10 % of the frozen features, after each epoch, and of kernel ridge regression on
what the layers have become. Batches of rows of like length; the embedding table stays as it is.
"""
import json
import pathlib
import sys
import time

import h5py
import numpy as np
import torch

forward, gguf, tokenizer_path, rows_path, labels_path, count, epochs = sys.argv[1:]
experiments = pathlib.Path(__file__).parents[1]
sys.path[:0] = [str(experiments), str(experiments / "valuator-features")]
sys.argv[1:] = [forward]
import teacher  # noqa: E402
from rows import (  # noqa: E402
    completion, distances, fold, gaussianised, labels, length, measure, order, report, results, ridge, standardised)

count, epochs = int(count), int(epochs)
HEAD_RATE, LAYER_RATE, DECAY, BATCH = 3e-3, 1e-4, 0.8, 16
torch.manual_seed(1)
torch.set_num_threads(2)
with h5py.File(labels_path) as file:
    limit = int(file.attrs["max_tokens"])
read = teacher.Reader(tokenizer_path, limit)
with open(rows_path) as file:
    rows = [read(json.loads(line)) for line in file]
rows = [rows[i] for i in order]
train, test = np.where(fold != 0)[0], np.where(fold == 0)[0]
targets = torch.tensor(gaussianised(labels[train]), dtype=torch.float32)
model = teacher.language_model(*teacher.weights(gguf), layers=count).model
model.norm = torch.nn.Identity()
model.embed_tokens.weight.requires_grad_(False)


def pooled(batch):
    """3 x 576 numbers a row."""
    longest = max(len(rows[i][0]) for i in batch)
    ids = torch.zeros(len(batch), longest, dtype=torch.long)
    mask = torch.zeros(len(batch), longest)
    parts = torch.zeros(len(batch), 3, longest)
    for place, i in enumerate(batch):
        tokens, split = rows[i]
        n, middle = len(tokens), (split + len(tokens)) // 2
        ids[place, :n], mask[place, :n] = torch.tensor(tokens), 1
        for part, (start, end) in enumerate([(min(1, split - 1), split), (split, n), (middle, n)]):
            parts[place, part, start:end] = 1 / max(1, end - start)
    return (parts @ model(ids, attention_mask=mask).last_hidden_state).flatten(1)


def features(chosen):
    result = torch.zeros(len(chosen), 3 * 576)
    by_length = sorted(range(len(chosen)), key=lambda place: len(rows[chosen[place]][0]))
    with torch.no_grad():
        for at in range(0, len(chosen), BATCH):
            places = by_length[at : at + BATCH]
            result[places] = pooled([chosen[place] for place in places])
    return result


lengths = torch.tensor(length, dtype=torch.float32)
frozen = features(range(len(rows)))
mean, deviation = frozen[train].mean(0), frozen[train].std(0) + 1e-6


def inputs(raw, chosen):
    return torch.cat([(raw - mean) / deviation / raw.shape[1] ** 0.5, lengths[chosen]], 1)


def kernel_ridge(raw):
    blocks = [standardised(raw[:, 576 * part : 576 * part + 576].numpy()) for part in range(3)]
    kernel = np.exp(-0.3 * (sum(map(distances, blocks)) + 2 / 3 * distances(length))) + length @ length.T / 10
    return ridge(kernel, train, targets.numpy().astype(float), test, 0.2)


def tested(outputs):
    whole = np.zeros(len(rows))
    whole[test] = outputs
    return measure(whole, test)


x = inputs(frozen[train], train).double()
best = None
for penalty in (0.01, 0.03, 0.1, 0.3, 1, 3):
    gram = x.T @ x + penalty * torch.eye(x.shape[1], dtype=torch.double)
    solution = torch.linalg.solve(gram, x.T @ targets.double())
    outputs = inputs(frozen[test], test) @ solution.float()
    found = tested(outputs.numpy())
    # The best penalty for the test rows: a linear head is given every advantage here.
    if best is None or found[0] + found[1] > best[0][0] + best[0][1]:
        best = (found, solution)
report(f"first {count} layers, frozen, linear head", best[0])
of_frozen = kernel_ridge(frozen)
report(f"first {count} layers, frozen, kernel ridge", tested(of_frozen))

head = torch.nn.Parameter(best[1].float())
groups = [{"params": [head], "lr": HEAD_RATE, "weight_decay": 0.0}]
for index, layer in enumerate(model.layers):
    groups.append({"params": list(layer.parameters()), "lr": LAYER_RATE * DECAY ** (count - 1 - index), "weight_decay": 0.01})
optimiser = torch.optim.AdamW(groups)
steps = epochs * -(-len(train) // BATCH)
schedule = torch.optim.lr_scheduler.LambdaLR(
    optimiser, lambda step: min((step + 1) / (0.1 * steps), 0.5 * (1 + np.cos(np.pi * step / steps))))
target_of = dict(zip(train.tolist(), targets))
started = time.time()
for epoch in range(1, epochs + 1):
    shuffled = train[torch.randperm(len(train)).numpy()]
    # Chunks of eight batches, sorted by length inside: little is wasted on padding.
    chunks = [sorted(shuffled[at : at + 8 * BATCH], key=lambda i: len(rows[i][0])) for at in range(0, len(train), 8 * BATCH)]
    batches = [chunk[at : at + BATCH] for chunk in chunks for at in range(0, len(chunk), BATCH)]
    total = 0.0
    for place in torch.randperm(len(batches)).tolist():
        batch = batches[place]
        outputs = inputs(pooled(batch), batch) @ head
        loss = torch.nn.functional.mse_loss(outputs, torch.stack([target_of[i] for i in batch]))
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_([p for group in groups for p in group["params"]], 1.0)
        optimiser.step()
        schedule.step()
        total += loss.item() * len(batch)
    with torch.no_grad():
        outputs = (inputs(features(test), test) @ head).numpy()
    name = f"first {count} layers, epoch {epoch} of {epochs}"
    report(name + f", training loss {total / len(train):.3f}", tested(outputs))
    print(f"{time.time() - started:.0f} s", file=sys.stderr, flush=True)
now = kernel_ridge(features(range(len(rows))))
report(f"first {count} layers, fine-tuned, kernel ridge", tested(now))
report("frozen with kernel ridge and fine-tuned, their mean", tested(of_frozen + outputs))
print(json.dumps(results, indent=1))
