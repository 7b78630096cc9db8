#!/usr/bin/env python3
"""Ours beside whichever peers are installed, in alternating runs: samples a second, memory, bytes on disk.

    python3 Benchmarks/label.py [--case llama-288] [--rounds 3] [--rows 16] [--quick] [--fresh]

Each round runs ours, then each peer, then ours on one worker and in bf16, one after the other and never two at once:
what the machine does meanwhile falls on all alike, and the ratios are those of one round. A peer looks for its best
batch in its first round and keeps it. Every result goes to --output as soon as it is there; the same command later
continues after the last of them. The tables are Markdown, on standard output.

ALINFIK_BENCH_PYTHON is a python that has the peers' packages (default: an environment in .cache/bench-venv).
"""

import argparse
import collections
import datetime
import hashlib
import json
import os
import pathlib
import random
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
PROGRAM = ROOT / ".build/release/Benchmarks"
PEERS = ROOT / "Benchmarks/peers"
CACHE = ROOT / ".cache/bench"
RANK = 64
LOST_LIMIT = 0.05
# Longer than the rows of any case take, so that a peer measures all of them.
UNLIMITED_SECONDS = 10**6

Peer = collections.namedtuple("Peer", "name script module precision")
Case = collections.namedtuple("Case", "shape method mixed peers")
Ours = collections.namedtuple("Ours", "name precision single")

def has_bf16():
    """Whether the processor multiplies bf16 itself; where it does not, PyTorch's bf16 is many times slower than its
    f32 and says nothing."""
    flags = pathlib.Path("/proc/cpuinfo").read_text().split()
    return "avx512_bf16" in flags or "amx_bf16" in flags


PROJECTED = [
    Peer("LogIX", "logix_peer.py", "logix", "f32"),
    Peer("Bergson", "bergson_peer.py", "bergson", "f32"),
    Peer("PyTorch hooks", "torch_hooks.py", "torch", "f32"),
] + [Peer("PyTorch hooks", "torch_hooks.py", "torch", "bf16")] * has_bf16()
BACKWARD = [
    Peer("PyTorch backward", "torch_backward.py", "torch", "f32"),
] + [Peer("PyTorch backward", "torch_backward.py", "torch", "bf16")] * has_bf16()
CASES = {
    "llama-288": Case("llama-288", "logra", False, PROJECTED),
    "gpt2-124m": Case("gpt2-124m", "logra", False, PROJECTED),
    "smollm2-135m": Case("smollm2-135m", "dot", True, BACKWARD),
}
OURS = Ours("alinfik", "f32", False)
SINGLE = Ours("alinfik, 1 worker", "f32", True)
BF16 = Ours("alinfik", "bf16", False)


class Failure(Exception):
    """A program that did not do what it was asked for; the message says which, and what it said last."""


def main():
    """Runs what is missing, prints the tables."""
    args = options()
    results = Results(args)
    python, missing = find_peers(args.cases)
    results.data["machine"], results.data["missing"] = machine(args.threads), missing
    for name in args.cases:
        run_case(args, results, name, python, missing)
    results.data["summary"] = {name: summary(name, results.of(name)) for name in args.cases}
    results.save()
    for name in args.cases:
        print(report(args, results, name), end="\n\n")


def options():
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", dest="cases", action="append", choices=CASES, help="repeatable; default: all")
    parser.add_argument("--rounds", type=int, help="default 3")
    parser.add_argument("--rows", type=int, help="rows of a case, default 16")
    parser.add_argument("--lengths", help="file of row lengths for smollm2-135m, apart by white space")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), help="default: all cores")
    parser.add_argument("--batches", help="batch sizes that peers try, such as 4,8 (default: each peer's own list)")
    parser.add_argument("--quick", action="store_true", help="one round of two rows, in a result file of its own")
    parser.add_argument("--output", type=pathlib.Path, help="default .cache/bench/label.json")
    parser.add_argument("--fresh", action="store_true", help="forget the results in --output")
    args = parser.parse_args()
    args.cases = args.cases or list(CASES)
    args.rounds = args.rounds or (1 if args.quick else 3)
    args.rows = args.rows or (2 if args.quick else 16)
    args.output = args.output or CACHE / ("label-quick.json" if args.quick else "label.json")
    return args


# Programs


def environment():
    """This process's environment without what would choose another kernel for OpenBLAS."""
    return {name: value for name, value in os.environ.items() if name not in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")}


def json_line(command):
    """Runs a command; what its last line of standard output says."""
    done = subprocess.run([str(part) for part in command], env=environment(), cwd=ROOT, capture_output=True, text=True)
    if done.returncode != 0 or not done.stdout.strip():
        said = "\n".join(done.stderr.strip().splitlines()[-5:])
        raise Failure(f"{command[0]} {command[1]}: exit code {done.returncode}\n{said}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def program():
    """Our program's path."""
    if not PROGRAM.exists():
        raise Failure(f"{PROGRAM.relative_to(ROOT)} is missing: swift build -c release --product Benchmarks")
    return PROGRAM


def run_program(*arguments):
    """Our program's JSON line."""
    return json_line([program(), *arguments])


def make_model(shape):
    """The folder of a model of random weights; it is written where it is not there yet."""
    folder = CACHE / shape
    if not (folder / "config.json").exists():
        part = CACHE / (shape + ".part")
        command = [program(), "make-model", "--shape", shape, "--output", part]
        print(f"writing the random model {shape}", file=sys.stderr)
        if subprocess.run(command, env=environment()).returncode != 0:
            raise Failure(f"make-model --shape {shape} failed")
        part.rename(folder)
    return folder


def find_peers(names):
    """The python that runs the peers, None where there is none, and the names of the peers that it lacks."""
    wanted = {peer.module: peer for name in names for peer in CASES[name].peers}
    done = subprocess.run([PEERS / "setup.sh"], stdout=subprocess.PIPE, text=True, env=environment())
    if done.returncode != 0:
        return None, sorted({peer.name for name in names for peer in CASES[name].peers})
    python = done.stdout.strip().splitlines()[-1]
    absent = {module for module in wanted if not imports(python, module)}
    return python, sorted({peer.name for name in names for peer in CASES[name].peers if peer.module in absent})


def imports(python, module):
    """Whether that python can import the module."""
    return subprocess.run([python, "-c", f"import {module}"], capture_output=True, env=environment()).returncode == 0


# Rows


def row_lengths(args, case):
    """How many tokens each row of a case has."""
    if not case.mixed:
        return [256] * args.rows
    if args.lengths:
        known = [int(word) for word in pathlib.Path(args.lengths).read_text().split()]
    else:
        generator = random.Random(0)
        known = [generator.randint(40, 192) for _ in range(32)]
    return [known[index % len(known)] for index in range(args.rows)]


def write_rows(args, name, model):
    """Writes the case's rows of random token ids; returns the file and its number of tokens."""
    vocabulary = json.loads((model / "config.json").read_text())["vocab_size"]
    generator = random.Random(1)
    lengths = row_lengths(args, CASES[name])
    path = CACHE / f"rows-{name}-{args.rows}.jsonl"
    rows = ([generator.randrange(vocabulary) for _ in range(length)] for length in lengths)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path, sum(lengths)


# Runs


class Results:
    """The result file: settings and one entry for each case, round and contestant."""

    def __init__(self, args):
        self.path = args.output
        settings = {
            "rows": args.rows,
            "threads": args.threads,
            "rank": RANK,
            "lengths": {name: row_lengths(args, case) for name, case in CASES.items()},
            "program": digest(program()),
        }
        self.data = {"settings": settings, "runs": []}
        if not args.fresh and self.path.exists():
            self.continue_from(json.loads(self.path.read_text()))

    def continue_from(self, earlier):
        """Takes the entries of an earlier run, if that was of the same settings and the same build."""
        settings = self.data["settings"]
        other = [key for key in settings if earlier["settings"].get(key) != settings[key]]
        if other:
            raise Failure(f"{self.path} is of other settings ({', '.join(other)}): --fresh, or another --output")
        self.data = earlier

    def of(self, case):
        """The entries of a case that have a result."""
        return [entry for entry in self.data["runs"] if entry["case"] == case and "line" in entry]

    def has(self, case, turn, who):
        """Whether that run is done."""
        return any(entry["round"] == turn and entry["who"] == who for entry in self.of(case))

    def add(self, entry):
        """Puts an entry in the place of one that failed before, if there is one, and writes the file."""
        key = ("case", "round", "who")
        others = [old for old in self.data["runs"] if any(old[part] != entry[part] for part in key)]
        self.data["runs"] = others + [entry]
        self.save()

    def save(self):
        """Writes the file beside its name and renames it when it is whole."""
        write_whole(self.path, json.dumps(self.data, indent=1) + "\n")


def write_whole(path, text):
    """Writes a file that is never seen half written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    with open(part, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, path)


def digest(path):
    """Which build of the program this is."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def run_case(args, results, name, python, missing):
    """All rounds of a case."""
    case = CASES[name]
    model = make_model(case.shape)
    rows, tokens = write_rows(args, name, model)
    peers = [peer for peer in case.peers if python and peer.name not in missing]
    for turn in range(1, args.rounds + 1):
        for contestant in [OURS, *peers, SINGLE, BF16]:
            who = title(contestant)
            if results.has(name, turn, who):
                continue
            print(f"{name}, round {turn} of {args.rounds}: {who}", file=sys.stderr, flush=True)
            if isinstance(contestant, Ours):
                work = lambda: run_ours(args, case, contestant, model, rows, turn == 1)  # noqa: E731
            else:
                batch = known_batch(results.of(name), who)
                work = lambda: run_peer(args, python, contestant, model, rows, batch)  # noqa: E731
            entry = {"case": name, "round": turn, "who": who}
            results.add(entry | measured(work, tokens, may_fail=isinstance(contestant, Peer)))


def title(contestant):
    """The name of a contestant in the results."""
    return f"{contestant.name} {contestant.precision}"


def measured(work, tokens, may_fail):
    """What a run said, when, and how much of the processors' time went elsewhere meanwhile."""
    entry = {"at": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")}
    clock = ProcessorClock()
    try:
        entry["line"] = work()
        if entry["line"]["tokens"] != tokens:
            raise Failure(f"{entry['line']['tokens']} of {tokens} tokens measured")
    except Failure as failure:
        if not may_fail:
            raise
        entry.pop("line", None)
        entry["error"] = str(failure)
        print(failure, file=sys.stderr)
    return entry | clock.shares()


def run_ours(args, case, ours, model, rows, with_memory):
    """Our line. The square product takes memory of its own, so the peak is that of one more run without it."""
    command = [
        "label", "--model", model, "--method", case.method, "--rows", rows, "--rank", RANK,
        "--threads", 1 if ours.single else args.threads, "--precision", ours.precision, "--repeat", 1,
    ]
    line = run_program(*command, "--square", 1)
    line["peak_rss_bytes"] = run_program(*command)["peak_rss_bytes"] if with_memory else None
    return line


def run_peer(args, python, peer, model, rows, batch):
    """A peer's line, at a batch size if one is known."""
    command = [
        python, PEERS / peer.script, "--model", model, "--rows", rows, "--rank", RANK, "--threads", args.threads,
        "--precision", peer.precision, "--seconds", UNLIMITED_SECONDS,
    ]
    return json_line(command + (["--batch", batch] if batch else ["--batch", args.batches] if args.batches else []))


def known_batch(entries, who):
    """The batch size that a peer chose in its first round, None before that."""
    return next((entry["line"]["batch"] for entry in entries if entry["who"] == who), None)


# The machine


class ProcessorClock:
    """Where the time of the processors went since this was made."""

    def __init__(self):
        self.start = self.read()

    @staticmethod
    def read():
        """Ticks of all kinds, the stolen ones, those at work, and those at work for the programs run from here."""
        with open("/proc/stat") as file:
            ticks = [int(word) for word in file.readline().split()[1:9]]  # What follows is part of the first two.
        user, nice, system, _, _, interrupt, soft_interrupt, stolen = ticks
        times = os.times()
        own = (times.user + times.system + times.children_user + times.children_system) * os.sysconf("SC_CLK_TCK")
        return sum(ticks), stolen, user + nice + system + interrupt + soft_interrupt, own

    def shares(self):
        """The share of all ticks that the hypervisor gave to others, and that other programs here took."""
        total, stolen, busy, own = (now - before for now, before in zip(self.read(), self.start))
        total = max(total, 1)
        return {"steal_share": round(stolen / total, 4), "others_share": round(max(busy - own, 0) / total, 4)}


def machine(threads):
    """The processor's name, its cores, and how many of them are used."""
    with open("/proc/cpuinfo") as file:
        names = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
    return {"cpu": names[0] if names else "unknown", "cores": os.cpu_count(), "threads": threads}


# Tables


def summary(name, entries):
    """For each contestant of a case that has a result, in the order of a round, the numbers of its row."""
    present = {entry["who"] for entry in entries}
    contestants = [OURS, *CASES[name].peers, SINGLE, BF16]
    order = [who for who in map(title, contestants) if who in present]
    lines = {who: {entry["round"]: entry["line"] for entry in entries if entry["who"] == who} for who in order}
    ours, bf16 = lines.get(title(OURS), {}), lines.get(title(BF16), {})
    return {who: contestant_summary(lines[who], ours, bf16) for who in order}


def contestant_summary(own, ours, bf16):
    """A row: `own`, `ours` and `bf16` are lines by round."""
    rates = {turn: line["samples_per_second"] for turn, line in own.items()}
    first = next(iter(own.values()))
    work = gigaflop_per_sample(ours)
    speeds = {turn: rate * work for turn, rate in rates.items()} if work else {}
    squares = {turn: own[turn].get("square_gigaflops") or ours.get(turn, {}).get("square_gigaflops") for turn in own}
    memory, our_memory = peak(own), peak(ours)
    return {
        "precision": first["precision"],
        "batch": first.get("batch"),
        "version": first["version"],
        "median_samples_per_second": statistics.median(rates.values()),
        "best_samples_per_second": max(rates.values()),
        "ours_to_it": spread(ratios(ours, rates)),
        "ours_bf16_to_it": spread(ratios(bf16, rates)),
        "gigaflops": statistics.median(speeds.values()) if speeds else None,
        "share_of_square": spread([speeds[turn] / squares[turn] for turn in speeds if squares[turn]]),
        "peak_rss_bytes": memory,
        "memory_to_ours": memory / our_memory if memory and our_memory else None,
        "disk_bytes_per_sample": first.get("stored_bytes_per_sample", first.get("disk_bytes_per_sample")),
    }


def gigaflop_per_sample(ours):
    """The operations that our formula needs for one row, in 10^9; None where we have no run."""
    line = next(iter(ours.values()), None)
    return line and line["gigaflops"] * line["seconds"] / line["rows"]


def ratios(ours, rates):
    """Our rate over another's in each round that has both."""
    return [ours[turn]["samples_per_second"] / rate for turn, rate in rates.items() if turn in ours]


def spread(values):
    """Median, least and most; None of nothing."""
    return [statistics.median(values), min(values), max(values)] if values else None


def peak(lines):
    """The most memory of all rounds that measured it."""
    return max((line["peak_rss_bytes"] for line in lines.values() if line["peak_rss_bytes"]), default=None)


def report(args, results, name):
    """The Markdown of a case."""
    case, entries = CASES[name], results.of(name)
    rounds = max(entry["round"] for entry in entries)
    tokens = entries[0]["line"]["tokens"]
    lines = [
        f"### {case.shape}, {case.method}{f' rank {RANK}' if case.method == 'logra' else ''}: "
        f"{args.rows} rows, {tokens} tokens, {args.threads} threads, rounds: {rounds}",
        "",
        "| who | precision | batch | samples/s, median | best | ours f32 / it | ours bf16 / it | GFLOP/s "
        "| of the square product | peak memory, MB | memory, it / ours | bytes on disk a sample |",
        "|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for who, row in summary(name, entries).items():
        lines.append(table_row(who.removesuffix(" " + row["precision"]), row))
    lines += ["", *notes(args, results, name)]
    return "\n".join(lines)


def table_row(who, row):
    """One contestant's line of the table."""
    cells = [
        who + ("" if who.startswith("alinfik") else f" {row['version']}"),
        row["precision"],
        str(row["batch"] or "packed"),
        f"{row['median_samples_per_second']:.3g}",
        f"{row['best_samples_per_second']:.3g}",
        show_spread(row["ours_to_it"]),
        show_spread(row["ours_bf16_to_it"]),
        show(row["gigaflops"], "{:.1f}"),
        "–" if row["share_of_square"] is None else f"{row['share_of_square'][0]:.0%}",
        "–" if row["peak_rss_bytes"] is None else f"{row['peak_rss_bytes'] / 1e6:.0f}",
        show(row["memory_to_ours"], "{:.2f}"),
        show(row["disk_bytes_per_sample"], "{:,.0f}"),
    ]
    return "| " + " | ".join(cells) + " |"


def show(value, pattern):
    """A number, or a dash."""
    return "–" if value is None else pattern.format(value)


def show_spread(values):
    """Median (least–most)."""
    return "–" if values is None else "{:.2f} ({:.2f}–{:.2f})".format(*values)


def notes(args, results, name):
    """What belongs under the table: workers, who is missing, and the machine."""
    entries = results.of(name)
    single = summary(name, entries).get(title(SINGLE), {}).get("ours_to_it")
    yield f"- {args.threads} workers against one: {show_spread(single)} times the samples a second."
    yield (
        "- A ratio is the median (least–most) of those of each round. GFLOP/s are the operations that our formula "
        "needs, for all alike. The square product is f32, best of the same round, on as many threads."
    )
    wanted = {peer.name for peer in CASES[name].peers}
    missing = [peer for peer in results.data["missing"] if peer in wanted]
    if missing:
        yield f"- Missing, because it cannot be imported: {', '.join(missing)}."
    failed = {run["who"] for run in results.data["runs"] if run["case"] == name and "error" in run}
    if failed:
        yield f"- Failed in some round: {', '.join(sorted(failed))}; --output has the message."
    ours = next(entry["line"] for entry in entries if entry["who"] == title(OURS))
    yield "- " + machine_text(results.data["machine"], ours, entries)


def machine_text(facts, line, entries):
    """Processor, the kernels that one of our lines names, and the time that others took from the runs."""
    text = (
        f"Machine: {facts['cpu']}, {facts['cores']} cores, {facts['threads']} of them used; kernels {line['kernels']}, "
        f"OpenBLAS {line['openblas']}."
    )
    return text + lost_time(entries, "steal_share", "Steal time") + lost_time(entries, "others_share", "Other programs")


def lost_time(entries, key, name):
    """A sentence on time that runs did not get; in bold where it was more than absolute numbers bear."""
    shares = [entry[key] for entry in entries]
    above = sum(share > LOST_LIMIT for share in shares)
    middle, most = statistics.median(shares), max(shares)
    text = f"{name}: {middle:.1%} of the processors' time (median of the runs), at most {most:.1%}"
    return f" **{text}; over {LOST_LIMIT:.0%} in {above} of {len(shares)} runs.**" if above else f" {text}."


if __name__ == "__main__":
    try:
        main()
    except Failure as failure:
        sys.exit(f"label.py: {failure}")
    except KeyboardInterrupt:
        sys.exit("label.py: interrupted; the same command continues")
