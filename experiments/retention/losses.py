#!/usr/bin/env python3
"""The report rows' mean loss after training on what each method chose, and its difference to random choice: 95 % bootstrap over
pools and report rows. Writes results.json and a chart.

losses.py RUNS FOLDER
"""

import json
import pathlib
import sys

import numpy as np

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1]))
import bootstrap  # noqa: E402
import plots  # noqa: E402

SHARES, STEPS = ("5 %", "10 %", "20 %"), (5, 10, 20)


def interval(differences):
    """Of the mean of pools x rows."""
    spread = bootstrap.interval(lambda pools, rows: differences[pools][:, rows].mean(), *differences.shape, draws=2000)
    return {"value": differences.mean(), **spread}


def main(runs, folder):
    runs, folder = pathlib.Path(runs), pathlib.Path(folder)
    losses = {}
    for path in sorted(runs.glob("trained-*-[0-9].json")):
        method, pool = path.stem.removeprefix("trained-").rsplit("-", 1)
        validation = {entry["step"]: entry["rows"] for entry in json.loads(path.read_text(encoding="utf-8"))["validation"]}
        losses[method, int(pool)] = np.array([validation[step] for step in (0, *STEPS)])
    methods = sorted({method for method, _ in losses})
    first = next(iter(losses.values()))
    before = first[0].mean()
    result = {"report_rows": first.shape[1], "loss_before": before, "methods": {}}
    for method in methods:
        # A method is held against random choice in the pools where both were trained.
        pools = sorted(pool for m, pool in losses if m == method and ("random", pool) in losses)
        entry = {"pools": len(pools)}
        for place, share in enumerate(SHARES, 1):
            after = np.array([losses[method, pool][place] for pool in pools])
            chance = np.array([losses["random", pool][place] for pool in pools])
            entry[share] = {
                "loss": after.mean(), "below_random": interval(chance - after),
                "below_random_by_pool": (chance - after).mean(1).tolist(),
            }
        result["methods"][method] = entry
    for share in SHARES:
        # The share of what labels gain over random choice that the valuator's scores gain.
        gained = {m: result["methods"][m][share]["below_random"] for m in methods}
        if "valuator" in gained and gained["linfik"]["low"] > 0:
            result.setdefault("retention", {})[share] = gained["valuator"]["value"] / gained["linfik"]["value"]
        plots.intervals(
            folder / f"below-random-{share.split()[0]}.svg", f"Fine-tuned on the best {share} of tokens",
            "report loss below random choice, nats a token",
            [(f"{m} ({result['methods'][m]['pools']} pools)", *result["methods"][m][share]["below_random"].values())
             for m in methods if m != "random"])
    (folder / "results.json").write_text(json.dumps(result, indent=2) + "\n")
    print(f"before: {before:.4f}")
    for method in methods:
        print(f"{method:14}" + "".join(
            "   {loss:.4f} ({0[value]:+.4f}, {0[low]:+.4f} to {0[high]:+.4f})".format(e["below_random"], **e)
            for e in (result["methods"][method][share] for share in SHARES)))
    print("retention", result.get("retention"))


main(*sys.argv[1:])
