#!/usr/bin/env python3
"""Spearman overall, its mean within source, and recall@10 %, of `alinfik_score` against `label`: one triple a file, and
the mean over files.

    python3 fidelity.py NAME scored.jsonl...
"""

import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from agreement import agreement


def fidelity(path):
    with open(path, encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    scores, labels = [row["alinfik_score"] for row in rows], [row["label"] for row in rows]
    found = agreement(scores, labels, [row["source"] for row in rows])
    top = len(rows) // 10
    best = [set(sorted(range(len(rows)), key=lambda i: -values[i])[:top]) for values in (scores, labels)]
    return [found["spearman"], found["within_source_mean"], len(best[0] & best[1]) / top]


def main():
    name, *paths = sys.argv[1:]
    folds = [fidelity(path) for path in paths]
    means = [sum(values) / len(values) for values in zip(*folds)]
    print(json.dumps({
        "name": name, "folds": [[round(value, 3) for value in fold] for fold in folds],
        "mean": [round(value, 3) for value in means],
    }))


if __name__ == "__main__":
    main()
