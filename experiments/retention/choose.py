#!/usr/bin/env python3
"""Which rows each method ranks highest: 5, 10 and 20 % of a pool's tokens.

choose.py pools PART.jsonl RUNS                       three pools of RUNS/pool-N.jsonl without a row in common
choose.py plain RUNS POOL TARGET.jsonl VALUATOR ALINFIK   what needs the labels RUNS/linfik-POOL.h5 alone, and the plain methods
choose.py kind RUNS POOL KIND                         by another kind's labels, RUNS/KIND-POOL.h5

Writes RUNS/chosen/METHOD-POOL.jsonl, the best 5 % first (in random order), then what 10 % adds, then what 20 % adds. Every method
takes STEPS steps to the end of each tier, for AdamW moves by steps; so a method that likes short rows has more rows in a step
(METHOD-POOL.jsonl.batch), and budgets are met within half a row a step. METHOD-within: the best of each source, at the pool's
proportions.
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


def draw_pools(part, runs):
    rows = [line for line in open(part, encoding="utf-8") if line.strip()]
    every = np.random.default_rng(1).permutation(len(rows))
    size = min(ROWS, len(rows) // POOLS)
    for pool in range(1, POOLS + 1):
        chosen = "".join(rows[row] for row in every[(pool - 1) * size : pool * size])
        (pathlib.Path(runs) / f"pool-{pool}.jsonl").write_text(chosen, encoding="utf-8")


def labelled(path):
    with h5py.File(path) as file:
        records = [json.loads(record) for record in file["records"].asstr()[:]]
        return records, file["labels"][:], file["loss"][:], file["token_count"][:].astype(float), file["sources"].asstr()[:]


def choose_plain(runs, pool, target, valuator, alinfik):
    records, label, loss, tokens, sources = labelled(f"{runs}/linfik-{pool}.h5")
    queries = [text(json.loads(line)) for line in open(target, encoding="utf-8")]
    scored = subprocess.run(
        [alinfik, "score", valuator, f"{runs}/pool-{pool}.jsonl", "--pooling", "first", "--quiet"], check=True, capture_output=True, text=True)
    generator = np.random.default_rng(int(pool))
    mean = {source: label[sources == source].mean() for source in sorted(set(sources))}
    values = {
        "linfik": label,
        "valuator": np.array([json.loads(line)["alinfik_score"] for line in scored.stdout.splitlines()]),
        "bm25": baselines.bm25([text(record) for record in records], queries).mean(1),
        "random": generator.normal(size=len(records)),
        "source-mean": np.array([mean[source] for source in sources]) + 1e-6 * generator.normal(size=len(records)),
        "loss": loss,
        "length": tokens,
    }
    for name, value in values.items():
        write(runs, name, pool, np.argsort(-value), records, tokens)
    for name in ("linfik", "valuator", "bm25"):
        write(runs, f"{name}-within", pool, within_sources(values[name], sources, tokens), records, tokens)


def choose_kind(runs, pool, kind):
    records, label, _, tokens, sources = labelled(f"{runs}/{kind}-{pool}.h5")
    write(runs, kind, pool, np.argsort(-label), records, tokens)
    write(runs, f"{kind}-within", pool, within_sources(label, sources, tokens), records, tokens)


def write(runs, method, pool, order, records, tokens):
    """The chosen rows of an order, and beside them the rows of a step."""
    batch, chosen = tiers(order, tokens, tokens.sum())
    for tier in chosen:
        random.Random(int(pool)).shuffle(tier)
    path = pathlib.Path(runs) / "chosen" / f"{method}-{pool}.jsonl"
    path.parent.mkdir(exist_ok=True)
    pathlib.Path(f"{path}.batch").write_text(f"{batch}\n")
    path.write_text("".join(json.dumps(records[row]) + "\n" for tier in chosen for row in tier))
    shares = [tokens[np.concatenate(chosen[: k + 1])].sum() / tokens.sum() for k in range(len(chosen))]
    print(f"{path.stem}: {batch} rows a step, " + ", ".join(f"{share:.1%}" for share in shares), "of the tokens")


{"pools": draw_pools, "plain": choose_plain, "kind": choose_kind}[sys.argv[1]](*sys.argv[2:])
