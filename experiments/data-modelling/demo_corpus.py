#!/usr/bin/env python3
"""The demo's texts as a corpus whose neighbouring rows are of one subject: tales and long posts, passage after passage.

demo_corpus.py .cache/corpora OUTPUT.jsonl
"""

import csv
import json
import pathlib
import re
import sys

PASSAGE, LONG = 350, 3000


def documents(path, name):
    csv.field_size_limit(1 << 30)
    with open(path, encoding="utf-8", newline="") as file:
        lines = csv.reader(file, delimiter="\t")
        header = next(lines)
        next(lines), next(lines)
        for line in lines:
            if line:
                yield " ".join(dict(zip(header, line))[name].split())


def passages(text):
    """Pieces of about PASSAGE characters, each ending with a word."""
    while len(text) >= PASSAGE:
        piece = re.match(rf".{{{PASSAGE}}}\S*", text)[0]
        yield piece
        text = text[len(piece) :].lstrip()


def main(corpora, output):
    corpora = pathlib.Path(corpora)
    texts = list(documents(corpora / "grimm-tales.tab", "Content"))
    texts += [text for text in documents(corpora / "20newsgroups-train.tab", "Text") if len(text) >= LONG]
    with open(output, "w", encoding="utf-8") as file:
        for number, text in enumerate(texts):
            for place, passage in enumerate(passages(text)):
                file.write(json.dumps({"id": f"{number}-{place}", "text": passage}, ensure_ascii=False) + "\n")


main(*sys.argv[1:])
