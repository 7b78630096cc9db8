#!/usr/bin/env python3
"""Trains a model on random parts of a pool, many times, and keeps each query's loss after each training.

bank.py BANK.jsonl --alinfik A --model M --pool P --queries Q [--dropped 0.5] [--subsets 100] [--seeds 3] -- OPTIONS...

Goes on where it stopped: a line of BANK.jsonl is one training, {"subset", "seed", "losses"}, after a first line that says of
what (hashes of pool and queries, options); a bank of something else is refused. A subset is known by its number alone
(`kept_rows`), and the same for every seed; a seed decides the order in which rows are learnt. Subset -1 is the whole
pool. OPTIONS go to `alinfik finetune`.
"""

import argparse
import concurrent.futures
import hashlib
import json
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile


def kept_rows(subset, rows, dropped):
    """The rows of the pool that a subset keeps, in the pool's order."""
    if subset < 0:
        return list(range(rows))
    kept = rows - round(rows * dropped)
    return sorted(random.Random(f"subset {subset}").sample(range(rows), kept))


def losses_after_training(alinfik, model, lines, queries, seed, options):
    """Each query's loss after `alinfik finetune` on some lines of the pool; nothing is left behind."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="bank-"))
    try:
        (folder / "data.jsonl").write_text("".join(lines), encoding="utf-8")
        subprocess.run(
            [alinfik, "finetune", "--model", model, "--data", folder / "data.jsonl", "--validation", queries,
             "--output", folder / "model", "--seed", str(seed), "--threads", "1", "--quiet", *options],
            check=True,
        )
        record = json.loads((folder / "model" / "finetune.json").read_text(encoding="utf-8"))
        return [round(loss, 6) for loss in record["validation"][-1]["rows"]]
    finally:
        shutil.rmtree(folder)


def done(path):
    """The trainings that are there."""
    return whole_lines(path)[1:]


def whole_lines(path):
    """The lines of a file that were written to their end."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines(keepends=True) if line.endswith("\n")]


def begin(path, of):
    """Writes what the file is of as its first line; refuses one that is of something else, drops a line cut short."""
    lines = whole_lines(path)
    if lines and lines[0] != of:
        sys.exit(f"{path}: trainings of something else ({lines[0]}, now {of}); remove it, or give another name")
    with open(path.with_suffix(".partial"), "w", encoding="utf-8") as file:
        file.writelines(json.dumps(line) + "\n" for line in (lines or [of]))
    path.with_suffix(".partial").rename(path)


def kept(path, runs, train, processes):
    """Each run's training, appended to the file as a line as soon as it is there."""
    with concurrent.futures.ThreadPoolExecutor(processes) as workers, open(path, "a", encoding="utf-8") as file:
        for count, run in enumerate(workers.map(train, runs), 1):
            file.write(json.dumps(run) + "\n")
            file.flush()
            print(f"\r{count} of {len(runs)}", end="", flush=True)
            yield run


def parse(parser):
    """The parser's arguments, and what stands after `--`."""
    end = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    return parser.parse_args(sys.argv[1:end]), sys.argv[end + 1 :]


def sha256(path):
    return hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("bank", type=pathlib.Path)
    for name in ("alinfik", "model", "pool", "queries"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--dropped", type=float, default=0.5)
    parser.add_argument("--subsets", type=int, default=100)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--processes", type=int, default=2)
    args, options = parse(parser)
    pool = pathlib.Path(args.pool).read_text(encoding="utf-8").splitlines(keepends=True)
    begin(args.bank, {
        "pool": sha256(args.pool), "queries": sha256(args.queries), "dropped": args.dropped, "options": options})
    there = {(run["subset"], run["seed"]) for run in done(args.bank)}
    open_runs = [
        (subset, seed)
        for seed in range(1, args.seeds + 1)
        for subset in range(-1, args.subsets)
        if (subset, seed) not in there
    ]

    def train(run):
        subset, seed = run
        lines = [pool[row] for row in kept_rows(subset, len(pool), args.dropped)]
        losses = losses_after_training(args.alinfik, args.model, lines, args.queries, seed, options)
        return {"subset": subset, "seed": seed, "losses": losses}

    for _ in kept(args.bank, open_runs, train, args.processes):
        pass


if __name__ == "__main__":
    main()
