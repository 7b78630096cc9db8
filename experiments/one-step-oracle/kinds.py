#!/usr/bin/env python3
"""Spearman of each method with real steps, the mean over seeds with a 95 % bootstrap over rows, by model.

kinds.py RUNS FOLDER
"""

import json
import pathlib
import sys

import numpy as np
from scipy.stats import spearmanr

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1]))
import bootstrap  # noqa: E402
import plots  # noqa: E402


def reports(runs, name):
    return [json.loads(path.read_text()) for path in sorted(pathlib.Path(runs).glob(f"{name}-[0-9]/report.json"))]


def columns(report):
    """Each method's values, by name."""
    return {m["name"]: np.array(m["values"]) for m in report["methods"] if m.get("values")}


def estimate(pairs):
    """The mean Spearman of pairs of columns, one a seed, and its interval over rows."""

    def mean(*chosen):
        return np.nanmean([spearmanr(x[rows], y[rows])[0] for (x, y), rows in zip(pairs, chosen)])

    sizes = [len(x) for x, _ in pairs]
    return {"value": mean(*map(np.arange, sizes)), **bootstrap.interval(mean, *sizes)}


def main(runs, folder):
    folder = pathlib.Path(folder)
    # Models whose reports are not at hand keep what was found before.
    kept = folder / "results-kinds.json"
    result = json.loads(kept.read_text()) if kept.exists() else {}
    for name in ("small", "smollm2", "finetuned"):
        found = reports(runs, name)
        if not found:
            continue
        table = {}
        for method in columns(found[0]):
            pairs = []
            for report in found:
                oracle = report["oracle"]
                pairs.append((columns(report)[method][oracle["rows"]], np.array(oracle["actual"])))
            table[method] = estimate(pairs)
        rows = sum(len(report["oracle"]["rows"]) for report in found)
        result[name] = {"seeds": len(found), "rows": rows, "methods": table}
        plots.intervals(
            folder / f"kinds-{name}.svg", f"Real steps: {name}, {len(found)} seeds, {rows} rows", "Spearman with what the step did",
            [(method, *entry.values()) for method, entry in table.items()])
        print(name, len(found), "seeds")
        for method, entry in sorted(table.items(), key=lambda item: -item[1]["value"]):
            print("  {:18} {value:+.3f} ({low:+.3f} to {high:+.3f})".format(method, **entry))
    kept.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
