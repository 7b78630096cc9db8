"""The least that any plain PyTorch method for per-sample gradients costs: forward and backward with weight gradients.

At batch 1 the weight gradients are those of one sample, as a plain method needs them. At larger batches they are
summed over the batch, which is no per-sample gradient at all, yet a bound from below; the fastest is reported.
Nothing is projected or stored.
"""

import torch

import common


def main():
    """Measures it."""
    args = common.options(__doc__, precisions=("f32", "bf16")).parse_args()
    model = common.load_model(args)
    for _, module in common.block_linears(model):
        module.weight.requires_grad_(True)
    loaded = common.current_rss()

    def run(rows, batches):
        for batch in batches:
            ids, labels = common.collate([rows[index] for index in batch])
            common.loss_sum(model(ids).logits, labels).backward()
            model.zero_grad(set_to_none=True)

    notes = "forward and backward with the weight gradients of the block linears; nothing projected or stored"
    rows = common.read_rows(args.rows)
    common.measure(args, "torch-backward", torch.__version__, rows, run, loaded, lambda: None, notes)


if __name__ == "__main__":
    main()
