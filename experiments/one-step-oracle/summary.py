#!/usr/bin/env python3
"""What report.json says of the real steps: their number, step size, and each method's Spearman with them."""

import json
import sys

with open(sys.argv[1], encoding="utf-8") as file:
    oracle = json.load(file)["oracle"]
oracle["rows"] = len(oracle["rows"])
print(json.dumps({key: oracle[key] for key in ("rows", "step_size", "correlations")}, indent=2))
