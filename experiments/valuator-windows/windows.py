"""Rows that labels cut short, and how scores of theirs rank the whole.

    windows.py long CUT_LABELS.h5 ROWS.jsonl COUNT OUTPUT.jsonl
    windows.py compare CUT_LABELS.h5 WHOLE_LABELS.h5 FOLDER      prints Spearman with the whole labels, overall, within source
"""
import json
import pathlib
import sys

import h5py
import numpy as np
from scipy.stats import spearmanr


def column(file, name):
    return [value.decode() for value in file[name][:]]


def long(cut, rows, count, output):
    with h5py.File(cut) as file:
        truncated = {i for i, flag in zip(column(file, "ids"), file["truncated"][:]) if flag}
    lines = [line for line in open(rows) if json.loads(line)["id"] in truncated]
    pathlib.Path(output).write_text("".join(lines[: int(count)]))


def compare(cut, whole, folder):
    with h5py.File(cut) as file:
        short = dict(zip(column(file, "ids"), file["labels"][:]))
    with h5py.File(whole) as file:
        ids, labels, sources = column(file, "ids"), file["labels"][:], np.array(column(file, "sources"))
        tokens = file["token_count"][:]

    def measure(values):
        values = np.asarray(values)
        within = [
            spearmanr(values[sources == s], labels[sources == s])[0]
            for s in sorted(set(sources)) if (sources == s).sum() >= 20
        ]
        return [round(float(spearmanr(values, labels)[0]), 3), round(float(np.mean(within)), 3)]

    results = {
        "rows": len(ids), "tokens, mean": round(float(tokens.mean())),
        "sources of 20 rows and more": sorted(s for s in set(sources) if (sources == s).sum() >= 20),
        "labels of the first 192 tokens": measure([short[i] for i in ids]),
    }
    columns = {}
    for path in sorted(pathlib.Path(folder).glob("*-*.jsonl")):
        scores = {row["id"]: row["alinfik_score"] for row in map(json.loads, open(path))}
        columns[path.stem] = np.array([scores[i] for i in ids])
        results[path.stem] = measure(columns[path.stem])
    generator = np.random.default_rng(0)
    draws = [generator.choice(len(ids), len(ids)) for _ in range(2000)]
    for size in ("small", "base"):
        first, mean = columns[f"{size}-first"], columns[f"{size}-mean"]
        gains = [spearmanr(mean[d], labels[d])[0] - spearmanr(first[d], labels[d])[0] for d in draws]
        results[f"{size}: what the mean gains, 95 % interval"] = [round(float(v), 3) for v in np.percentile(gains, [2.5, 97.5])]
    print(json.dumps(results, indent=1))


{"long": long, "compare": compare}[sys.argv[1]](*sys.argv[2:])
