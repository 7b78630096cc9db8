#!/usr/bin/env python3
"""A line a valuator: fidelity on its test rows, beside the baselines, and scores a second.

    summary.py NAME.speed.json...      each beside its NAME.json
"""

import json
import pathlib
import sys

results = {}
for argument in sys.argv[1:]:
    path = pathlib.Path(argument)
    name = path.name.removesuffix(".speed.json")
    report = json.loads((path.parent / f"{name}.json").read_text())
    speed = json.loads(path.read_text())
    methods = {
        method["name"]: [
            method[key] and round(method[key], 3)
            for key in ("spearman", "spearman_within_source", "recall_at_10_percent")
        ]
        for method in report["test"]
        if method["spearman"] is not None
    }
    by_source = {source: value and round(value, 2) for source, value in report["test"][0]["by_source"].items()}
    results[name] = {
        "overall, within source, recall@10 %": methods, "within each source": by_source,
        "intervals": report["intervals"], "training seconds": round(report["seconds"]),
        "scores a second": round(speed["scored"] / speed["seconds"], 1),
    }
print(json.dumps(results, indent=1))
