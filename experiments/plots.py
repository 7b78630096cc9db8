"""Charts of the experiments, as SVG: each method's value with its interval, beside a reference."""

import matplotlib

matplotlib.use("svg")
matplotlib.rcParams["svg.hashsalt"] = "alinfik"  # the same bytes for the same numbers
from matplotlib import pyplot  # noqa: E402


def intervals(path, title, label, rows, reference=None):
    """Rows of (name, value, low, high), the best at the top; `reference` is (name, value), a line."""
    rows = sorted(rows, key=lambda row: row[1])
    figure, axis = pyplot.subplots(figsize=(7, 0.32 * len(rows) + 1.3))
    for place, (name, value, low, high) in enumerate(rows):
        axis.plot([low, high], [place, place], color="#8c959f", linewidth=2)
        axis.plot([value], [place], "o", color="#0969da")
    axis.set_yticks(range(len(rows)), [row[0] for row in rows])
    axis.axvline(0, color="#d0d7de", linewidth=1, zorder=0)
    if reference:
        axis.axvline(reference[1], color="#1a7f37", linestyle="--", linewidth=1)
        axis.text(reference[1], len(rows) - 0.4, reference[0], color="#1a7f37", ha="right", fontsize=9)
    axis.set_xlabel(label)
    axis.set_title(title, loc="left", fontsize=11)
    axis.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, bbox_inches="tight", metadata={"Date": None})
    pyplot.close(figure)


def lines(path, title, x_label, y_label, series, logarithmic=False):
    """Curves of (name, xs, ys)."""
    figure, axis = pyplot.subplots(figsize=(7, 4.2))
    for name, xs, ys in series:
        axis.plot(xs, ys, marker="o", markersize=4, linewidth=1.5, label=name)
    if logarithmic:
        axis.set_xscale("log")
    axis.set_xlabel(x_label)
    axis.set_ylabel(y_label)
    axis.set_title(title, loc="left", fontsize=11)
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(frameon=False, fontsize=9)
    figure.savefig(path, bbox_inches="tight", metadata={"Date": None})
    pyplot.close(figure)
