"""LogIX (Choe et al. 2024), the reference implementation of LoGra: projected gradients logged to disk.

Its own workflow: watch the block linears, add_lora with random projections, log the gradients without a Hessian, save.
LogIX is used as it is and needs no patch for today's PyTorch and transformers; from outside:

- It knows nn.Linear only, so transformers' Conv1D layers (GPT-2) are replaced by nn.Linear with the same numbers.
- It keeps gradients in memory until 10^9 numbers; here it writes them out at 2^24, which bounds its memory.
"""

import os
import tempfile

import logix
import torch
import yaml

import common

FLUSH = 2**24


def replace_conv1d(model):
    """Puts an equal nn.Linear in the place of each Conv1D, whose weight is the transpose."""
    for name, module in list(model.named_modules()):
        if isinstance(module, common.Conv1D):
            inputs, outputs = common.features(module)
            linear = torch.nn.Linear(inputs, outputs, dtype=module.weight.dtype)
            linear.weight.data = module.weight.data.T.contiguous()
            linear.bias.data = module.bias.data
            parent, _, child = name.rpartition(".")
            setattr(model.get_submodule(parent), child, linear.requires_grad_(False))


def start(model, rank, folder):
    """A LogIX run that logs the projected gradients of the block linears under `folder`."""
    replace_conv1d(model)
    config = os.path.join(folder, "config.yaml")
    with open(config, "w") as file:
        yaml.safe_dump(
            {
                "root_dir": folder,
                "logging": {"flush_threshold": FLUSH},
                "lora": {"init": "random", "rank": rank},
            },
            file,
        )
    run = logix.init(project="peer", config=config)
    prefix = model.base_model_prefix + "."
    names = [prefix + name for name, _ in common.block_linears(model)]
    run.watch(model, type_filter=[torch.nn.Linear], name_filter=names)
    run.add_lora()
    run.setup({"grad": ["log"]})
    run.save(True)
    return run


def projections(model):
    """For each watched layer: its name and LogIX' input and output projections, [rank, in] and [rank, out]."""
    return {
        name: (module.logix_lora_A.weight, module.logix_lora_C.weight.T)
        for name, module in model.named_modules()
        if hasattr(module, "logix_lora_A")
    }


def log_batch(run, model, data_ids, ids, labels):
    """One batch under LogIX: forward, the sum of the rows' mean losses, backward."""
    with run(data_id=data_ids):
        model.zero_grad()
        common.loss_sum(model(ids).logits, labels).backward()


def log_files(run):
    """The paths of the logs that LogIX wrote, its metadata included."""
    with os.scandir(run.log_dir) as entries:
        return [entry.path for entry in entries if entry.name.startswith("log_rank_")]


def main():
    """Measures it."""
    args = common.options(__doc__).parse_args()
    model = common.load_model(args)
    loaded = common.current_rss()
    with tempfile.TemporaryDirectory() as folder:
        session = start(model, args.rank, folder)

        def run(rows, batches):
            for path in log_files(session):
                os.remove(path)
            for batch in batches:
                ids, labels = common.collate([rows[index] for index in batch])
                log_batch(session, model, [str(index) for index in batch], ids, labels)
            session.finalize()

        notes = "add_lora random, grad log, no Hessian, memory-mapped log with its metadata written to disk"
        rows = common.read_rows(args.rows)
        disk = lambda: sum(map(os.path.getsize, log_files(session)))  # noqa: E731
        common.measure(args, "logix", logix.__version__, rows, run, loaded, disk, notes)


if __name__ == "__main__":
    main()
