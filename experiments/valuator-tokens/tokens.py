"""What every scored token of some rows is worth: tokens.py GGUF TOKENIZER TARGET ROWS LABELS ROWS_A_SOURCE OUTPUT

`value`: the label's part of each predicted token, `v_t = d l_t / dG = <grad l_t, G>`, whose mean is the row's label, by a central
difference of two forward passes at theta +- eps G. `share`: the part of each position by where the weights are used,
`c_t = sum over layers (G_l x_t) . d_t`, whose sum is the label too, from one forward and backward pass. Beside them each
prediction's loss, entropy, error `d = E^T (p - y)` and last state, and each position's state after layer 20.
"""
import json
import pathlib
import sys
import time

import h5py
import numpy as np
import torch

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
import teacher  # noqa: E402

gguf, tokenizer_path, target_path, rows_path, labels_path, rows_a_source, output = sys.argv[1:]
torch.set_num_threads(2)
weights = teacher.weights(gguf)
labels = h5py.File(labels_path)
read = teacher.Reader(tokenizer_path, int(labels.attrs["max_tokens"]))


def language_model():
    return teacher.language_model(*weights).requires_grad_(False)


def linears(model):
    return [part for name, part in model.named_modules() if isinstance(part, torch.nn.Linear) and "layers." in name]


def losses(logits, ids, split):
    return torch.nn.functional.cross_entropy(logits, torch.tensor(ids[split:]), reduction="none")


def forward(model, ids, split, embedded=None):
    """Losses, their logits, the last states before them, and all states after layer 20."""
    given = {"inputs_embeds": embedded} if embedded is not None else {"input_ids": torch.tensor([ids])}
    out = model.model(output_hidden_states=True, **given)
    h = out.last_hidden_state[0, split - 1 : -1]
    logits = h @ embedding.T
    return losses(logits, ids, split), logits, h, out.hidden_states[20][0]


model = language_model()
embedding = model.model.embed_tokens.weight
layers = linears(model)
targets = [read(json.loads(line)) for line in open(target_path)]
for layer in layers:
    layer.weight.requires_grad_(True)
for ids, split in targets:
    (forward(model, ids, split)[0].mean() / len(targets)).backward()
G = [layer.weight.grad.clone() for layer in layers]
for layer in layers:
    layer.weight.requires_grad_(False)
    layer.weight.grad = None
# A step that changes the target's loss by 0.02.
step = 0.02 / sum(float((g * g).sum()) for g in G)
ahead, behind = language_model(), language_model()
for other, sign in ((ahead, 1), (behind, -1)):
    for layer, g in zip(linears(other), G):
        layer.weight.add_(g, alpha=sign * step)

kept = {}


def watch(place):
    def hook(_, inputs, result):
        kept[place] = [inputs[0].detach()]
        result.register_hook(kept[place].append)

    return hook


rows = [json.loads(line) for line in open(rows_path)]
sources = np.array([source.decode() for source in labels["sources"][:]])
chosen = sorted(i for s in sorted(set(sources)) for i in np.where(sources == s)[0][: int(rows_a_source)])
columns = {name: [] for name in ("row", "split", "count")}
tokens = {name: [] for name in ("ids", "value", "share", "loss", "entropy", "error", "last", "state")}
started = time.time()
for done, row in enumerate(chosen):
    ids, split = read(rows[row])
    if split >= len(ids):
        continue
    hooks = [layer.register_forward_hook(watch(place)) for place, layer in enumerate(layers)]
    embedded = embedding[torch.tensor([ids])].clone().requires_grad_(True)
    loss, logits, h, states = forward(model, ids, split, embedded)
    loss.mean().backward()
    for hook in hooks:
        hook.remove()
    with torch.no_grad():
        share = sum(((kept[place][0][0] @ g.T) * kept[place][1][0]).sum(-1) for place, g in enumerate(G))
        value = (forward(ahead, ids, split)[0] - forward(behind, ids, split)[0]) / (2 * step)
        logs = torch.log_softmax(logits, 1)
        error = logs.exp() @ embedding - embedding[torch.tensor(ids[split:])]
    for name, number in (("row", row), ("split", split), ("count", len(ids))):
        columns[name].append(number)
    found = {
        "ids": np.array(ids), "value": value, "share": share, "loss": loss.detach(),
        "entropy": -(logs.exp() * logs).sum(1).detach(), "error": error.half(), "last": h.detach().half(),
        "state": states.detach().half()}
    for name, numbers in found.items():
        tokens[name].append(np.asarray(numbers))
    if done % 50 == 0:
        print(f"{done} of {len(chosen)} rows, {time.time() - started:.0f} s", flush=True)
np.savez(
    output, label=labels["labels"][:][columns["row"]], source=sources[columns["row"]], **columns,
    **{name: np.concatenate(numbers) for name, numbers in tokens.items()})
