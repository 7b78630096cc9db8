#!/usr/bin/env python3
"""The average precision of each kind of label in finding the poisoned rows, over all rows and against the distractors alone,
with 95 % bootstrap intervals over rows (the queries stay as they are); several seeds of a projection are averaged.

average_precision.py HOWDY RUNS FOLDER
"""

import json
import pathlib
import sys

import h5py
import numpy as np
from sklearn.metrics import average_precision_score

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1]))
import baselines  # noqa: E402
import bootstrap  # noqa: E402
import plots  # noqa: E402

RANDOM, WHOLE = "random 32", "whole, one layer a block"


def rows(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def text(row):
    return " ".join([row["instruction"], row["input"], row["output"]])


def estimate(truth, scores):
    """Mean average precision over the runs, and its interval."""

    def mean(rows):
        if truth[rows].all() or not truth[rows].any():
            return None
        return np.mean([average_precision_score(truth[rows], run[rows]) for run in scores])

    return {"value": mean(np.arange(len(truth))), **bootstrap.interval(mean, len(truth))}


def main(howdy, runs, folder):
    howdy, runs, folder = pathlib.Path(howdy), pathlib.Path(runs), pathlib.Path(folder)
    pool, queries = rows(howdy / "pool.jsonl"), rows(howdy / "target.jsonl")
    truth = {row["id"]: row for row in rows(howdy / "truth.jsonl")}
    place = {row["id"]: index for index, row in enumerate(pool)}
    poisoned = np.array([truth[row["id"]]["poisoned"] for row in pool])
    distractor = np.array([truth[row["id"]]["distractor"] for row in pool])

    def column(path, name):
        """One value a row of the pool."""
        values = np.full(len(pool), np.nan)
        with h5py.File(path) as file:
            for identifier, value in zip(file["ids"].asstr()[:], file[name][:]):
                values[place[identifier]] = value
        if np.isnan(values).any():
            sys.exit(f"{path}: {int(np.isnan(values).sum())} rows of the pool have no label")
        return values

    methods = {}
    for kind, how in (("dot", RANDOM), ("cosine", RANDOM), ("layer-cosine", RANDOM), ("logra", RANDOM), ("relatif", RANDOM),
                      ("adam", WHOLE), ("ekfac", WHOLE)):
        found = sorted(runs.glob(f"{kind}-[0-9].h5"))
        if found:
            methods[f"{kind}, {how}"] = [column(path, "labels") for path in found]
    any_file = sorted(runs.glob("dot-[0-9].h5"))[0]
    methods["BM25"] = [baselines.bm25([text(row) for row in pool], [text(row) for row in queries]).mean(1)]
    methods["TF-IDF"] = [baselines.tfidf([text(row) for row in pool], [text(row) for row in queries]).mean(1)]
    methods["length"] = [column(any_file, "token_count")]
    methods["loss"] = [column(any_file, "loss")]
    methods["random"] = list(np.random.default_rng(1).normal(size=(20, len(pool))))

    either = poisoned | distractor
    result = {
        name: {
            "runs": len(scores),
            "all_rows": estimate(poisoned, scores),
            "distractors_alone": estimate(poisoned[either], [run[either] for run in scores]),
        }
        for name, scores in methods.items()
    }
    (folder / "results.json").write_text(json.dumps(result, indent=2) + "\n")
    for place_of, title in (("all_rows", "all 900 rows"), ("distractors_alone", "poisoned rows and distractors alone")):
        plots.intervals(
            folder / f"{place_of}.svg", f"Finding poisoned rows: {title}", "average precision",
            [(name, *result[name][place_of].values()) for name in result])
    for name, found in sorted(result.items(), key=lambda item: -item[1]["all_rows"]["value"]):
        print(f"{name:26}" + "".join("  {value:.3f} ({low:.3f} to {high:.3f})".format(**found[k]) for k in ("all_rows", "distractors_alone")))


main(*sys.argv[1:])
