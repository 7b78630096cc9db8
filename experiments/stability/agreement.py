#!/usr/bin/env python3
"""Spearman of labels before training with labels after so many steps; 95 % bootstrap over rows, the mean of seeds.

agreement.py RUNS FOLDER
"""

import json
import pathlib
import sys

import h5py
import numpy as np
from scipy.stats import spearmanr

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1]))
import bootstrap  # noqa: E402
import plots  # noqa: E402

STEPS = (10, 100, 1000)


def labels(path):
    with h5py.File(path) as file:
        return file["labels"][:]


def main(runs, folder):
    runs, folder = pathlib.Path(runs), pathlib.Path(folder)
    # Models whose labels are not at hand keep what was found before.
    kept = folder / "results.json"
    result = json.loads(kept.read_text()) if kept.exists() else {}
    generator = np.random.default_rng(0)
    for name in ("small", "smollm2"):
        for kind in ("dot", "cosine", "adam"):
            entry = {}
            for steps in STEPS:
                pairs = [
                    (labels(runs / f"{name}-{kind}-0-{seed}.h5"), labels(path))
                    for seed in (1, 2, 3) if (path := runs / f"{name}-{kind}-{steps}-{seed}.h5").exists()
                ]
                if not pairs:
                    continue

                def mean(rows):
                    return np.mean([spearmanr(before[rows], after[rows])[0] for before, after in pairs])

                count = len(pairs[0][0])
                spread = bootstrap.interval(mean, count, draws=500, generator=generator)
                entry[steps] = {"seeds": len(pairs), "spearman": mean(np.arange(count)), **spread}
                print(f"{name} {kind} {steps}: " + "{spearman:.3f} ({low:.3f} to {high:.3f}), {seeds} seeds".format(**entry[steps]))
            if entry:
                result.setdefault(name, {})[kind] = {str(steps): found for steps, found in entry.items()}
    kept.write_text(json.dumps(result, indent=2) + "\n")
    curves = [
        (f"{name}, {kind}", [int(steps) for steps in entry], [found["spearman"] for found in entry.values()])
        for name, kinds in result.items() for kind, entry in kinds.items()
    ]
    plots.lines(
        folder / "stability.svg", "Labels after fine-tuning against labels before", "steps", "Spearman", curves, logarithmic=True)


main(*sys.argv[1:])
