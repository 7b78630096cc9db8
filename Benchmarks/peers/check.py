"""Checks the peers on a tiny random model: their projected gradients are the projections of autograd's own.

For three sequences of different lengths, one sample at a time, the weight gradient of each block linear is taken from
autograd and projected on both sides. Peers that are not installed are skipped. Exits with 1 where one is wrong.
"""

import copy
import os
import sys
import tempfile

import numpy as np

import common
import torch
import torch_hooks
import transformers

ROWS = [[1, 5, 9, 30, 7, 2, 44, 21, 3], [4, 4, 8, 15, 16, 23, 42], [10, 20, 30, 40, 50, 60, 11, 12, 13, 14, 15, 16]]
RANK = 8
TOLERANCE = 1e-5


def tiny_llama():
    """Two layers of width 32."""
    config = transformers.LlamaConfig(
        hidden_size=32, num_hidden_layers=2, intermediate_size=48, num_attention_heads=4, num_key_value_heads=2,
        vocab_size=64, initializer_range=0.3,
    )
    return transformers.LlamaForCausalLM(config)


def tiny_gpt2():
    """Two layers of width 32; its linear layers are Conv1D."""
    config = transformers.GPT2Config(n_embd=32, n_layer=2, n_head=4, vocab_size=64, n_positions=32)
    return transformers.GPT2LMHeadModel(config)


def prepare(model):
    """As `common.load_model` leaves a model."""
    torch.manual_seed(0)
    model.config.use_cache = False
    return model.eval().requires_grad_(False)


def weight_gradients(model):
    """For each row, the gradient of its mean loss by each block linear as [out, in]; the mean is transformers' own."""
    model = copy.deepcopy(model).requires_grad_(True)
    rows = []
    for row in ROWS:
        model.zero_grad()
        ids = torch.tensor([row])
        model(ids, labels=ids).loss.backward()
        rows.append(
            {
                name: module.weight.grad.T.clone() if isinstance(module, common.Conv1D) else module.weight.grad.clone()
                for name, module in common.block_linears(model)
            }
        )
    return rows


def difference(found, expected):
    """The largest difference between two lists of {name: gradient}, relative to the largest expected number."""
    worst = 0.0
    for left, right in zip(found, expected, strict=True):
        assert left.keys() == right.keys(), left.keys() ^ right.keys()
        for name, value in right.items():
            worst = max(worst, (left[name] - value).abs().max().item() / value.abs().max().item())
    return worst


def project(gradients, pairs):
    """Projects {name: [out, in]} of each row; `pairs` has [in, rank] and [out, rank] of each name."""
    return [{name: pairs[name][1].T @ value @ pairs[name][0] for name, value in row.items()} for row in gradients]


def check_hooks(model, gradients):
    """torch_hooks.py against autograd."""
    hooks = torch_hooks.ProjectedGradients(model, RANK)
    ids, labels = common.collate(ROWS)
    loss = torch_hooks.batch_loss(model, ids, labels)
    loss.backward()
    apart = abs(loss.item() - common.loss_sum(model(ids).logits, labels).item())
    assert apart < TOLERANCE, f"the two losses are {apart} apart"
    hooks.gradients, kept = {}, hooks.gradients
    found = [{name: kept[name][index] for name in hooks.names} for index in range(len(ROWS))]
    return difference(found, project(gradients, hooks.projections))


def check_logix(model, gradients):
    """What LogIX wrote to disk against autograd under LogIX' own projections."""
    import logix

    import logix_peer

    logix._LOGIX_INSTANCE = None
    with tempfile.TemporaryDirectory() as folder:
        run = logix_peer.start(model, RANK, folder)
        pairs = {
            name.removeprefix(model.base_model_prefix + "."): (a.T, c.T)
            for name, (a, c) in logix_peer.projections(model).items()
        }
        ids, labels = common.collate(ROWS)
        logix_peer.log_batch(run, model, [str(index) for index in range(len(ROWS))], ids, labels)
        run.finalize()
        logged = dict(run.build_log_dataset()[index] for index in range(len(ROWS)))
    found = [
        {name: logged[str(index)][f"{model.base_model_prefix}.{name}.logix_lora_B"]["grad"] for name in pairs}
        for index in range(len(ROWS))
    ]
    return difference(found, project(gradients, pairs))


def check_bergson(model, gradients):
    """What Bergson wrote to its index against autograd under Bergson's own projections."""
    import bergson

    import bergson_peer

    bergson_peer.start_graph(model)
    processor = bergson.GradientProcessor(projection_dim=RANK)
    with tempfile.TemporaryDirectory() as folder:
        path = bergson_peer.collect(model, processor, ROWS, [[0, 1, 2]], os.path.join(folder, "index"))
        index = torch.from_numpy(np.array(bergson.load_gradients(path)))
    parts = index.split(RANK * RANK, dim=1)
    names = [name for name, _ in common.block_linears(model)]
    found = [
        {name: part[row].view(RANK, RANK) for name, part in zip(names, parts, strict=True)} for row in range(len(ROWS))
    ]
    matrices = {(name, side): value for (name, side, _), value in processor._projection_matrices.items()}
    pairs = {name: (matrices[name, "right"].T, matrices[name, "left"].T) for name in names}
    return difference(found, project(gradients, pairs))


def main():
    """Runs every check, prints what each found."""
    wrong = False
    for build in (tiny_llama, tiny_gpt2):
        torch.manual_seed(1)
        model = prepare(build())
        gradients = weight_gradients(model)
        for check in (check_hooks, check_logix, check_bergson):
            label = f"{build.__name__} {check.__name__}"
            try:
                found = check(copy.deepcopy(model), gradients)
            except ModuleNotFoundError as error:
                print(f"{label}: skipped, {error}", file=sys.stderr)
                continue
            verdict = "ok" if found < TOLERANCE else "WRONG"
            wrong = wrong or found >= TOLERANCE
            print(f"{label}: {verdict}, relative difference {found:.2e}", file=sys.stderr)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
