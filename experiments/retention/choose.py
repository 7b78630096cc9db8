#!/usr/bin/env python3
"""For three pools without a row in common, the rows that each method ranks highest: 5, 10 and 20 % of the pool's tokens.

choose.py LABELS.h5 TARGET.jsonl VALUATOR ALINFIK FOLDER
choose.py kind FOLDER POOL KIND LABELS.h5

The second form adds KIND-POOL.jsonl and KIND-within-POOL.jsonl to a folder that is there, by another kind's labels of FOLDER/pool-POOL.jsonl.

Writes METHOD-POOL.jsonl, the best 5 % first (in random order), then what 10 % adds, then what 20 % adds. Every method takes
STEPS steps to the end of each tier, for AdamW moves by steps; so a method that likes short rows has more rows in a step
(METHOD-POOL.jsonl.batch), and budgets are met within half a row a step.
"""

import json
import pathlib
import random
import subprocess
import sys

import h5py
import numpy as np

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1]))
import baselines  # noqa: E402

POOLS, ROWS, STEPS, SHARES = 3, 800, (5, 10, 20), (0.05, 0.10, 0.20)


def text(record):
    return record.get("text") or f"{record['prompt']} {record['completion']}"


def tiers(order, tokens, total):
    """The rows of a step, and the first rows of an order up to each tier's end, as lists of what each tier adds."""
    rows = np.searchsorted(np.cumsum(tokens[order]), SHARES[-1] * total) + 1
    batch = round(rows / STEPS[-1])
    ends = [0, *(steps * batch for steps in STEPS)]
    return batch, [order[start:end] for start, end in zip(ends, ends[1:])]


def within_sources(scores, sources, tokens):
    """The same shares of each source, by turns: an order of all rows whose beginnings hold every source at its proportion."""
    places = np.zeros(len(scores))
    for source in set(sources):
        rows = np.flatnonzero(sources == source)
        order = rows[np.argsort(-scores[rows])]
        places[order] = np.cumsum(tokens[order]) / tokens[order].sum()
    return np.argsort(places)


def main(labels, target, valuator, alinfik, folder):
    with h5py.File(labels) as file:
        records = [json.loads(record) for record in file["records"].asstr()[:]]
        label, loss, tokens = file["labels"][:], file["loss"][:], file["token_count"][:].astype(float)
        sources = file["sources"].asstr()[:]
    queries = [text(json.loads(line)) for line in open(target, encoding="utf-8")]
    folder, partial = pathlib.Path(folder), pathlib.Path(folder + ".partial")
    partial.mkdir(exist_ok=True)
    every = np.random.default_rng(1).permutation(len(records))
    for pool in range(1, POOLS + 1):
        rows = every[(pool - 1) * ROWS : pool * ROWS]
        texts = partial / f"pool-{pool}.jsonl"
        texts.write_text("".join(json.dumps({**records[row], "source": sources[row]}) + "\n" for row in rows))
        scored = subprocess.run(
            [alinfik, "score", valuator, texts, "--quiet"], check=True, capture_output=True, text=True)
        scores = np.array([json.loads(line)["alinfik_score"] for line in scored.stdout.splitlines()])
        generator = np.random.default_rng(pool)
        mean = {source: label[rows][sources[rows] == source].mean() for source in set(sources)}
        values = {
            "linfik": label[rows],
            "valuator": scores,
            "random": generator.normal(size=ROWS),
            "source-mean": np.array([mean[source] for source in sources[rows]]) + 1e-6 * generator.normal(size=ROWS),
            "bm25": baselines.bm25([text(records[row]) for row in rows], queries).mean(1),
            "loss": loss[rows],
            "length": tokens[rows],
        }
        orders = {name: np.argsort(-value) for name, value in values.items()}
        orders["linfik-within"] = within_sources(label[rows], sources[rows], tokens[rows])
        for name, order in orders.items():
            write(partial / f"{name}-{pool}.jsonl", order, [records[row] for row in rows], tokens[rows], pool)
    partial.rename(folder)


def write(path, order, records, tokens, seed):
    """The chosen rows of an order, and beside them the rows of a step."""
    batch, chosen = tiers(order, tokens, tokens.sum())
    for tier in chosen:
        random.Random(seed).shuffle(tier)
    path.write_text("".join(json.dumps(records[row]) + "\n" for tier in chosen for row in tier))
    pathlib.Path(f"{path}.batch").write_text(f"{batch}\n")
    shares = [tokens[np.concatenate(chosen[: k + 1])].sum() / tokens.sum() for k in range(len(chosen))]
    print(f"{path.stem}: {batch} rows a step, " + ", ".join(f"{share:.1%}" for share in shares), "of the tokens")


def add_kind(folder, pool, kind, labels):
    with h5py.File(labels) as file:
        records = [json.loads(record) for record in file["records"].asstr()[:]]
        label, tokens, sources = file["labels"][:], file["token_count"][:].astype(float), file["sources"].asstr()[:]
    if len(set(sources)) < 2:
        sys.exit(f"{labels}: its rows say no source")
    write(pathlib.Path(folder) / f"{kind}-{pool}.jsonl", np.argsort(-label), records, tokens, int(pool))
    order = within_sources(label, sources, tokens)
    write(pathlib.Path(folder) / f"{kind}-within-{pool}.jsonl", order, records, tokens, int(pool))


if sys.argv[1] == "kind":
    add_kind(*sys.argv[2:])
else:
    main(*sys.argv[1:])
