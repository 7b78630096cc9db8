#!/usr/bin/env python3
"""The linear datamodelling score (LDS; Park et al. 2023) of each method against a bank of trainings.

    LDS = mean over queries q of Spearman over subsets S of (sum of tau(z, q) for z in S, -loss of q after training on S)

lds.py BANK.jsonl POOL.jsonl QUERIES.jsonl DROPPED RESULTS.json PLOT.svg NAME=LABELS.h5[,LABELS.h5...]...

A label file holds labels of the pool for each query (`label --per-target`); several are averaged (models of several
seeds). Intervals: 95 %, bootstrap over subsets and queries together.
"""

import json
import pathlib
import sys

import h5py
import numpy as np
from scipy.stats import rankdata

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1]))
import baselines  # noqa: E402
import plots  # noqa: E402
from bank import done, kept_rows  # noqa: E402

DRAWS = 1000


def rank_correlations(x, y):
    """Spearman of each column of x with the same column of y; 0 where one does not vary."""
    x, y = (rankdata(values, axis=0) - (len(values) + 1) / 2 for values in (x, y))
    norms = np.sqrt((x * x).sum(0) * (y * y).sum(0))
    return np.where(norms > 0, (x * y).sum(0) / np.where(norms > 0, norms, 1), 0)


def score(predicted, truth):
    """The LDS with its interval."""
    generator = np.random.default_rng(0)
    subsets, queries = truth.shape
    draws = []
    for _ in range(DRAWS):
        rows, columns = generator.integers(subsets, size=subsets), generator.integers(queries, size=queries)
        draws.append(rank_correlations(predicted[rows][:, columns], truth[rows][:, columns]).mean())
    low, high = np.percentile(draws, [2.5, 97.5])
    return {"lds": rank_correlations(predicted, truth).mean(), "low": low, "high": high}


def labels(paths):
    """Rows x queries, the mean of files, each at its own scale."""
    total = 0
    for path in paths:
        with h5py.File(path) as file:
            values = file["labels_per_target"][:].astype(np.float64)
        total = total + values / values.std()
    return total


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
    values["BM25"] = baselines.bm25(texts, asked)
    values["TF-IDF"] = baselines.tfidf(texts, asked)
    # A query cannot tell these; they vary with a subset's sum. A row is worth more the longer it is, the higher its loss.
    values["length"] = np.outer(property_of_rows(first, "token_count"), columns)
    values["loss"] = np.outer(property_of_rows(first, "loss"), columns)
    values["random"] = np.random.default_rng(1).normal(size=(len(texts), len(asked)))

    mean = truth.mean(0)
    table = {name: score(kept @ value, mean) for name, value in values.items()}
    one_seed = [
        rank_correlations(truth[seed], np.delete(truth, seed, 0).mean(0)).mean()
        for seed in range(len(seeds)) if len(seeds) > 1
    ]
    result = {
        "subsets": len(subsets), "seeds": len(seeds), "rows": len(texts), "queries": len(asked),
        "dropped": float(dropped),
        "loss_spread_of_subsets": float(mean.std(0).mean()),
        "one_seed_with_the_others": float(np.mean(one_seed)) if one_seed else None,
        "methods": {name: {key: round(float(v), 4) for key, v in row.items()} for name, row in table.items()},
    }
    pathlib.Path(results).write_text(json.dumps(result, indent=2) + "\n")
    ceiling = result["one_seed_with_the_others"]
    plots.intervals(
        plot, f"LDS, {len(subsets)} subsets, {len(seeds)} seeds", "linear datamodelling score",
        [(name, row["lds"], row["low"], row["high"]) for name, row in table.items()],
        ("one seed against the others", ceiling) if ceiling else None)
    for name, row in sorted(table.items(), key=lambda item: -item[1]["lds"]):
        print(f"{name:24} {row['lds']:.3f} ({row['low']:.3f} to {row['high']:.3f})")
    print("one seed with the others:", ceiling)


if __name__ == "__main__":
    main(*sys.argv[1:])
