#!/usr/bin/env python3
"""How the cost of one sample grows with its tokens and with the model's parameters, and with what exponent.

    python3 Benchmarks/growth.py [--quick] [--only SERIES]

Rows are random tokens, models have random weights. One worker does the work unless --threads says otherwise, so that
the number of batches is no part of the result. The table is Markdown, on standard output; the numbers go to --output
after each point, the chart to --chart.
"""

import argparse
import json
import math
import pathlib
import struct
import sys

sys.dont_write_bytecode = True  # Or the folder of the Swift program would hold a __pycache__.

import label  # noqa: E402
import svg  # noqa: E402

TOKENS_SHAPE, TOKENS_METHOD = "smollm2-135m", "dot"
TOKENS = [64, 128, 256, 512, 1024, 2048, 4096]
SHAPES_METHOD, SHAPES_TOKENS = "logra", 256
SHAPES = ["llama-260k", "llama-288", "llama-512", "smollm2-135m", "tinyllama-1.1b"]
QUICK_POINTS = 3


def main():
    """Measures both series, writes the numbers and the chart, prints the table."""
    args = options()
    points = QUICK_POINTS if args.quick else None
    result = {"machine": label.machine(args.threads), "tokens": [], "parameters": []}
    if args.only:
        result = json.loads(args.output.read_text()) | {args.only: []}
    if args.only != "parameters":
        for tokens in TOKENS[:points]:
            rows = max(args.threads, args.tokens_a_point // tokens)
            add(args, result, "tokens", measure(args, TOKENS_SHAPE, TOKENS_METHOD, rows, tokens))
    if args.only != "tokens":
        for shape in SHAPES[:points]:
            add(args, result, "parameters", measure(args, shape, SHAPES_METHOD, args.rows, SHAPES_TOKENS))
    result["exponents"] = {series: exponents(result[series], series) for series in ("tokens", "parameters")}
    label.write_whole(args.output, json.dumps(result, indent=1) + "\n")
    label.write_whole(args.chart, svg.chart(panels(result)))
    print(report(result))


def options():
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1, help="workers, default 1")
    parser.add_argument("--tokens-a-point", type=int, default=4096, help="over tokens: rows hold as many, or one row")
    parser.add_argument("--rows", type=int, default=8, help="over parameters: rows of a point, default 8")
    parser.add_argument("--repeat", type=int, default=2, help="the best of so many, default 2")
    parser.add_argument("--quick", action="store_true", help="the smallest three points of each, in files of their own")
    parser.add_argument("--only", choices=("tokens", "parameters"), help="measure one series again, keep the other")
    parser.add_argument("--output", type=pathlib.Path, help="default .cache/bench/growth.json")
    parser.add_argument("--chart", type=pathlib.Path, help="default docs/images/growth.svg")
    args = parser.parse_args()
    args.output = args.output or label.CACHE / ("growth-quick.json" if args.quick else "growth.json")
    quick_chart, chart = label.CACHE / "growth-quick.svg", label.ROOT / "docs/images/growth.svg"
    args.chart = args.chart or (quick_chart if args.quick else chart)
    return args


def measure(args, shape, method, rows, tokens):
    """One point: the seconds of one sample."""
    print(f"{shape}, {method}: {rows} rows of {tokens} tokens", file=sys.stderr, flush=True)
    model = label.make_model(shape)
    clock = label.ProcessorClock()
    line = label.run_program(
        "label", "--model", model, "--method", method, "--count", rows, "--tokens", tokens, "--rank", label.RANK,
        "--threads", args.threads, "--repeat", args.repeat,
    )
    return {
        "shape": shape,
        "method": method,
        "tokens": tokens,
        "parameters": parameters(model / "model.safetensors"),
        "rows": rows,
        "seconds_per_sample": line["seconds"] / line["rows"],
        "gigaflops": line["gigaflops"],
        "peak_rss_bytes": line["peak_rss_bytes"],
        "kernels": line["kernels"],
        "openblas": line["openblas"],
        **clock.shares(),
    }


def add(args, result, series, point):
    """Appends a point and writes what there is."""
    result[series].append(point)
    label.write_whole(args.output, json.dumps(result, indent=1) + "\n")


def parameters(path):
    """How many numbers the tensors of a safetensors file have, by its header."""
    with open(path, "rb") as file:
        (size,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(size))
    return sum(math.prod(tensor["shape"]) for name, tensor in header.items() if name != "__metadata__")


def exponents(points, key):
    """The exponent of growth over all points, and over the last half of them."""
    pairs = [(point[key], point["seconds_per_sample"]) for point in points]
    return {"all": slope(pairs), "last_half": slope(pairs[(len(pairs) - 1) // 2 :])}


def slope(pairs):
    """Least squares of log y on log x."""
    xs, ys = ([math.log(value) for value in values] for values in zip(*pairs))
    x_mean, y_mean = sum(xs) / len(xs), sum(ys) / len(ys)
    covariance = sum((x - x_mean) * (y - y_mean) for x, y in zip(xs, ys))
    return covariance / sum((x - x_mean) ** 2 for x in xs)


def panels(result):
    """The two panels of the chart."""
    kernels = result["tokens"][0]["kernels"]
    workers = result["machine"]["threads"]
    y_label = f"time of one sample, {workers} worker{'s' if workers > 1 else ''} ({kernels})"
    titles = {
        "tokens": (f"{TOKENS_SHAPE}, {TOKENS_METHOD}: cost against tokens", "tokens of the sample"),
        "parameters": (f"{SHAPES_TOKENS} tokens, {SHAPES_METHOD}: cost against parameters", "parameters of the model"),
    }
    return [
        svg.Panel(
            title, exponent_note(result["exponents"][series]), x_label, y_label,
            [(point[series], point["seconds_per_sample"]) for point in result[series]],
            [(point["tokens"], str(point["tokens"])) for point in result[series]] if series == "tokens" else None,
            count_text, time_text,
        )
        for series, (title, x_label) in titles.items()
    ]


def exponent_note(fitted):
    """What stands under a panel's title."""
    return f"exponent {fitted['all']:.2f}, last half {fitted['last_half']:.2f}; dashed: exponent 1"


def time_text(seconds):
    """A time to three digits."""
    return f"{seconds * 1000:.3g} ms" if seconds < 1 else f"{seconds:.3g} s"


def count_text(count):
    """A number of parameters."""
    size, unit = next(pair for pair in ((1e9, " B"), (1e6, " M"), (1e3, " k"), (1, "")) if count >= pair[0])
    return f"{count / size:.3g}{unit}"


def report(result):
    """The Markdown of both series."""
    return "\n\n".join([*(table(result, series) for series in ("tokens", "parameters")), machine_line(result)])


def table(result, series):
    """One series: its points, then its exponents."""
    lines = [
        "| model | parameters | method | tokens | seconds a sample | GFLOP/s | peak memory, MB |",
        "|---|--:|---|--:|--:|--:|--:|",
    ]
    for point in result[series]:
        lines.append(
            f"| {point['shape']} | {count_text(point['parameters'])} | {point['method']} | {point['tokens']} "
            f"| {point['seconds_per_sample']:.4g} | {point['gigaflops']:.1f} | {point['peak_rss_bytes'] / 1e6:.0f} |"
        )
    fitted = result["exponents"][series]
    text = f"Exponent over {series}: {fitted['all']:.3f}; over the last half of the points {fitted['last_half']:.3f}."
    return "\n".join([*lines, "", text])


def machine_line(result):
    """The machine, and the time that others took."""
    points = result["tokens"] + result["parameters"]
    return label.machine_text(result["machine"], points[0], points)


if __name__ == "__main__":
    try:
        main()
    except label.Failure as failure:
        sys.exit(f"growth.py: {failure}")
    except KeyboardInterrupt:
        sys.exit("growth.py: interrupted")
