#!/usr/bin/env python3
"""Texts unlike the instruct pool, a JSON Lines file a kind: wikitext2, French manual pages, and the pool's own rows with
their words shuffled or as base64.

    texts.py ROWS.jsonl WIKITEXT.jsonl.gz FRENCH_FOLDER OUTPUT_FOLDER
"""

import base64
import gzip
import json
import pathlib
import random
import re
import sys

ROWS = 500
rows_path, wikitext_path, french_folder, output = map(pathlib.Path, sys.argv[1:])
rows = [json.loads(line) for line in filter(None, rows_path.read_text().split("\n"))][:ROWS]
texts = [row["prompt"] + "\n" + row["completion"] for row in rows]
generator = random.Random(1)


def shuffled(text):
    words = text.split()
    generator.shuffle(words)
    return " ".join(words)


def french():
    """Paragraphs of manual pages without their markup."""
    for page in sorted(french_folder.rglob("*.gz")):
        lines = gzip.open(page, "rt", errors="ignore").read().split("\n")
        plain = " ".join(line if not line.startswith((".", "'")) else "\n" for line in lines)
        plain = re.sub(r"\\f[BIPR]|\\-|\\&|\\\(..", "", plain)
        yield from (part.strip() for part in plain.split("\n") if len(part) > 200)


with gzip.open(wikitext_path, "rt") as file:
    wikitext = [text for text in (json.loads(line)["text"] for line in file) if len(text) > 200]
kinds = {
    "pool": texts, "wikitext2": wikitext, "french": french(), "shuffled": map(shuffled, texts),
    "base64": (base64.b64encode(text.encode()).decode() for text in texts),
}
for name, values in kinds.items():
    lines = [json.dumps({"text": text}) for text, _ in zip(values, range(ROWS))]
    (output / f"{name}.jsonl").write_text("\n".join(lines) + "\n")
