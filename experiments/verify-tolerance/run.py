#!/usr/bin/env python3
"""How far the outputs of valuators differ between instruction sets, as a share of the outputs' range on the calibration part.

Each valuator is written anew in each precision it can have, by the widest set that this processor has; then every set scores 2,000
records of the instruct pool and runs the self-test.

    run.py VALUATOR...     ALINFIK_DATA and ALINFIK as in experiments/environment.sh
"""

import itertools
import json
import os
import pathlib
import subprocess
import sys
import tempfile

SETS = ("amx", "avx512bf16", "avx512", "avx2", "baseline")
ROWS = 2000

repository = pathlib.Path(__file__).resolve().parents[2]
data = pathlib.Path(os.environ.get("ALINFIK_DATA", repository / "../shared/data"))
alinfik = os.environ.get("ALINFIK", repository / ".build/release/alinfik")


def run(*arguments, kernels="amx"):
    environment = os.environ | {"ALINFIK_INSTRUCTION_SET": kernels}
    return subprocess.run([alinfik, *map(str, arguments)], capture_output=True, text=True, env=environment)


with tempfile.TemporaryDirectory() as name:
    folder = pathlib.Path(name)
    lines = (data / "instruct/pool.jsonl").read_text().split("\n")
    rows = folder / "rows.jsonl"
    rows.write_text("\n".join(lines[:: max(1, len(lines) // ROWS)][:ROWS]) + "\n")
    for valuator, precision in itertools.product(sys.argv[1:], ("f32", "bf16", "int8")):
        written = folder / "valuator"
        if run("quantize", valuator, "--precision", precision, "--output", written, "--force").returncode:
            continue  # int8 is for text encoders alone
        card = json.loads((written / "alinfik.json").read_text())
        inputs = card["calibration"]["inputs"]
        if len(inputs) == 1:
            inputs = card["self_test"]["outputs"]
        outputs, tests = {}, {}
        for kernels in SETS:
            scored = run("score", written, rows, "--raw", kernels=kernels).stdout.split("\n")
            outputs[kernels] = [json.loads(line)["alinfik_score"] for line in scored if line]
            checks = json.loads(run("verify", written, "--json", kernels=kernels).stdout)["checks"]
            tests[kernels] = checks["self-test"]
        for kernels in SETS[1:]:
            differences = [abs(a - b) for a, b in zip(outputs[SETS[0]], outputs[kernels], strict=True)]
            share = max(differences) / (max(inputs) - min(inputs))
            print(f"{pathlib.Path(valuator).name} {precision} {kernels}: {share:.1e}; {tests[kernels]['words']}")
