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
import plots  # noqa: E402

STEPS, DRAWS = (10, 100, 1000), 500


def labels(path):
    with h5py.File(path) as file:
        return file["labels"][:]


def main(runs, folder):
    runs, folder = pathlib.Path(runs), pathlib.Path(folder)
    result, curves = {}, []
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
                draws = []
                for _ in range(DRAWS):
                    rows = generator.integers(len(pairs[0][0]), size=len(pairs[0][0]))
                    draws.append(np.mean([spearmanr(before[rows], after[rows])[0] for before, after in pairs]))
                low, high = np.percentile(draws, [2.5, 97.5])
                value = np.mean([spearmanr(before, after)[0] for before, after in pairs])
                entry[steps] = {"seeds": len(pairs), "spearman": value, "low": low, "high": high}
                print(f"{name} {kind} {steps}: {value:.3f} ({low:.3f} to {high:.3f}), {len(pairs)} seeds")
            if entry:
                result.setdefault(name, {})[kind] = entry
                curves.append((f"{name}, {kind}", list(entry), [found["spearman"] for found in entry.values()]))
    (folder / "results.json").write_text(json.dumps(result, indent=2) + "\n")
    plots.lines(
        folder / "stability.svg", "Labels after fine-tuning against labels before", "steps", "Spearman", curves, logarithmic=True)


main(*sys.argv[1:])
