#!/usr/bin/env python3
"""How far two label files agree on the rows of the second, as JSON: Spearman overall, within each source, and the mean
within source.

    python3 experiments/agreement.py reference.h5 other.h5 [--dataset labels]

Needs h5py (make check-peers builds an environment that has it: .cache/peers-venv).
"""

import argparse
import json
import math

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
        places = {name: place for place, name in enumerate(a["ids"][:])}
        ids = list(b["ids"][:])
        if not all(name in places for name in ids):
            raise SystemExit("the reference does not hold every row of the other file")
        exact = a["labels"][:]
        result = agreement(
            [float(exact[places[name]]) for name in ids], b[options.dataset][:].tolist(),
            list(b["sources"].asstr()[:]),
        )
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
