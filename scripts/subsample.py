#!/usr/bin/env python3
"""Takes the same number of rows from each source of a JSON Lines file, chosen by a seed.

    scripts/subsample.py pool.jsonl --per-source 260 --seed 1 > rows.jsonl

A source's rows are ordered by the SHA-256 of `seed:id` (of `seed:line` where a row has no id) and the first
--per-source of them are taken, so a smaller number takes a subset of a larger one's rows, and any language can
repeat the choice. Rows come out in the order of the file, as they stand in it. `--rest FILE` gets the others.
"""

import argparse
import gzip
import hashlib
import json
import sys


def lines(path):
    opener = gzip.open if path.endswith(".gz") else open
    with opener(path, "rb") as file:
        yield from (line.rstrip(b"\n") for line in file if line.strip())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file")
    parser.add_argument("--per-source", type=int, required=True, metavar="N")
    parser.add_argument("--seed", required=True)
    parser.add_argument("--source-field", default="source")
    parser.add_argument("--rest", metavar="FILE", help="where the rows that are not taken go")
    options = parser.parse_args()

    sources, rows = {}, list(lines(options.file))
    for index, line in enumerate(rows):
        record = json.loads(line)
        key = str(record["id"]).encode() if "id" in record else line
        order = hashlib.sha256(options.seed.encode() + b":" + key).digest()
        sources.setdefault(record.get(options.source_field), []).append((order, index))
    taken = set()
    for source, members in sources.items():
        if len(members) < options.per_source:
            sys.exit(f"subsample: source {source} has {len(members)} rows, {options.per_source} asked for")
        taken.update(index for _, index in sorted(members)[: options.per_source])
    sys.stdout.buffer.writelines(rows[index] + b"\n" for index in sorted(taken))
    if options.rest:
        with open(options.rest, "wb") as file:
            file.writelines(row + b"\n" for index, row in enumerate(rows) if index not in taken)


if __name__ == "__main__":
    main()
