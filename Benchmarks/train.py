#!/usr/bin/env python3
"""Fine-tuning a text encoder: ours beside PyTorch in alternating runs, samples a second.

    python3 Benchmarks/train.py LABELS.h5 ENCODER [--test-rows N] [--rounds 3]

The same encoder, rows, batch of 16, at most 256 tokens, frozen embedding tables, AdamW, mean squared error, two threads. Ours
is the command itself, its second epoch; the validation pass over a tenth of the rows stays in. PyTorch (transformers' BertModel, padded batches, the second of
two epochs) gets batches of random rows and, as a second peer, batches of rows of like length, which waste no padding.

ALINFIK_BENCH_PYTHON is a python with torch, transformers and h5py.
"""
import argparse
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
PYTHON = os.environ.get("ALINFIK_BENCH_PYTHON", str(ROOT / ".cache/bench-venv/bin/python"))

parser = argparse.ArgumentParser()
parser.add_argument("labels")
parser.add_argument("encoder")
parser.add_argument("--test-rows", type=int, default=1500)
parser.add_argument("--rounds", type=int, default=3)
arguments = parser.parse_args()
environment = {k: v for k, v in os.environ.items() if k not in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")}


def train(folder, epochs):
    return subprocess.Popen(
        [ROOT / ".build/release/alinfik", "train", arguments.labels, "--init", arguments.encoder, "--output",
         folder + "/valuator", "--epochs", str(epochs), "--test-rows", str(arguments.test_rows), "--crop-share", "0",
         "--threads", "2"], stderr=subprocess.PIPE, text=True, env=environment)


def training_rows():
    with tempfile.TemporaryDirectory() as folder:
        _, errors = train(folder, 1).communicate()
        card = pathlib.Path(folder, "valuator/alinfik.json")
        if not card.exists():
            sys.exit(errors)
        return json.loads(card.read_text())["rows"]["training"]


def ours(rows):
    """From the line that ends the first epoch to the line that ends the second, where the run is stopped."""
    ends = []
    with tempfile.TemporaryDirectory() as folder:
        run = train(folder, 2)
        for line in run.stderr:
            if re.match(r"epoch \d+/\d+:", line):
                ends.append(time.monotonic())
                if len(ends) == 2:
                    break
        run.terminate()
        run.communicate()
    return len(rows) / (ends[1] - ends[0])


def torch(order, rows):
    script = ROOT / "Benchmarks/peers/torch_encoder.py"
    out = subprocess.run(
        [PYTHON, script, arguments.labels, arguments.encoder, order], check=True, capture_output=True, text=True,
        input=json.dumps(rows), env=environment)
    return json.loads(out.stdout)["samples_per_second"]


found = {"alinfik": [], "PyTorch, random batches": [], "PyTorch, batches of like length": []}
rows = training_rows()
for number in range(arguments.rounds):
    found["alinfik"].append(ours(rows))
    found["PyTorch, random batches"].append(torch("random", rows))
    found["PyTorch, batches of like length"].append(torch("length", rows))
    print(json.dumps({name: round(values[-1], 1) for name, values in found.items()}), flush=True)
print(f"\n{len(rows)} rows an epoch\n\n| | samples/s | ours, times as fast (median of rounds) |\n|---|---|---|")
for name, values in found.items():
    ratio = statistics.median(a / b for a, b in zip(found["alinfik"], values))
    print(f"| {name} | {statistics.median(values):.1f} | {ratio:.2f} |")
