#!/usr/bin/env python3
"""Scored files of one pool, of which `alinfik select` takes the best: RUNS/scored/MODE-POOL.jsonl, whose alinfik_score is the mode's.

modes.py RUNS POOL TARGET.jsonl

Reads RUNS/scored/value-POOL.jsonl (the valuator's scores) and the labels RUNS/linfik-POOL.h5. `random`: numbers drawn at random;
`source-mean`: the mean score of the row's source, rows within it at random; `bm25`: the mean over targets; `labels`: what the valuator
was to predict. The source means are of the valuator's scores: no label of the pool is used but by `labels`.
"""

import json
import pathlib
import sys

import h5py
import numpy as np

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1]))
import baselines  # noqa: E402


def text(record):
    return record.get("text") or f"{record['prompt']} {record['completion']}"


def main(runs, pool, target):
    runs = pathlib.Path(runs)
    rows = [json.loads(line) for line in open(runs / "scored" / f"value-{pool}.jsonl", encoding="utf-8")]
    with h5py.File(runs / f"linfik-{pool}.h5") as file:
        labels = dict(zip(file["ids"].asstr()[:], file["labels"][:].tolist()))
        records = {i: json.loads(r) for i, r in zip(file["ids"].asstr()[:], file["records"].asstr()[:])}
    generator = np.random.default_rng(int(pool))
    noise = generator.normal(size=len(rows))
    score = np.array([row["alinfik_score"] for row in rows])
    sources = np.array([row.get("source", "") for row in rows])
    mean = {source: score[sources == source].mean() for source in sorted(set(sources))}
    texts = [text(records[str(row["id"])]) for row in rows]
    queries = [text(json.loads(line)) for line in open(target, encoding="utf-8")]
    modes = {
        "random": generator.normal(size=len(rows)),
        "source-mean": np.array([mean[source] for source in sources]) + 1e-6 * noise,
        "bm25": baselines.bm25(texts, queries).mean(1),
        "labels": np.array([labels[str(row["id"])] for row in rows]),
    }
    for mode, values in modes.items():
        path = runs / "scored" / f"{mode}-{pool}.jsonl"
        with open(f"{path}.partial", "w", encoding="utf-8") as file:
            for row, value in zip(rows, values.tolist()):
                kept = {k: v for k, v in row.items() if k not in ("alinfik_low", "alinfik_high", "alinfik_ood")}
                file.write(json.dumps(kept | {"alinfik_score": value}) + "\n")
        pathlib.Path(f"{path}.partial").rename(path)


main(*sys.argv[1:])
