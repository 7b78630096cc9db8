#!/usr/bin/env python3
"""Fidelity of the valuators of each kind on their test rows, mean over seeds, beside the mean of the row's source: summary.py RUNS > results.json"""
import json
import pathlib
import sys

NAMES = {"spearman": "spearman", "within_source": "spearman_within_source", "recall_10": "recall_at_10_percent"}
found = {}
for path in sorted(pathlib.Path(sys.argv[1]).glob("*-[0-9].json")):
    report = json.loads(path.read_text())
    found.setdefault("dot" if path.stem.startswith("linfik") else path.stem[:-2], []).append(report)
result = {}
for kind, reports in found.items():
    result[kind] = {"seeds": len(reports), "training_rows": reports[0]["rows"]["training"], "test_rows": reports[0]["rows"]["test"]}
    for method in ("valuator", "source mean"):
        rows = [row for report in reports for row in report["test"] if row["name"] == method]
        values = {short: [row[name] for row in rows if row.get(name) is not None] for short, name in NAMES.items()}
        result[kind][method] = {short: round(sum(v) / len(v), 3) for short, v in values.items() if v}
print(json.dumps(result, indent=2))
