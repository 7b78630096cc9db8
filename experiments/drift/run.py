#!/usr/bin/env python3
"""How often `alinfik drift` says that a pool has drifted from itself, and how often that another text has.

Each trial draws rows of the instruct pool, labels them with stories260k, trains a small valuator, and holds other rows of the pool
against it; then wikitext2, a single source of the pool, and a pool in which a source has grown. Every text of a trial begins with the
trial's number: `train` takes the held-out rows by their texts' hashes, which would be those of the same few rows of the pool in every trial.

    run.py [TRIALS]     ALINFIK_DATA and ALINFIK as in experiments/environment.sh; goes on from results.json, which it writes after each
"""

import collections
import gzip
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile

LABELLED, TESTED, INCOMING = 500, 150, 500
MOST_CHARACTERS = 400  # of a row, so that none is cut: what is cut away for labels would be drift
LIMITS = (0, 0.1, 0.2)

repository = pathlib.Path(__file__).resolve().parents[2]
results_path = pathlib.Path(__file__).with_name("results.json")
data = pathlib.Path(os.environ.get("ALINFIK_DATA", repository / "../shared/data"))
alinfik = os.environ.get("ALINFIK", repository / ".build/release/alinfik")
trials = int(sys.argv[1]) if len(sys.argv) > 1 else 40


def run(*arguments):
    return subprocess.run([alinfik, *map(str, arguments), "--quiet"], check=False, capture_output=True, text=True)


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


pool = [json.loads(line) for line in (data / "instruct/pool.jsonl").read_text().split("\n") if line]
pool = [row for row in pool if len(row["prompt"]) + len(row["completion"]) <= MOST_CHARACTERS]
with gzip.open(data / "wikitext2/test.jsonl.gz", "rt") as file:
    wikitext = [text[:MOST_CHARACTERS] for text in (json.loads(line)["text"] for line in file) if len(text) > 100]

results = json.loads(results_path.read_text()) if results_path.exists() else {"trials": 0, "alarms": {}}


def marked(text, trial):
    return f"{trial}. {text}"


with tempfile.TemporaryDirectory() as name:
    folder = pathlib.Path(name)
    target = write(folder / "target.jsonl", pool[:16])
    for trial in range(results["trials"], trials):
        generator = random.Random(trial)
        rows = generator.sample(pool[16:], LABELLED + 2 * INCOMING)
        rows = [{**row, "prompt": marked(row["prompt"], trial)} for row in rows]
        sample = write(folder / "sample.jsonl", rows[:LABELLED])
        common = ("--model", data / "stories260k", "--target", target, "--max-tokens", 512, "--on-error", "skip")
        for step in (
            run("label", *common, "--sample", sample, "--output", folder / "labels.h5", "--force"),
            run("train", folder / "labels.h5", "--init", data / "stories260k", "--size", "small", "--test-rows", TESTED,
                "--output", folder / "valuator", "--force"),
        ):
            if step.returncode:
                sys.exit(step.stderr)
        others = rows[LABELLED:]
        largest = collections.Counter(row["source"] for row in others).most_common(1)[0][0]
        grown = [row for row in others if row["source"] == largest]
        incoming = {
            "the same pool": others[:INCOMING],
            "one source of it": grown[:INCOMING],
            "a source of it grown by a quarter of all": (grown[: INCOMING // 4] + others[INCOMING:])[:INCOMING],
            "wikitext2": [{"text": marked(text, trial)} for text in generator.sample(wikitext, INCOMING)],
        }
        for kind, texts in incoming.items():
            found = run("drift", folder / "valuator", write(folder / "incoming.jsonl", texts), "--json")
            if found.returncode:
                sys.exit(found.stderr)
            tests = json.loads(found.stdout)["tests"].values()
            counts = results["alarms"].setdefault(kind, {f"over {limit}": 0 for limit in LIMITS})
            for limit in LIMITS:
                counts[f"over {limit}"] += any(t["p_corrected"] < 0.05 and t["stability_index"] > limit for t in tests)
        results["trials"] = trial + 1
        results_path.write_text(json.dumps(results, indent=1) + "\n")
        print(json.dumps(results), file=sys.stderr)
