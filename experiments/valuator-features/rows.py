"""The rows of features.py's output, named as first argument: labels, features, folds, and what is done with them."""
import sys

import numpy as np
from scipy.stats import norm, rankdata, spearmanr

data = np.load(sys.argv[1])
order = np.argsort(data["hashes"])
labels, sources = data["labels"][order].astype(float), data["sources"][order]
prompt, completion = data["prompt"][order].astype(float), data["completion"][order].astype(float)
fold = np.arange(len(order)) % 5


def standardised(x):
    x = np.atleast_2d(x.T).T.astype(float)
    return (x - x.mean(0)) / (x.std(0) + 1e-6)


def distances(x):
    squares = (x**2).sum(1)
    return np.maximum(0, squares[:, None] + squares[None] - 2 * x @ x.T) / x.shape[1]


def measure(outputs, rows=slice(None)):
    """Overall Spearman, mean within source, recall@10 %, of some rows."""
    o, l, s = outputs[rows], labels[rows], sources[rows]
    within = [spearmanr(o[s == name], l[s == name])[0] for name in sorted(set(s))]
    k = len(l) // 10
    found = set(np.argsort(-o)[:k]) & set(np.argsort(-l)[:k])
    return [round(float(v), 3) for v in (spearmanr(o, l)[0], np.mean(within), len(found) / k)]


def gaussianised(values):
    return norm.ppf((rankdata(values) - 0.5) / len(values))


def ridge(kernel, train, targets, test, penalty, weights=None):
    weights = np.ones(len(train)) if weights is None else weights
    mean = (weights * targets).sum() / weights.sum()
    solution = np.linalg.solve(kernel[np.ix_(train, train)] + np.diag(penalty / weights), targets - mean)
    return mean + kernel[np.ix_(test, train)] @ solution


def pools(layer):
    features = data["features"][order, list(data["layers"]).index(layer)]
    return [standardised(features[:, pool]) for pool in range(3)]


raw = data["statistics"][order].astype(float)
logs = [0, 2, 7, 8, 9, 10]
raw[:, logs] = np.log(raw[:, logs] + 1e-6)
chosen = [0, 1, 2, 5, 6, 7, 8, 9, 10, 11]  # not the losses of the first and of the last token
statistics = standardised(raw[:, chosen])
length = standardised(np.sqrt(completion))

results = {}


def report(name, found):
    results[name] = found
    print(name, found, file=sys.stderr, flush=True)
