#!/usr/bin/env python3
"""Writes rows in the order of their text's SHA-256, in parts of the given sizes and one of all the rest.

    by_hash.py pool.jsonl 1500 2000 PREFIX   writes PREFIX-1.jsonl (1,500 rows), -2 (2,000) and -3 (the rest)

The text is what a valuator reads: prompt and completion joined by a newline. The first part is the test part of every
valuator experiment; a text that stands there twice stays in one part, so parts may be a few rows larger.
"""

import hashlib
import json
import pathlib
import sys

path, *sizes, prefix = sys.argv[1:]
groups = {}
for line in filter(None, pathlib.Path(path).read_text().split("\n")):
    row = json.loads(line)
    text = row["prompt"] + "\n" + row["completion"]
    groups.setdefault(hashlib.sha256(text.encode()).hexdigest(), []).append(line)
ordered = iter(sorted(groups.items()))
for number, size in enumerate([int(size) for size in sizes] + [len(groups) * 10], start=1):
    lines = []
    while len(lines) < size and (group := next(ordered, None)):
        lines += group[1]
    pathlib.Path(f"{prefix}-{number}.jsonl").write_text("\n".join(lines) + "\n")
    print(f"part {number}: {len(lines)} rows", file=sys.stderr)
