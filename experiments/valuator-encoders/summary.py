#!/usr/bin/env python3
"""A line a valuator: fidelity on its test rows, beside the baselines, and scores a second.

    summary.py NAME.json...      with NAME.speed.json beside it where its scoring was timed
"""

import json
import pathlib
import sys

results = {}
for argument in sys.argv[1:]:
    path = pathlib.Path(argument)
    if path.name.endswith(".speed.json"):
        continue
    name = path.stem
    report = json.loads(path.read_text())
    speed_path = path.parent / f"{name}.speed.json"
    speed = json.loads(speed_path.read_text()) if speed_path.exists() else None
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
        "label curve": [
            [point["labels"], round(point["spearman"], 3), point["within_source"] and round(point["within_source"], 3)]
            for point in report["label_curve"]
        ],
        "scores a second": speed and round(speed["scored"] / speed["seconds"], 1),
    }
print(json.dumps(results, indent=1))
