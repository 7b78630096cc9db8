#!/usr/bin/env python3
"""What `alinfik select` takes: time, memory and scratch space for so many made-up scored rows.

    selection.py ROWS... [--folder DIR] [--shards K] [--keep] [--options ...]    makes rows and measures; a row of a table each
    selection.py make ROWS FOLDER [--shards K]                                  makes FOLDER/part-* alone, for a look or a test

ROWS may end in K or M. Rows: 12 sources of different mean score, texts of 10 to 80 words out of a made-up vocabulary, one in 50 the
copy of another, one in 33 a copy with a word changed, and a quarter one of 50,000 short texts, so that copies grow with the rows. A
row follows from the seed and its number alone, so shards hold the same rows however many they are.

They go through the compressor as they are made: on disk lie the shards (130 bytes a row as .zst, 200 as .gz, 440 plain) and, while
select runs, its scratch (200 bytes a row) and what it chose. What was made is deleted at the end, also of a run that fails, unless
--keep; rows that an earlier run kept are used again and stay. The numbers go to --output after each size.
"""

import argparse
import contextlib
import gzip
import json
import multiprocessing
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import time

sys.dont_write_bytecode = True  # Or the folder of the Swift program would hold a __pycache__.

import label  # noqa: E402

# On disk: of a row as it is made, and of one while select runs (what it sorts, and a twentieth of the rows chosen).
MADE_BYTES = {"zst": 130, "gz": 200, "none": 440}
SCRATCH_BYTES, CHOSEN_BYTES = 205, 22
ENDINGS = {"zst": ".zst", "gz": ".gz", "none": ""}


def main():
    """Makes rows, or makes and measures them."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if sys.argv[1:2] == ["make"]:
        args = make_options()
        return make(args, args.rows, args.folder)
    args = options()
    result = {"machine": label.machine(len(os.sched_getaffinity(0))), "options": args.options, "points": []}
    print("| rows | input | time | of the processors | memory | scratch | chosen | left out |", "|---" * 8 + "|", sep="\n")
    for rows in args.rows:
        with data(args, rows) as (folder, made):
            result["points"].append(measure(args, rows, folder, made))
        label.write_whole(args.output, json.dumps(result, indent=1) + "\n")
        print(table_row(result["points"][-1]), flush=True)


def making_options(parser):
    """How rows are made."""
    parser.add_argument("--shards", type=int, help="files, default one for 250,000 rows and at most 64")
    parser.add_argument("--compress", choices=ENDINGS, default="zst", help="default zst, by the program zstd")
    cores = len(os.sched_getaffinity(0))
    parser.add_argument("--processes", type=int, default=cores, help="that make rows, default all cores")
    parser.add_argument("--seed", type=int, default=1)


def make_options():
    """The command line of `make`."""
    parser = argparse.ArgumentParser(prog="selection.py make")
    parser.add_argument("rows", type=amount)
    parser.add_argument("folder", type=pathlib.Path)
    making_options(parser)
    return parser.parse_args(sys.argv[2:])


def options():
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", type=amount, nargs="+")
    making_options(parser)
    folder, output, program = label.ROOT / ".cache/select", label.CACHE / "selection.json", label.ROOT / ".build/release/alinfik"
    parser.add_argument("--folder", type=pathlib.Path, default=folder, help="for rows and what is chosen, default .cache/select")
    parser.add_argument("--scratch", type=pathlib.Path, help="for what select sorts, default --folder")
    parser.add_argument("--keep", action="store_true", help="leave the rows for the next run")
    parser.add_argument("--output", type=pathlib.Path, default=output, help="default .cache/bench/selection.json")
    parser.add_argument("--alinfik", type=pathlib.Path, default=program, help="default .build/release/alinfik")
    parser.add_argument(
        "--options", nargs=argparse.REMAINDER, default=[], help="the rest goes to select; by default --rows of a twentieth"
    )
    return parser.parse_args()


def amount(text):
    """20000, 200K, 1.5M."""
    factor = {"K": 1_000, "M": 1_000_000}.get(text[-1:].upper(), 1)
    return int(float(text.rstrip("kKmM")) * factor)


# Rows


def fragments():
    """Runs of words that texts are put together from."""
    generator = random.Random(0)
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = ["".join(generator.choices(letters, k=generator.randint(2, 9))) for _ in range(20_000)]
    return [" ".join(generator.choices(words, k=generator.randint(10, 20))) for _ in range(50_000)]


def row(number, seed, parts):
    """One line."""
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
    """A text, its source's number and its score."""
    text = " ".join(parts[int(generator.random() * len(parts))] for _ in range(1 + int(generator.random() * 4)))
    source = int(generator.random() ** 2 * 12)
    return text, source, generator.gauss(source / 6, 1)


def make(args, rows, folder):
    """Writes the shards into a new folder, and made.json once they are whole."""
    folder.mkdir(parents=True, exist_ok=True)
    shards = args.shards or min(64, 1 + (rows - 1) // 250_000)
    bounds = [-(-shard * rows // shards) for shard in range(shards + 1)]
    parts = fragments()
    jobs = [
        (folder / f"part-{shard:04}.jsonl{ENDINGS[args.compress]}", range(*bounds[shard : shard + 2]), args.seed)
        for shard in range(shards)
    ]
    # Forked, so that all share the fragments.
    with multiprocessing.get_context("fork").Pool(args.processes, share, (parts,)) as pool:
        size = 0
        for done, count in enumerate(pool.imap_unordered(write_shard, jobs), 1):
            size += count
            if sys.stderr.isatty() or done == shards:
                print(f"{done} of {shards} shards", end="\n" if done == shards else "\r", file=sys.stderr, flush=True)
    made = {"rows": rows, "shards": shards, "compress": args.compress, "seed": args.seed, "bytes": size}
    label.write_whole(folder / "made.json", json.dumps(made) + "\n")
    return made


def share(parts):
    """In a process that makes rows: what all of them are put together from, and an end when the first process wants it alone."""
    global PARTS
    PARTS = parts
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def write_shard(job):
    """Writes one file; its bytes before compression."""
    path, numbers, seed = job
    size = 0
    with opened(path) as file:
        for number in numbers:
            line = row(number, seed, PARTS).encode()
            size += len(line)
            file.write(line)
    return size


@contextlib.contextmanager
def opened(path):
    """A file that is compressed by its name while it is written."""
    if path.suffix == ".zst":
        compressor = subprocess.Popen(["zstd", "-q", "-f", "-o", path], stdin=subprocess.PIPE)
        with compressor.stdin:
            yield compressor.stdin
        if compressor.wait():
            raise label.Failure(f"zstd -o {path}: exit code {compressor.returncode}")
    else:
        with gzip.open(path, "wb", 3) if path.suffix == ".gz" else open(path, "wb") as file:
            yield file


@contextlib.contextmanager
def data(args, rows):
    """The folder of so many rows and what made.json says: kept ones, or ones that are made now and deleted behind."""
    folder = args.folder / f"{rows}-{args.shards or 'auto'}-{args.compress}-{args.seed}"
    is_kept = (folder / "made.json").exists()
    refuse_small_disk(args, rows, is_kept)
    try:
        yield folder, json.loads((folder / "made.json").read_text()) if is_kept else make(args, rows, folder)
    finally:
        if not (is_kept or args.keep and (folder / "made.json").exists()):
            shutil.rmtree(folder, ignore_errors=True)


def refuse_small_disk(args, rows, is_kept):
    """Ends the program where the disks have too little left; better now than in an hour."""
    wanted = {}
    made = 0 if is_kept else MADE_BYTES[args.compress]
    for folder, size in [(args.folder, made + CHOSEN_BYTES), (args.scratch or args.folder, SCRATCH_BYTES)]:
        folder.mkdir(parents=True, exist_ok=True)
        device, free = folder.stat().st_dev, shutil.disk_usage(folder).free
        wanted[device] = (folder, free, wanted.get(device, (0, 0, 0))[2] + size * rows)
    for folder, free, size in wanted.values():
        if size > free:
            raise label.Failure(
                f"{rows:,} rows take about {size / 1e9:.1f} GB in {folder}, and {free / 1e9:.1f} GB are free "
                "(--folder and --scratch name others)"
            )


# Measurements


def measure(args, rows, folder, made):
    """One run of select over the rows."""
    files = sorted(folder.glob("part-*"))
    output = args.folder / f"selected-{os.getpid()}.jsonl"
    command = [
        args.alinfik, "select", *files, "--output", output, "--force", "--json", "--quiet", "--rejects", "/dev/null",
        "--temporary", args.scratch or args.folder, *(args.options or ["--rows", str(rows // 20)]),
    ]
    clock = label.ProcessorClock()
    started = time.monotonic()
    process = subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE)
    try:
        said = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.monotonic() - started
        if status:
            raise label.Failure(f"{args.alinfik} select: exit code {process.returncode}")
        summary = json.loads(said)
        return {
            **made,
            "bytes_on_disk": sum(path.stat().st_size for path in files),
            "seconds": seconds,
            "processor_seconds": usage.ru_utime + usage.ru_stime,
            "peak_rss_bytes": usage.ru_maxrss * 1024,
            "scratch_bytes": summary["scratch_bytes"],
            "chosen_rows": summary["chosen"]["rows"],
            "chosen_bytes_on_disk": output.stat().st_size,
            "left_out": {name: count for name, count in summary["left_out"].items() if count},
            **clock.shares(),
        }
    finally:
        if process.returncode is None:
            process.kill()
            process.wait()
        output.unlink(missing_ok=True)


def table_row(point):
    """A point in Markdown."""
    left = ", ".join(f"{name} {count:,}" for name, count in point["left_out"].items())
    return (
        f"| {point['rows']:,} | {point['bytes'] / 1e9:.1f} GB | {point['seconds']:.0f} s | {point['processor_seconds']:.0f} s | "
        f"{point['peak_rss_bytes'] / 1e6:.0f} MB | {point['scratch_bytes'] / 1e9:.2f} GB | {point['chosen_rows']:,} | {left} |"
    )


if __name__ == "__main__":
    try:
        main()
    except label.Failure as failure:
        sys.exit(f"selection.py: {failure}")
    except KeyboardInterrupt:
        sys.exit("selection.py: interrupted")
