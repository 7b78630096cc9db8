"""What a closed-form head should aim at: targets.py FEATURES.npz > results-targets.json

The kernel of `--size base` and of `small` (fit.py) in five folds; targets on several scales, rows with several weights, and rows
chosen in several ways. Overall Spearman, mean within source, recall@10 %.
"""
import json

import numpy as np
from scipy.stats import rankdata
from rows import (
    distances, fold, gaussianised, labels, length, measure, pools, report, results, ridge, sources, statistics)


def kernel(layer, with_statistics):
    blocks = sum(distances(block) for block in pools(layer)) + 2 / 3 * distances(length)
    linear = length @ length.T / 10
    if with_statistics:
        blocks, linear = blocks + distances(statistics) / 3, linear + statistics @ statistics.T / 10
    return np.exp(-0.3 * blocks) + linear


KERNELS = {"small": (kernel(0, False), 0.2), "base": (kernel(20, True), 0.15)}


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
