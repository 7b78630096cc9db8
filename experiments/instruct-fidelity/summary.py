#!/usr/bin/env python3
"""The mean over seeds, with Student's 95 % interval, of what each `alinfik train --json` said about the test part."""

import json
import statistics
import sys

STUDENT = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776}  # 97.5 % quantile by degrees of freedom


def mean_and_interval(values):
    mean = statistics.fmean(values)
    if len(values) < 2:
        return {"mean": mean, "values": values}
    half = STUDENT[len(values) - 1] * statistics.stdev(values) / len(values) ** 0.5
    return {"mean": mean, "interval": [mean - half, mean + half], "values": values}


runs = []
for path in sys.argv[1:]:
    with open(path, encoding="utf-8") as file:
        runs.append(json.load(file))
methods = {}
for run in runs:
    for method in run["test"]:
        for name in ("spearman", "spearman_within_source", "ndcg_at_10_percent", "recall_at_10_percent"):
            if method[name] is not None:
                methods.setdefault(method["name"], {}).setdefault(name, []).append(method[name])
print(json.dumps({
    "rows": runs[0]["rows"],
    "seeds": [run["seed"] for run in runs],
    "seconds": mean_and_interval([run["seconds"] for run in runs]),
    "test": {name: {key: mean_and_interval(values) for key, values in measures.items()}
             for name, measures in methods.items()},
}, indent=2))
