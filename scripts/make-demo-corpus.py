#!/usr/bin/env python3
"""Builds the demo's data from the texts that scripts/fetch-models brought: .cache/demo/{target,sample,unseen}.jsonl

- target: held-out posts of sci.space, the text whose loss we want lower
- sample: what gets labelled, an equal share of each source
- unseen: other documents of the same sources, for `alinfik score`

A document (a post, a news item, a tale, an episode) is in one file only. Newsgroups and Reuters come in lower
case without punctuation, as their publisher prepared them. Texts are cut to what the language model reads in the
demo (about 128 tokens), so that the valuator judges the words that were measured. The same seed gives the
same bytes.
"""

import argparse
import csv
import hashlib
import json
import os
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[1]
CORPORA = ROOT / ".cache" / "corpora"
OUTPUT = ROOT / ".cache" / "demo"
NEWSGROUPS = ("sci.space", "sci.electronics", "rec.motorcycles")
TARGET = "sci.space"
FRIENDS_SEASONS = ("09", "10")  # the earlier transcripts have lost many of their spaces
SHORTEST = 200  # characters; shorter texts are greetings and signatures


def rows(name):
    """The rows of a tab-separated file after its three header lines, as dictionaries."""
    csv.field_size_limit(1 << 30)
    with open(CORPORA / name, encoding="utf-8", newline="") as file:
        lines = csv.reader(file, delimiter="\t")
        header = next(lines)
        next(lines), next(lines)
        return [dict(zip(header, line)) for line in lines if line]


def clean(text):
    """Undoes Windows-1252 bytes read as control characters, joins white space."""
    text = re.sub(r"[\x80-\x9f]", lambda byte: byte[0].encode("latin-1").decode("cp1252", "ignore"), text)
    return " ".join(text.split())


def cut(text, limit):
    """The beginning of `text`, at most `limit` characters, ending with a whole word."""
    return text if len(text) <= limit else text[: limit + 1].rpartition(" ")[0]


def passages(pieces, limit, separator):
    """Joins pieces (sentences, lines) into passages of at most `limit` characters; longer pieces are cut."""
    passage = ""
    for piece in pieces:
        piece = cut(piece, limit)
        if passage and len(passage) + len(separator) + len(piece) > limit:
            yield passage
            passage = ""
        passage = passage + separator + piece if passage else piece
    if passage:
        yield passage


def newsgroup(name, part, limit):
    """Posts without `re`, and without the lines that say whom they answer."""
    for index, row in enumerate(rows(f"20newsgroups-{part}.tab")):
        if row["Category"] != name:
            continue
        text = re.sub(r"^(re )+", "", clean(row["Text"]))
        text = re.sub(r"\bin (article )(\S+ ){1,16}?(writes|wrote|says) ", "", text)
        yield f"{name}-{part}-{index}", cut(text, limit)


def reuters(limit):
    for index, row in enumerate(rows("reuters-r52-train.tab")):
        yield f"reuters-{index}", cut(re.sub(r" reuter$", "", clean(row["Text"])), limit)


def grimm(limit):
    """Tales in passages of whole sentences."""
    for row in rows("grimm-tales.tab"):
        slug = re.sub(r"[^a-z0-9]+", "-", row["Title"].lower()).strip("-")
        sentences = re.split(r"(?<=[.!?’”\"])\s+(?=[A-Z‘“\"])", clean(row["Content"]))
        for index, text in enumerate(passages(sentences, limit, " ")):
            yield f"grimm-{slug}/{index}", text


def friends(limit):
    """Episodes in passages of whole turns, a line each."""
    episodes = {}
    for row in rows("friends-transcripts.tab"):
        if row["Season"] in FRIENDS_SEASONS:
            episodes.setdefault(row["Season & Episode"], []).append(
                f"{clean(row['Author'])}: {clean(row['Quote'])}"
            )
    for episode, turns in episodes.items():
        for index, text in enumerate(passages(turns, limit, "\n")):
            yield f"friends-{episode}/{index}", text


def shuffled(records, seed):
    """Records in an order that depends on the seed and the ids only: by the hash of both."""
    return sorted(records, key=lambda record: hashlib.sha256(f"{seed}:{record['id']}".encode()).digest())


def usable(source, pairs, seen):
    """Records of one source, without short texts and without repeats of anything before."""
    for identifier, text in pairs:
        key = text.lower()
        if len(text) >= SHORTEST and key not in seen:
            seen.add(key)
            yield {"id": identifier, "source": source, "text": text}


def split(records, counts, seed):
    """Deals whole documents (the id before `/`), in seeded order, into parts of these sizes."""
    parts = [[] for _ in counts]
    home = {}
    for record in shuffled(records, seed):
        document = record["id"].partition("/")[0]
        open_parts = [index for index, count in enumerate(counts) if len(parts[index]) < count]
        if not open_parts:
            break
        # a document stays where its first passage went; a new one goes where most is missing
        part = home.setdefault(document, max(open_parts, key=lambda i: counts[i] - len(parts[i])))
        if part in open_parts:
            parts[part].append(record)
    short = [count - len(part) for part, count in zip(parts, counts)]
    if any(short):
        raise SystemExit(f"make-demo-corpus: {records[0]['source']} is {short} texts short")
    return parts


def write(folder, name, records):
    final = folder / name
    partial = folder / (name + ".partial")
    with open(partial, "w", encoding="utf-8") as file:
        for record in records:
            file.write(json.dumps(record, ensure_ascii=False) + "\n")
    os.replace(partial, final)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", default="1")
    parser.add_argument("--target", type=int, default=32, help="target posts (default 32)")
    parser.add_argument("--sample", type=int, default=400, help="texts to label (default 400)")
    parser.add_argument("--unseen", type=int, default=300, help="texts to score (default 300)")
    parser.add_argument("--max-characters", type=int, default=700, help="longest text (default 700)")
    parser.add_argument("--output", type=pathlib.Path, default=OUTPUT, help="where they go (default .cache/demo)")
    options = parser.parse_args()

    limit = options.max_characters
    seen = set()
    target = list(usable(TARGET, newsgroup(TARGET, "test", limit), seen))
    sources = {name: newsgroup(name, "train", limit) for name in NEWSGROUPS}
    sources |= {"reuters": reuters(limit), "grimm": grimm(limit), "friends": friends(limit)}
    sample, unseen = [], []
    for index, (source, pairs) in enumerate(sources.items()):
        records = list(usable(source, pairs, seen))
        share = [(total + len(sources) - 1 - index) // len(sources) for total in (options.sample, options.unseen)]
        for part, chosen in zip((sample, unseen), split(records, share, options.seed)):
            part.extend(chosen)

    options.output.mkdir(parents=True, exist_ok=True)
    write(options.output, "target.jsonl", shuffled(target, options.seed)[: options.target])
    write(options.output, "sample.jsonl", shuffled(sample, options.seed))
    write(options.output, "unseen.jsonl", shuffled(unseen, options.seed))


if __name__ == "__main__":
    main()
