#!/usr/bin/env python3
"""How far two label files agree: Spearman overall, within each source, and the mean within source, as JSON.

    python3 experiments/agreement.py reference.h5 other.h5 [--dataset labels]

Needs h5py (make check-peers builds an environment that has it: .cache/peers-venv).
"""

import argparse
import json
import math
import os

import h5py


def ranks(values):
    order = sorted(range(len(values)), key=values.__getitem__)
    result = [0.0] * len(values)
    first = 0
    while first < len(order):
        end = first
        while end < len(order) and values[order[end]] == values[order[first]]:
            end += 1
        for place in range(first, end):
            result[order[place]] = (first + end + 1) / 2
        first = end
    return result


def pearson(x, y):
    mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
    xy = sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y))
    xx = sum((a - mean_x) ** 2 for a in x)
    yy = sum((b - mean_y) ** 2 for b in y)
    return xy / math.sqrt(xx * yy) if xx > 0 and yy > 0 else float("nan")


def spearman(x, y):
    return pearson(ranks(x), ranks(y))


def agreement(x, y, sources):
    groups = {}
    for index, source in enumerate(sources):
        groups.setdefault(source, []).append(index)
    within = {
        source: spearman([x[i] for i in rows], [y[i] for i in rows])
        for source, rows in sorted(groups.items()) if len(rows) >= 3
    }
    return {
        "rows": len(x),
        "spearman": spearman(x, y),
        "pearson": pearson(x, y),
        "within_source_mean": sum(within.values()) / len(within),
        "within_source": within,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("reference")
    parser.add_argument("other")
    parser.add_argument("--dataset", default="labels")
    options = parser.parse_args()
    with h5py.File(options.reference) as a, h5py.File(options.other) as b:
        if list(a["ids"][:]) != list(b["ids"][:]):
            raise SystemExit("the two files do not hold the same rows")
        result = agreement(
            a["labels"][:].tolist(), b[options.dataset][:].tolist(), list(a["sources"].asstr()[:])
        )
        result["bytes"] = {os.path.basename(options.reference): os.path.getsize(options.reference),
                           os.path.basename(options.other): os.path.getsize(options.other)}
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
