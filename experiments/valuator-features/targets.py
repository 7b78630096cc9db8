"""What a closed-form head should aim at: targets.py FEATURES.npz > results-targets.json

The kernel of `--size base` and of `small` (fit.py) in five folds; targets on several scales, rows with several weights, and rows
chosen in several ways. Overall Spearman, mean within source, recall@10 %.
"""
import json
import sys

import numpy as np
from scipy.stats import norm, rankdata, spearmanr

data = np.load(sys.argv[1])
order = np.argsort(data["hashes"])
labels, sources = data["labels"][order].astype(float), data["sources"][order]
completion = data["completion"][order].astype(float)
fold = np.arange(len(order)) % 5


def standardised(x):
    x = np.atleast_2d(x.T).T.astype(float)
    return (x - x.mean(0)) / (x.std(0) + 1e-6)


def distances(x):
    squares = (x**2).sum(1)
    return np.maximum(0, squares[:, None] + squares[None] - 2 * x @ x.T) / x.shape[1]


def measure(outputs, rows=slice(None)):
    o, l, s = outputs[rows], labels[rows], sources[rows]
    within = [spearmanr(o[s == name], l[s == name])[0] for name in sorted(set(s))]
    k = len(l) // 10
    found = set(np.argsort(-o)[:k]) & set(np.argsort(-l)[:k])
    return [round(float(v), 3) for v in (spearmanr(o, l)[0], np.mean(within), len(found) / k)]


def gaussianised(values):
    return norm.ppf((rankdata(values) - 0.5) / len(values))


def pools(layer):
    return [standardised(data["features"][order, list(data["layers"]).index(layer)][:, pool]) for pool in range(3)]


raw = data["statistics"][order].astype(float)
logs = [0, 2, 7, 8, 9, 10]
raw[:, logs] = np.log(raw[:, logs] + 1e-6)
statistics = standardised(raw[:, [0, 1, 2, 5, 6, 7, 8, 9, 10, 11]])
length = standardised(np.sqrt(completion))


def kernel(layer, with_statistics):
    blocks = sum(distances(block) for block in pools(layer)) + 2 / 3 * distances(length)
    linear = length @ length.T / 10
    if with_statistics:
        blocks, linear = blocks + distances(statistics) / 3, linear + statistics @ statistics.T / 10
    return np.exp(-0.3 * blocks) + linear


KERNELS = {"small": (kernel(0, False), 0.2), "base": (kernel(20, True), 0.15)}


def ridge(k, train, targets, test, penalty, weights=None):
    weights = np.ones(len(train)) if weights is None else weights
    mean = (weights * targets).sum() / weights.sum()
    solution = np.linalg.solve(k[np.ix_(train, train)] + np.diag(penalty / weights), targets - mean)
    return mean + k[np.ix_(test, train)] @ solution


def cross_validated(size, target, weight=None):
    k, penalty = KERNELS[size]
    out = np.zeros(len(labels))
    for f in range(5):
        test, train = np.where(fold == f)[0], np.where(fold != f)[0]
        out[test] = ridge(k, train, target(train), test, penalty, weight and weight(train))
    return measure(out)


def scaled(values):
    return (values - values.mean()) / values.std()


def huber(size, limit, rounds=8):
    """Residuals beyond the limit count by their size, not its square (iteratively reweighted)."""
    k, penalty = KERNELS[size]
    out = np.zeros(len(labels))
    for f in range(5):
        test, train = np.where(fold == f)[0], np.where(fold != f)[0]
        y, weights = gaussianised(labels[train]), np.ones(len(train))
        for _ in range(rounds):
            residual = y - ridge(k, train, y, train, penalty, weights)
            weights = np.minimum(1, limit / np.maximum(1e-6, abs(residual)))
        out[test] = ridge(k, train, y, test, penalty, weights)
    return measure(out)


def within_source(rows):
    """Ranks within each source, and the source's mean rank beside them."""
    whole, result = gaussianised(labels[rows]), np.zeros(len(rows))
    for name in set(sources[rows]):
        own = sources[rows] == name
        result[own] = whole[own].mean() + whole[own].std() * gaussianised(labels[rows][own])
    return result


def chosen(size, count, how, seed):
    """`count` rows of the first four folds to learn from, the fifth to test."""
    k, penalty = KERNELS[size]
    pool, test = np.where(fold != 4)[0], np.where(fold == 4)[0]
    generator = np.random.default_rng(seed)
    if how == "random":
        rows = generator.permutation(pool)[:count]
    elif how == "sources alike":
        names = sorted(set(sources))
        rows = np.concatenate([generator.permutation(pool[sources[pool] == s])[: count // len(names)] for s in names])
    else:  # k-centre (Gonzalez 1985), in the kernel's distance, or where the kernel's variance is largest
        own = k[np.ix_(pool, pool)]
        rows = [int(generator.integers(len(pool)))]
        if how == "k-centre":
            far = 2 - 2 * own[rows[0]]
            while len(rows) < count:
                rows.append(int(np.argmax(far)))
                far = np.minimum(far, 2 - 2 * own[rows[-1]])
        else:
            variance, basis = own.diagonal().copy(), np.zeros((0, len(pool)))
            while len(rows) <= count:
                at = rows[-1]
                row = (own[at] - basis[:, at] @ basis) / np.sqrt(max(1e-9, variance[at]) + penalty)
                basis = np.vstack([basis, row])
                variance = variance - row**2
                rows.append(int(np.argmax(variance)))
            rows = rows[:count]
        rows = pool[rows]
    outputs = np.full(len(labels), np.nan)
    outputs[test] = ridge(k, rows, gaussianised(labels[rows]), test, penalty)
    return measure(outputs, test)


results = {}


def report(name, found):
    results[name] = found
    print(name, found, file=sys.stderr, flush=True)


for size in KERNELS:
    report(f"{size}: ranks as normal quantiles", cross_validated(size, lambda rows: gaussianised(labels[rows])))
    report(f"{size}: labels themselves", cross_validated(size, lambda rows: scaled(labels[rows])))
    report(
        f"{size}: half of each",
        cross_validated(size, lambda rows: (gaussianised(labels[rows]) + scaled(labels[rows])) / 2))
    report(f"{size}: uniform ranks", cross_validated(size, lambda rows: scaled(rankdata(labels[rows]))))
    report(f"{size}: ranks within each source about its mean", cross_validated(size, within_source))
    for share in (2, 4):
        report(
            f"{size}: the upper tenth {share} times",
            cross_validated(
                size, lambda rows: gaussianised(labels[rows]),
                lambda rows: np.where(labels[rows] > np.quantile(labels[rows], 0.9), float(share), 1.0)))
    for limit in (0.3, 1.0):
        report(f"{size}: Huber beyond {limit}", huber(size, limit))
    for count in (200, 400, 800):
        for how in ("random", "sources alike", "k-centre", "largest variance"):
            runs = [chosen(size, count, how, seed) for seed in range(5)]
            report(f"{size}: {count} rows, {how}", [round(float(v), 3) for v in np.mean(runs, 0)])
print(json.dumps(results, indent=1))
