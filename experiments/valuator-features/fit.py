"""Which pooled states rank held-out rows: fit.py FEATURES.npz... [--rows N]

Five folds by the texts' SHA-256; Gaussian units on standardised features, the slope over the root of the completion's
length fitted within sources (as `alinfik train --first-layers` does). Prints overall Spearman / mean within source /
recall@10 % of the best of a small grid, a line a choice of features.
"""
import argparse
import itertools
import json

import numpy as np
from scipy.stats import norm, rankdata, spearmanr

parser = argparse.ArgumentParser()
parser.add_argument("features", nargs="+")
parser.add_argument("--rows", type=int)
parser.add_argument("--only", default="")
arguments = parser.parse_args()


def measure(predictions, labels, sources):
    within = [spearmanr(predictions[sources == s], labels[sources == s])[0] for s in sorted(set(sources))]
    k = len(labels) // 10
    best = set(np.argsort(-predictions)[:k]) & set(np.argsort(-labels)[:k])
    return np.array([spearmanr(predictions, labels)[0], np.mean(within), len(best) / k]), within


def gaussianised(values):
    return norm.ppf((rankdata(values) - 0.5) / len(values))


def slope_within(x, y, sources):
    x, y = x.astype(float).copy(), y.copy()
    for s in set(sources):
        x[sources == s] -= x[sources == s].mean()
        y[sources == s] -= y[sources == s].mean()
    return (x @ y) / max(x @ x, 1e-12)


def kernel(a, b, gamma):
    squares = (a**2).sum(1)[:, None] + (b**2).sum(1)[None] - 2 * a @ b.T
    return np.exp(-gamma * np.maximum(0, squares) / a.shape[1])


def cross_validated(x, root, labels, sources, fold, gammas, penalties):
    outputs = {pair: np.zeros(len(labels)) for pair in itertools.product(gammas, penalties)}
    for f in range(5):
        test, train = fold == f, fold != f
        t = gaussianised(labels[train])
        slope = slope_within(root[train], t, sources[train])
        rest = t - slope * root[train]
        mean, deviation = x[train].mean(0), x[train].std(0) + 1e-6
        a, b = np.clip((x[train] - mean) / deviation, -10, 10), np.clip((x[test] - mean) / deviation, -10, 10)
        for gamma in gammas:
            values, vectors = np.linalg.eigh(kernel(a, a, gamma))
            cross, projected = kernel(b, a, gamma) @ vectors, vectors.T @ (rest - rest.mean())
            for penalty in penalties:
                outputs[gamma, penalty][test] = slope * root[test] + rest.mean() + cross @ (projected / (values + penalty))
    return outputs


results = {}
for path in arguments.features:
    data = np.load(path)
    chosen = np.argsort(data["hashes"])[: arguments.rows]
    labels, sources, loss = data["labels"][chosen].astype(float), data["sources"][chosen], data["loss"][chosen]
    fold = np.arange(len(chosen)) % 5
    prompt, completion = data["prompt"][chosen], data["completion"][chosen]
    root = np.sqrt(completion)
    lengths = np.c_[np.sqrt(prompt), root]
    for k, layer in enumerate(data["layers"]):
        p, c, h = (data["features"][chosen, k, part] for part in range(3))
        joined = (p * prompt[:, None] + c * completion[:, None]) / (prompt + completion)[:, None]
        choices = {
            "joined": np.c_[joined, lengths], "prompt, completion": np.c_[p, c, lengths],
            "prompt, completion, half": np.c_[p, c, h, lengths],
            "the same and the loss (not to be had)": np.c_[np.c_[p, c, h, lengths], np.repeat(loss[:, None], 40, 1)],
        }
        for name, x in choices.items():
            if arguments.only and name != arguments.only:
                continue
            outputs = cross_validated(x.astype(np.float64), root, labels, sources, fold, [0.05, 0.2, 0.6], [0.1, 0.3, 1.0])
            best = max(outputs, key=lambda pair: sum(measure(outputs[pair], labels, sources)[0][:2]))
            values, within = measure(outputs[best], labels, sources)
            key = f"{path.rsplit('/', 1)[-1][:-4]}, layer {layer}, {name}"
            results[key] = [round(float(v), 3) for v in values]
            print(key, results[key], best, np.round(within, 2), flush=True)
print(json.dumps(results))
