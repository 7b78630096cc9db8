#!/usr/bin/env python3
"""The linear datamodelling score (LDS; Park et al. 2023) of each method against a bank of trainings.

    LDS = mean over queries q of Spearman over subsets S of (sum of tau(z, q) for z in S, -loss of q after training on S)

lds.py BANK.jsonl POOL.jsonl QUERIES.jsonl DROPPED RESULTS.json PLOT.svg NAME=LABELS.h5[,LABELS.h5...]...

A label file holds labels of the pool for each query (`label --per-target`). Of several (models of several seeds) the mean of
their scores is reported, and beside it that of their summed labels. Intervals: 95 %, bootstrap over subsets and queries
together. The ceiling is what the mean of infinitely many seeds would score against the mean of these: with r the mean
correlation of two seeds, sqrt(n r / (1 + (n - 1) r)) for n of them (Spearman and Brown).
"""

import json
import pathlib
import sys

import h5py
import numpy as np
from scipy.stats import rankdata

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1]))
import baselines  # noqa: E402
import bootstrap  # noqa: E402
import plots  # noqa: E402
from bank import done, kept_rows  # noqa: E402


def rank_correlations(x, y):
    """Spearman of each column of x with the same column of y; 0 where one does not vary."""
    x, y = (rankdata(values, axis=0) - (len(values) + 1) / 2 for values in (x, y))
    norms = np.sqrt((x * x).sum(0) * (y * y).sum(0))
    return np.where(norms > 0, (x * y).sum(0) / np.where(norms > 0, norms, 1), 0)


def score(predictions, truth):
    """The mean LDS of several predictions with its interval, and that of their sum."""

    def mean(rows, columns):
        return np.mean([
            rank_correlations(predicted[rows][:, columns], truth[rows][:, columns]).mean() for predicted in predictions
        ])

    subsets, queries = truth.shape
    value = mean(np.arange(subsets), np.arange(queries))
    together = rank_correlations(sum(predictions), truth).mean()
    spread = bootstrap.interval(mean, subsets, queries)
    return {"models": len(predictions), "lds": value, **spread, "labels_added_up": together}


def labels(paths):
    """Rows x queries of each file, at its own scale."""
    found = []
    for path in paths:
        with h5py.File(path) as file:
            values = file["labels_per_target"][:].astype(np.float64)
        found.append(values / values.std())
    return found


def property_of_rows(path, name):
    with h5py.File(path) as file:
        return file[name][:].astype(np.float64)


def main(bank, pool, queries, dropped, results, plot, *methods):
    texts, asked = ([json.loads(line)["text"] for line in open(path, encoding="utf-8")] for path in (pool, queries))
    runs = {(run["subset"], run["seed"]): run["losses"] for run in done(pathlib.Path(bank)) if run["subset"] >= 0}
    seeds = sorted({seed for _, seed in runs})
    subsets = [subset for subset in sorted({subset for subset, _ in runs}) if all((subset, s) in runs for s in seeds)]
    truth = -np.array([[runs[subset, seed] for subset in subsets] for seed in seeds])  # seeds x subsets x queries
    kept = np.zeros((len(subsets), len(texts)))
    for row, subset in enumerate(subsets):
        kept[row, kept_rows(subset, len(texts), float(dropped))] = 1

    values = {}
    first = None
    for method in methods:
        name, paths = method.split("=")
        values[name] = labels(paths.split(","))
        first = first or paths.split(",")[0]
    columns = np.ones(len(asked))
    values["BM25"] = [baselines.bm25(texts, asked)]
    values["TF-IDF"] = [baselines.tfidf(texts, asked)]
    # A query cannot tell these; they vary with a subset's sum. A row is worth more the longer it is, the higher its loss.
    values["length"] = [np.outer(property_of_rows(first, "token_count"), columns)]
    values["loss"] = [np.outer(property_of_rows(first, "loss"), columns)]
    values["random"] = list(np.random.default_rng(1).normal(size=(3, len(texts), len(asked))))

    mean = truth.mean(0)
    table = {name: score([kept @ each for each in value], mean) for name, value in values.items()}
    pairs = [
        rank_correlations(truth[a], truth[b]).mean() for a in range(len(seeds)) for b in range(a)
    ]
    between = float(np.mean(pairs)) if pairs else None
    count = len(seeds)
    ceiling = float(np.sqrt(count * between / (1 + (count - 1) * between))) if pairs else None
    result = {
        "subsets": len(subsets), "seeds": len(seeds), "rows": len(texts), "queries": len(asked),
        "dropped": float(dropped),
        "loss_spread_of_subsets": float(mean.std(0).mean()),
        "between_seeds": between, "ceiling": ceiling,
        "methods": {name: {key: round(float(v), 4) for key, v in row.items()} for name, row in table.items()},
    }
    pathlib.Path(results).write_text(json.dumps(result, indent=2) + "\n")
    plots.intervals(
        plot, f"LDS, {len(subsets)} subsets, {len(seeds)} seeds", "linear datamodelling score",
        [(name, row["lds"], row["low"], row["high"]) for name, row in table.items()],
        ("ceiling", ceiling) if ceiling else None)
    for name, row in sorted(table.items(), key=lambda item: -item[1]["lds"]):
        print(f"{name:32} {row['lds']:.3f} ({row['low']:.3f} to {row['high']:.3f}), added up {row['labels_added_up']:.3f}")
    print(f"between seeds {between}, ceiling {ceiling}")


if __name__ == "__main__":
    main(*sys.argv[1:])
