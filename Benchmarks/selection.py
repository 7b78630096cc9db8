#!/usr/bin/env python3
"""What `alinfik select` takes: time, memory and scratch space for so many made-up scored rows.

selection.py make ROWS FOLDER [--shards K] [--seed S]    writes FOLDER/part-*.jsonl, for a look at them or for tests
selection.py ROWS... [--folder DIR] [--options ...]      makes what is missing there and measures; a row of a table each

Rows: 12 sources of different mean score, texts of 10 to 80 words out of a made-up vocabulary, one in 50 the copy of another and one in 33
a copy with a word changed. A row follows from the seed and its number alone, so shards hold the same rows however many they are.
"""

import argparse
import json
import os
import pathlib
import random
import subprocess
import sys
import time

REPOSITORY = pathlib.Path(__file__).resolve().parents[1]


def fragments():
    """Runs of words that texts are put together from."""
    generator = random.Random(0)
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = ["".join(generator.choices(letters, k=generator.randint(2, 9))) for _ in range(20_000)]
    return [" ".join(generator.choices(words, k=generator.randint(10, 20))) for _ in range(50_000)]


def row(number, seed, parts):
    generator = random.Random(seed << 40 | number)
    kind = generator.random()
    if number > 100 and kind < 0.05:
        # A copy, or nearly one, of an earlier row that is none itself, or of what that would have been.
        other = random.Random(seed << 40 | generator.randrange(number))
        other.random()
        text, source, score = content(other, parts)
        if kind >= 0.02:
            text = text.replace(" ", f" {number} ", 1)
    else:
        text, source, score = content(generator, parts)
    return (f'{{"id": "r{number}", "source": "s{source}", "text": "{text}", "alinfik_score": {score:.6f}, '
            f'"alinfik_low": {score - 1:.6f}, "alinfik_high": {score + 1:.6f}, "alinfik_ood": false, '
            f'"alinfik_tokens": {len(text) // 4}, "alinfik_truncated": false}}\n')


def content(generator, parts):
    text = " ".join(parts[int(generator.random() * len(parts))] for _ in range(1 + int(generator.random() * 4)))
    source = int(generator.random() ** 2 * 12)
    return text, source, generator.gauss(source / 6, 1)


def make(rows, folder, shards, seed):
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    parts = fragments()
    files = [open(folder / f"part-{shard:04}.jsonl", "w") for shard in range(shards)]
    for number in range(rows):
        files[number * shards // rows].write(row(number, seed, parts))
    for file in files:
        file.close()


def amount(text):
    factor = {"K": 1_000, "M": 1_000_000}.get(text[-1].upper(), 1)
    return int(float(text.rstrip("kKmM")) * factor)


def measure(rows, arguments):
    folder = pathlib.Path(arguments.folder) / str(rows)
    if not folder.exists():
        make(rows, f"{folder}.tmp", max(1, rows // 1_000_000), 1)
        os.rename(f"{folder}.tmp", folder)
    files = sorted(str(path) for path in folder.iterdir())
    size = sum(os.path.getsize(path) for path in files)
    output = pathlib.Path(arguments.folder) / "selected.jsonl"
    command = [arguments.alinfik, "select", *files, "--output", str(output), "--force", "--json", "--quiet",
               "--rejects", "/dev/null", *(arguments.options or ["--rows", str(rows // 20)])]
    started = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    summary = json.loads(process.stdout.read())
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.monotonic() - started
    if status:
        sys.exit(f"{' '.join(command)}: {status}")
    left = ", ".join(f"{name} {count}" for name, count in summary["left_out"].items() if count)
    print(f"| {rows:,} | {size / 1e9:.1f} GB | {seconds:.0f} s | {usage.ru_utime + usage.ru_stime:.0f} s | "
          f"{usage.ru_maxrss / 1e3:.0f} MB | {summary['scratch_bytes'] / 1e9:.2f} GB | "
          f"{summary['chosen']['rows']:,} | {left} |", flush=True)


def main():
    if sys.argv[1:2] == ["make"]:
        parser = argparse.ArgumentParser()
        parser.add_argument("rows", type=amount)
        parser.add_argument("folder")
        parser.add_argument("--shards", type=int, default=1)
        parser.add_argument("--seed", type=int, default=1)
        arguments = parser.parse_args(sys.argv[2:])
        return make(arguments.rows, arguments.folder, arguments.shards, arguments.seed)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", type=amount, nargs="+")
    parser.add_argument("--folder", default=str(REPOSITORY / ".cache/select"))
    parser.add_argument("--alinfik", default=str(REPOSITORY / ".build/release/alinfik"))
    parser.add_argument("--options", nargs=argparse.REMAINDER, help="of select; by default --rows of a twentieth")
    arguments = parser.parse_args()
    print("| rows | input | time | of the processors | memory | scratch | chosen | left out |\n|---|---|---|---|---|---|---|---|")
    for rows in arguments.rows:
        measure(rows, arguments)


main()
