"""Bergson: per-sample gradients through its GradientCollector, projected on both sides, written to its index.

Bergson's own workflow without its process launcher: a GradientProcessor with a projection, and collect_gradients over
a dataset in given batches. Two choices are in Bergson's favour:

- Its loader lets the input embedding take a gradient, so that there is a graph at all. Here the embedding's output
  starts the graph, which saves the gradient of the embedding, and of the output head where they are tied.
- One processor serves every run, so that drawing its projections is no part of the measurement.

Its projections are of random signs; the cost is that of any dense projection.
"""

import os
import shutil
import tempfile

import bergson
import datasets
import torch

import common

datasets.disable_progress_bars()


def collect(model, processor, rows, batches, folder):
    """Writes the gradients of the rows in `batches` to an index, in the order of `batches`; returns its folder.

    The column of lengths is there because Bergson drops the token ids at the end, and a dataset without any column
    loses its number of rows.
    """
    order = [index for batch in batches for index in batch]
    chosen = [rows[index] for index in order]
    data = datasets.Dataset.from_dict({"input_ids": chosen, "length": [len(row) for row in chosen]})
    places = iter(range(len(order)))
    config = bergson.IndexConfig(run_path=folder, projection_dim=processor.projection_dim, loss_reduction="mean")
    config.partial_run_path.mkdir(parents=True)
    bergson.collect_gradients(
        model,
        data,
        processor,
        config,
        batches=[[next(places) for _ in batch] for batch in batches],
        target_modules={name for name, _ in common.block_linears(model)},
    )
    return config.partial_run_path


def start_graph(model):
    """Lets the embedding's output start the graph; Bergson also insists on some parameter, so one vector is let."""
    model.enable_input_require_grads()
    next(value for value in model.base_model.parameters() if value.ndim == 1).requires_grad_(True)


def main():
    """Measures it."""
    args = common.options(__doc__, precisions=("f32", "bf16")).parse_args()
    model = common.load_model(args)
    start_graph(model)
    processor = bergson.GradientProcessor(projection_dim=args.rank)
    loaded = common.current_rss()
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "index")

        def run(rows, batches):
            shutil.rmtree(path + ".part", ignore_errors=True)
            collect(model, processor, rows, batches, path)

        notes = "collect_gradients, random signs, index written to disk"
        rows = common.read_rows(args.rows)
        disk = lambda: sum(  # noqa: E731
            os.path.getsize(os.path.join(at, name)) for at, _, names in os.walk(path + ".part") for name in names
        )
        common.measure(args, "bergson", bergson.__version__, rows, run, loaded, disk, notes)


if __name__ == "__main__":
    main()
