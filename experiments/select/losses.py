#!/usr/bin/env python3
"""The report rows' mean loss after training on what each mode chose, its difference to random choice (95 % bootstrap over pools and report
rows), and its retention: the share of what the labels gain over random choice that the mode gains. Writes results.json and a chart.

losses.py RUNS FOLDER
"""

import json
import pathlib
import sys

import numpy as np

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1]))
import bootstrap  # noqa: E402
import plots  # noqa: E402


def load(runs, steps):
    losses, chosen = {}, {}
    for path in sorted(runs.glob("trained-*-[0-9].json")):
        mode, pool = path.stem.removeprefix("trained-").rsplit("-", 1)
        validation = {entry["step"]: entry["rows"] for entry in json.loads(path.read_text(encoding="utf-8"))["validation"]}
        losses[mode, int(pool)] = np.array([validation[0], validation[steps]])
        chosen[mode, int(pool)] = json.loads((runs / "chosen" / f"{mode}-{pool}.json").read_text(encoding="utf-8"))
    return losses, chosen


def main(runs, folder):
    runs, folder = pathlib.Path(runs), pathlib.Path(folder)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    losses, chosen = load(runs, config["steps"])
    first = next(iter(losses.values()))
    result = {"config": config, "report_rows": first.shape[1], "loss_before": first[0].mean(), "modes": {}}
    for mode in config["modes"]:
        # A mode is held against random choice in the pools where both were trained.
        pools = [pool for pool in config["pools"] if (mode, pool) in losses and ("random", pool) in losses]
        if not pools:
            continue
        after = np.array([losses[mode, pool][1] for pool in pools])
        gain = np.array([losses["random", pool][1] for pool in pools]) - after
        spread = bootstrap.interval(lambda p, r: gain[p][:, r].mean(), *gain.shape, draws=2000)
        summaries = [chosen[mode, pool] for pool in pools]
        entry = {
            "pools": len(pools), "loss": after.mean(), "below_random": {"value": gain.mean(), **spread},
            "below_random_by_pool": gain.mean(1).tolist(),
            "rows": [summary["chosen"]["rows"] for summary in summaries],
            "tokens": [summary["chosen"]["tokens"] for summary in summaries],
        }
        both = [pool for pool in pools if ("labels", pool) in losses]
        if both and mode not in ("random", "labels"):
            def mean(m):
                return np.mean([losses["random", p][1] - losses[m, p][1] for p in both])
            entry["retention"] = mean(mode) / mean("labels")
        result["modes"][mode] = entry
    (folder / "results.json").write_text(json.dumps(result, indent=2) + "\n")
    plots.intervals(
        folder / "below-random.svg", f"Fine-tuned on {config['share']:.0%} of the tokens",
        "report loss below random choice, nats a token",
        [(f"{mode} ({entry['pools']} pools)", *entry["below_random"].values())
         for mode, entry in result["modes"].items() if mode != "random"])
    print(f"before: {result['loss_before']:.4f}")
    for mode, entry in result["modes"].items():
        kept = f"   retention {entry['retention']:.2f}" if "retention" in entry else ""
        print("{mode:12} {loss:.4f}   {0[value]:+.4f} ({0[low]:+.4f} to {0[high]:+.4f})   rows {rows}{kept}".format(
            entry["below_random"], mode=mode, kept=kept, loss=entry["loss"], rows=entry["rows"]))


main(*sys.argv[1:])
