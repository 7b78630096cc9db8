#!/usr/bin/env python3
"""Scoring beside its peers, in alternating runs on this machine: tokenizers, a text encoder, and whole streams.

    python3 Benchmarks/score.py [tokenizers] [encoder] [stream] [mixed] [memory] [--rounds 3] [--valuator DIR --texts FILE]

- tokenizers: byte-level BPE (SmolLM2's) and WordPiece (MiniLM's) on wikitext2 (ALINFIK_DATA), beside Hugging Face's; ids must be equal.
- encoder: all-MiniLM-L6-v2, 128 and 256 tokens, beside PyTorch (f32, bf16) and onnxruntime (f32 fused, int8 dynamic).
- stream: `alinfik score VALUATOR TEXTS --pooling first` from file to file: megabytes of text a second, peak memory, and seconds
  to the first score.

ALINFIK_BENCH_PYTHON is a python with torch, transformers, tokenizers, onnx and onnxruntime.
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
PYTHON = os.environ.get("ALINFIK_BENCH_PYTHON", str(ROOT / ".cache/bench-venv/bin/python"))
DATA = pathlib.Path(os.environ.get("ALINFIK_DATA", ROOT / "../shared/data"))
PROGRAM, COMMAND, PEERS = ROOT / ".build/release/Benchmarks", ROOT / ".build/release/alinfik", ROOT / "Benchmarks/peers"
MODELS = ROOT / ".cache/models"
ENVIRONMENT = {k: v for k, v in os.environ.items() if k not in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")}


def result(*command):
    run = subprocess.run([str(word) for word in command], capture_output=True, text=True, env=ENVIRONMENT)
    if run.returncode:
        sys.exit(f"{' '.join(map(str, command))}\n{run.stderr[-2000:]}")
    return json.loads(run.stdout.strip().splitlines()[-1])


def table(title, unit, rows, reference):
    """Medians of the rounds, and how many times as fast as each the reference is, by the median of the rounds' ratios."""
    print(f"\n{title}\n\n| | {unit} | ours, times as fast |\n|---|--:|--:|")
    for name, values in rows.items():
        ratio = statistics.median(a / b for a, b in zip(rows[reference], values))
        print(f"| {name} | {statistics.median(values):.1f} | {'' if name == reference else f'{ratio:.2f}'} |")


def tokenizers(rounds):
    texts = ROOT / ".cache/wikitext2.jsonl"
    if not texts.exists():
        import gzip

        with open(texts, "wb") as out:
            for part in ("train", "valid", "test"):
                out.write(gzip.open(DATA / f"wikitext2/{part}.jsonl.gz").read())
    for name, path in (("byte-level BPE", DATA / "smollm2-135m/tokenizer.json"),
                       ("WordPiece", MODELS / "all-MiniLM-L6-v2/tokenizer.json")):
        for threads in (1, 2):
            rows = {"alinfik": [], "tokenizers": []}
            for _ in range(rounds):
                ours = result(PROGRAM, "tokenize", "--tokenizer", path, "--texts", texts, "--threads", threads)
                theirs = result(PYTHON, PEERS / "tokenizer_peer.py", path, texts, threads)
                if ours["ids_sha256"] != theirs["ids_sha256"]:
                    sys.exit(f"{name}: {ours['ids']} ids of ours are not {theirs['ids']} of theirs")
                rows["alinfik"].append(ours["megabytes_per_second"])
                rows["tokenizers"].append(theirs["megabytes_per_second"])
            table(f"{name}, {threads} thread{'s' * (threads > 1)}, ids equal", "MB/s", rows, "alinfik")


def encoder(rounds):
    model = MODELS / "all-MiniLM-L6-v2"
    for tokens in (128, 256):
        rows = {}
        for _ in range(rounds):
            for precision in ("f32", "bf16", "int8"):
                found = result(PROGRAM, "encode", "--encoder", model, "--tokens", tokens, "--precision", precision, "--threads", 2, "--repeat", 6)
                rows.setdefault(f"alinfik {precision} ({found['kernels']})", []).append(found["texts_per_second"])
            for engine in ("torch-f32", "onnxruntime-f32", "torch-bf16", "onnxruntime-int8"):
                found = result(PYTHON, PEERS / "encoder_peer.py", engine, model, tokens, 256, 2)
                rows.setdefault(engine, []).append(found["texts_per_second"])
        for ours in [name for name in rows if name.startswith("alinfik")]:
            table(f"MiniLM-L6, {tokens} tokens, two threads, beside {ours}", "texts/s", rows, ours)


def stream(rounds, valuator, texts):
    size = text_bytes(texts)
    rates, memory, first = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(rounds):
            started = time.perf_counter()
            run = subprocess.Popen(
                [COMMAND, "score", valuator, texts, "--pooling", "first", "--output", f"{folder}/{number}.jsonl", "--quiet"],
                env=ENVIRONMENT)
            _, status, usage = os.wait4(run.pid, 0)
            if status:
                sys.exit(f"score ended with {status}")
            rates.append(size / (time.perf_counter() - started) / 1e6)
            memory.append(usage.ru_maxrss / 1e3)
        for _ in range(rounds):
            started = time.perf_counter()
            run = subprocess.Popen(
                [COMMAND, "score", valuator, "--quiet"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=ENVIRONMENT)
            run.stdin.write(b'{"prompt": "How far is the moon?", "completion": "Far."}\n')
            run.stdin.flush()
            run.stdout.readline()
            first.append(time.perf_counter() - started)
            run.stdin.close()
            run.wait()
    print(f"\n{valuator} on {texts}: {statistics.median(rates):.1f} MB of text/s, at most {max(memory):.0f} MB of memory, "
          f"first score after {1000 * statistics.median(first):.0f} ms")


def text_bytes(path):
    def size(record):
        parts = [record["text"]] if "text" in record else [record["prompt"], record["completion"]]
        return sum(len(part.encode()) for part in parts)

    return sum(size(json.loads(line)) for line in open(path, encoding="utf-8"))


def mixed(rounds, valuator, texts):
    """Ours is the whole process, loading included; the peers' seconds are those of their stream alone."""
    size = text_bytes(texts)
    with tempfile.TemporaryDirectory() as folder:
        valuators = {"f32": valuator}
        for precision in ("bf16", "int8"):
            valuators[precision] = f"{folder}/{precision}"
            found = result(COMMAND, "quantize", valuator, "--precision", precision, "--output", valuators[precision],
                           "--check", texts, "--quiet", "--json")
            print(f"{precision} beside f32, {found['records']} records: Spearman {found['spearman']:.5f}, within sources "
                  f"{found['spearman_within_source']:.5f}, recall of the best 1 % {found['recall_1']:.3f}")
        rows = {}
        for number in range(rounds):
            for precision, path in valuators.items():
                started = time.perf_counter()
                subprocess.run(
                    [COMMAND, "score", path, texts, "--raw", "--output", f"{folder}/{precision}-{number}.jsonl", "--quiet",
                     "--threads", "2"], env=ENVIRONMENT, check=True)
                rows.setdefault(f"alinfik {precision}", []).append(size / (time.perf_counter() - started) / 1e3)
            for engine in ("sentence-transformers-f32", "sentence-transformers-bf16", "onnxruntime-f32", "onnxruntime-int8"):
                found = result(PYTHON, PEERS / "stream_peer.py", engine, valuator, texts, f"{folder}/{engine}.jsonl", 2)
                rows.setdefault(engine, []).append(size / found["seconds"] / 1e3)
        ours, theirs = (
            [json.loads(line)["alinfik_score"] for line in open(f"{folder}/{name}.jsonl", encoding="utf-8")]
            for name in ("f32-0", "sentence-transformers-f32"))
        print(f"largest difference of ours in f32 to sentence-transformers: {max(abs(a - b) for a, b in zip(ours, theirs)):.2g}")
        for precision in valuators:
            table(f"{texts}, from JSON Lines to JSON Lines, two threads", "kB of text/s", rows, f"alinfik {precision}")


def memory(valuator, texts, large):
    """A valuator's share is what it takes at one line."""
    block = open(texts, "rb").read()
    peaks = {}
    for name, size in (("one line", 1), ("10 MB", 10_000_000), (f"{large / 1e9:.3g} GB", large)):
        run = subprocess.Popen([COMMAND, "score", valuator, "--quiet", "--on-error", "mark"], stdin=subprocess.PIPE,
                               stdout=subprocess.DEVNULL, env=ENVIRONMENT)
        if size == 1:
            run.stdin.write(block[: block.index(b"\n") + 1])
        sent = 0
        while size > 1 and sent < size:
            run.stdin.write(block)
            sent += len(block)
        run.stdin.close()
        _, status, usage = os.wait4(run.pid, 0)
        if status:
            sys.exit(f"score ended with {status}")
        peaks[name] = usage.ru_maxrss / 1e3
    print("peak memory: " + ", ".join(f"{name} {peak:.0f} MB" for name, peak in peaks.items()))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("parts", nargs="*", choices=["tokenizers", "encoder", "stream", "mixed", "memory", []])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--valuator")
    parser.add_argument("--texts")
    parser.add_argument("--large", type=float, default=10e9)
    args = parser.parse_args()
    for part in args.parts or ["tokenizers", "encoder"] + ["stream"] * (args.valuator is not None):
        if part in ("stream", "mixed"):
            {"stream": stream, "mixed": mixed}[part](args.rounds, args.valuator, args.texts)
        elif part == "memory":
            memory(args.valuator, args.texts, args.large)
        else:
            {"tokenizers": tokenizers, "encoder": encoder}[part](args.rounds)


main()
