"""Which features of a forward pass rank held-out rows: fit.py FEATURES.npz > results.json

Five folds by the order of the texts' SHA-256, 1,600 rows to train. Kernel ridge regression: a Gaussian kernel over blocks of
standardised features, each block by the mean of its squared distances, plus a linear kernel for length and statistics.
Prints overall Spearman, mean within source, recall@10 %.
"""
import json

import numpy as np
from rows import (
    completion, data, distances, fold, gaussianised, labels, length, measure, order, pools, prompt, report, results,
    ridge, standardised, statistics)

errors = [standardised(data["errors"][order, half]) for half in range(2)]
outer = standardised(data["outer"][order])
of_length, of_statistics = distances(length), distances(statistics)


def cross_validated(kernel):
    def outputs(penalty):
        out = np.zeros(len(labels))
        for f in range(5):
            test, train = np.where(fold == f)[0], np.where(fold != f)[0]
            out[test] = ridge(kernel, train, gaussianised(labels[train]), test, penalty)
        return measure(out)

    return max((outputs(penalty) for penalty in (0.1, 0.2, 0.4)), key=lambda found: found[0] + found[1])


def kernel(blocks, with_statistics=False, linear=True, scale=0.3):
    exponent = scale * (sum(distances(block) for block in blocks) + 2 / 3 * of_length)
    result = np.exp(-exponent - (scale / 3 * of_statistics if with_statistics else 0))
    if linear:
        result += length @ length.T / 10 + (statistics @ statistics.T / 10 if with_statistics else 0)
    return result


for layer in (0, 3, 12, 20, 30):
    p, c, half = pools(layer)
    joined = standardised((p * prompt[:, None] + c * completion[:, None]) / (prompt + completion)[:, None])
    report(f"layer {layer}: all tokens alike", cross_validated(kernel([joined], scale=0.6)))
    report(f"layer {layer}: prompt, completion", cross_validated(kernel([p, c])))
    report(f"layer {layer}: prompt, completion, its second half", cross_validated(kernel([p, c, half])))
    report(f"layer {layer}: and the statistics", cross_validated(kernel([p, c, half], True)))
    report(f"layer {layer}: and the errors", cross_validated(kernel([p, c, half] + errors, True)))
p, c, half = pools(20)
base = kernel([p, c, half] + errors, True)
report("layer 20: all that, without a linear part", cross_validated(kernel([p, c, half] + errors, True, linear=False)))
report("layer 20: all that, and 24 x 24 products of error and state", cross_validated(kernel([p, c, half] + errors + [outer], True)))

# Half of the training rows keep their labels; the others are scored by a valuator of the first half.
small = kernel(pools(0))
taught = {}
for f in range(5):
    test, train = np.where(fold == f)[0], np.where(fold != f)[0]
    known, unknown = train[::2], train[1::2]
    targets = gaussianised(labels[known])
    scores = ridge(base, known, targets, unknown, 0.15)

    def put(name, values):
        taught.setdefault(name, np.zeros(len(labels)))[test] = values

    put("small, 800 labels", ridge(small, known, targets, test, 0.2))
    put("base, 800 labels", ridge(base, known, targets, test, 0.15))
    for weight in (0.1, 0.3, 0.5, 1.0):
        weights = np.r_[np.ones(len(known)), np.full(len(unknown), weight)]
        both = ridge(small, np.r_[known, unknown], np.r_[targets, scores], test, 0.2, weights)
        put(f"small, 800 labels and base's scores of 800 rows, weight {weight}", both)
for name, outputs in taught.items():
    report(name, measure(outputs))
print(json.dumps(results, indent=1))
