#!/usr/bin/env python3
"""The query loss difference (QLD): how much a query's loss rises when the model is trained without the 1 % of the pool that a method
ranks highest for it.

qld.py TRAININGS.jsonl POOL.jsonl QUERIES.jsonl BANK.jsonl RESULTS.json PLOT.svg --alinfik A --model M [--asked 16] [--seeds 3]
       --method NAME=LABELS.h5[,...] --method ... -- OPTIONS...

A line of TRAININGS.jsonl is one training, {"without", "seed", "losses"}; goes on where it stopped, and trainings without the same
rows are done once. The loss with every row is subset -1 of BANK.jsonl. Leaving rows out shuffles the others too, so a rise holds the noise
of another order; each method stands beside random choice, query by query.
"""

import argparse
import json
import pathlib
import sys

import numpy as np

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1]))
import baselines  # noqa: E402
import bootstrap  # noqa: E402
import plots  # noqa: E402
from bank import begin, done, kept, losses_after_training, parse, sha256  # noqa: E402
from lds import labels  # noqa: E402

SHARE = 0.01


def main():
    parser = argparse.ArgumentParser()
    for name in ("trainings", "pool", "queries_file", "bank", "results", "plot"):
        parser.add_argument(name, type=pathlib.Path)
    for name in ("alinfik", "model"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--asked", type=int, default=16)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--method", action="append", default=[])
    args, options = parse(parser)

    pool = args.pool.read_text(encoding="utf-8").splitlines(keepends=True)
    texts = [json.loads(line)["text"] for line in pool]
    asked = [json.loads(line)["text"] for line in args.queries_file.read_text(encoding="utf-8").splitlines()]
    values = {}
    for method in args.method:
        name, paths = method.split("=")
        values[name] = sum(labels(paths.split(",")))
    values["BM25"] = baselines.bm25(texts, asked)
    values["length"] = np.outer([len(text) for text in texts], np.ones(len(asked)))
    values["random"] = np.random.default_rng(1).normal(size=(len(texts), len(asked)))
    # Queries at even distances.
    chosen = np.linspace(0, len(asked) - 1, args.asked).round().astype(int)
    count = max(1, round(SHARE * len(texts)))

    def best(name, query):
        return tuple(sorted(int(row) for row in np.argsort(-values[name][:, query])[:count]))

    begin(args.trainings, {"pool": sha256(args.pool), "queries": sha256(args.queries_file), "options": options})
    there = {(tuple(run["without"]), run["seed"]): run["losses"] for run in done(args.trainings)}
    wanted = dict.fromkeys(
        (best(name, query), seed) for seed in range(1, args.seeds + 1) for query in chosen for name in values)
    missing = [run for run in wanted if run not in there]

    def train(run):
        without, seed = run
        lines = [line for row, line in enumerate(pool) if row not in without]
        losses = losses_after_training(args.alinfik, args.model, lines, args.queries_file, seed, options)
        return {"without": without, "seed": seed, "losses": losses}

    for run in kept(args.trainings, missing, train, args.processes):
        there[tuple(run["without"]), run["seed"]] = run["losses"]

    whole = {run["seed"]: run["losses"] for run in done(args.bank) if run["subset"] == -1}
    rises = {
        name: np.array([
            np.mean([there[best(name, query), seed][query] - whole[seed][query] for seed in range(1, args.seeds + 1)])
            for query in chosen
        ])
        for name in values
    }

    result = {"queries": len(chosen), "seeds": args.seeds, "rows_left_out": count, "methods": {}}
    for name, values_of in rises.items():
        above = values_of - rises["random"]
        result["methods"][name] = {
            "qld": values_of.mean(), **bootstrap.interval(lambda rows: values_of[rows].mean(), len(chosen), draws=2000),
            "above_random": {
                "value": above.mean(), **bootstrap.interval(lambda rows: above[rows].mean(), len(chosen), draws=2000)},
        }
    args.results.write_text(json.dumps(result, indent=2) + "\n")
    plots.intervals(
        args.plot, f"QLD, {len(chosen)} queries, {count} rows left out", "rise of the query's loss, nats a token",
        [(name, row["qld"], row["low"], row["high"]) for name, row in result["methods"].items()])
    print()
    for name, row in sorted(result["methods"].items(), key=lambda item: -item[1]["qld"]):
        print(f"{name:24} {row['qld']:+.4f} ({row['low']:+.4f} to {row['high']:+.4f})")


main()
