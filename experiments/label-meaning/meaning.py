#!/usr/bin/env python3
"""Spearman of each kind of label with length, loss and gradient norm: the mean of seeds, 95 % bootstrap over rows.

meaning.py ORACLE_RUNS FOLDER
"""

import json
import pathlib
import sys

import numpy as np

experiments = pathlib.Path(__file__).resolve().parents[1]
sys.path += [str(experiments), str(experiments / "one-step-oracle")]
import plots  # noqa: E402
from kinds import columns, estimate, reports  # noqa: E402


def main(runs, folder):
    folder = pathlib.Path(folder)
    # Models whose reports are not at hand keep what was found before.
    kept = folder / "results.json"
    result = json.loads(kept.read_text()) if kept.exists() else {}
    for name in ("small", "smollm2", "finetuned"):
        found = [columns(report) for report in reports(runs, name)]
        if not found:
            continue
        for values in found:
            # dot / cosine is |G| |g(z)|, and |G| is the same for all rows.
            values["Gradient norm"] = np.abs(values["LinFiK"] / values["Cosine"])
        properties = {"length": "Length", "loss": "Model loss", "gradient norm": "Gradient norm"}
        result[name] = {
            method: {
                short: estimate([(values[method], values[column]) for values in found])
                for short, column in properties.items() if column != method
            }
            for method in found[0]
        }
        print(name)
        for method, row in result[name].items():
            print(f"  {method:18}" + "".join(f"  {short} {entry['value']:+.2f}" for short, entry in row.items()))
        for short in properties:
            plots.intervals(
                folder / f"{name}-{short.replace(' ', '-')}.svg", f"{name}: Spearman with {short}", "Spearman",
                [(method, *row[short].values()) for method, row in result[name].items() if short in row])
    (folder / "results.json").write_text(json.dumps(result, indent=2) + "\n")


main(*sys.argv[1:])
