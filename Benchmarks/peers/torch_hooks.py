"""Projected per-sample gradients by hand: the strongest plain PyTorch version.

No parameter takes a gradient. The hooks keep P_i x of each block linear in the forward pass, project its output
gradient to P_o d in the backward pass, and multiply the two for each sample. The output head and the loss are one
function, in slices of tokens, so that the logits never lie in memory as a whole. The results are written to a file.
"""

import os
import tempfile

import torch

import common

SLICE = 256


class HeadLoss(torch.autograd.Function):
    """Weighted cross entropy over the output head; the gradient of the hidden states is made along with the loss."""

    @staticmethod
    def forward(context, hidden, weight, targets, weights):
        """`hidden` is [tokens, width], `weight` [vocabulary, width]; `targets` and `weights` have one item a token."""
        gradient = torch.empty_like(hidden)
        logits = hidden.new_empty(min(SLICE, len(hidden)), len(weight))
        total = 0.0
        for start in range(0, len(hidden), SLICE):
            part = slice(start, min(start + SLICE, len(hidden)))
            z = logits[: part.stop - part.start]
            torch.mm(hidden[part], weight.T, out=z)
            w, target = weights[part, None].to(z.dtype), targets[part, None]
            score = z.gather(1, target).float()
            norm = z.float().logsumexp(1, keepdim=True)
            total = total + ((norm - score) * weights[part, None]).sum()
            z.sub_(norm.to(z.dtype)).exp_().mul_(w)
            z.scatter_add_(1, target, -w)
            torch.mm(z, weight, out=gradient[part])
        context.save_for_backward(gradient)
        return total

    @staticmethod
    def backward(context, upstream):
        """`upstream` is 1: the loss is the end of the graph."""
        (gradient,) = context.saved_tensors
        return gradient, None, None, None


class ProjectedGradients:
    """Hooks on the block linears of a model that collect [samples, rank, rank] for each."""

    def __init__(self, model, rank):
        """Draws the projections and registers the hooks."""
        generator = torch.Generator().manual_seed(0)
        self.names, self.projections, self.gradients = [], {}, {}
        for name, module in common.block_linears(model):
            pair = [
                (torch.randn(width, min(rank, width), generator=generator) / min(rank, width) ** 0.5).to(model.dtype)
                for width in common.features(module)
            ]
            self.names.append(name)
            self.projections[name] = pair
            module.register_forward_hook(self._forward_hook(name, *pair))

    def _forward_hook(self, name, project_in, project_out):
        def hook(_, inputs, output):
            with torch.no_grad():
                kept = inputs[0] @ project_in

            def take(gradient):
                self.gradients[name] = (gradient @ project_out).mT @ kept

            # The graph begins at the first linear layers: nothing before them is worth a backward pass.
            if not output.requires_grad:
                output.requires_grad_(True)
            output.register_hook(take)

        return hook

    def take(self):
        """The gradients of the latest batch, side by side: [samples, everything]."""
        parts = [self.gradients[name].flatten(1) for name in self.names]
        self.gradients.clear()
        return torch.cat(parts, 1)


def batch_loss(model, ids, labels):
    """The sum over rows of the mean loss, through `HeadLoss`. The head must be one linear layer without bias."""
    head = model.get_output_embeddings()
    assert head.bias is None, "the output head has a bias"
    hidden = model.base_model(ids, use_cache=False).last_hidden_state[:, :-1].flatten(0, 1)
    weights = common.token_weights(labels).flatten()
    targets = labels[:, 1:].flatten().clamp(min=0)
    return HeadLoss.apply(hidden, head.weight, targets, weights)


def main():
    """Measures it."""
    args = common.options(__doc__, precisions=("f32", "bf16")).parse_args()
    model = common.load_model(args)
    loaded = common.current_rss()
    hooks = ProjectedGradients(model, args.rank)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "gradients.bin")

        def run(rows, batches):
            with open(path, "wb") as file:
                for batch in batches:
                    ids, labels = common.collate([rows[index] for index in batch])
                    batch_loss(model, ids, labels).backward()
                    file.write(hooks.take().view(torch.uint8).numpy())

        notes = "parameters without gradients, projection in hooks, sliced head and loss, results written to a file"
        rows = common.read_rows(args.rows)
        disk = lambda: os.path.getsize(path)  # noqa: E731
        common.measure(args, "torch-hooks", torch.__version__, rows, run, loaded, disk, notes)


if __name__ == "__main__":
    main()
