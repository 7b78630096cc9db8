"""What the fixtures of every language model hold.

- golden.json         {"targets": [ids], "watched": [names],
                       "samples": [{"id", "ids", "scored", "loss", "dot", "gradient_norm", "cosine",
                                    "layer_cosine", "dot_per_target"}]}
- golden.safetensors  F32 tensors named `<sample id>/<weight name>`: the gradient of that sample's loss

`scored[t]` says that the prediction of token t (from the tokens before it) counts; position 0 never does.
`loss` is the mean over the scored tokens. The targets are the first two samples, G is the mean of their
gradients over every linear layer of the blocks, and `dot` is <G, g>; `cosine` is <G, g> / (|G| |g|) and
`layer_cosine` is the sum over layers of the layer's cosine.
"""

import json
import math

import torch
from safetensors.torch import save_file

from llama_reference import inner, layer_cosine


def measure(gradients_of, samples, keep=None):
    """Losses, labels and gradients of `samples`: what goes into golden.json and golden.safetensors.

    `gradients_of(ids, scored)` gives a loss and its gradient, a tensor for each watched name. `keep` maps a sample's index and a weight's name to whether its gradient is stored.
    """
    gradients = []
    for sample in samples:
        sample["loss"], gradient = gradients_of(sample["ids"], sample["scored"])
        gradients.append(gradient)
    targets, watched = gradients[:2], list(gradients[0])
    mean = {name: sum(target[name] for target in targets) / len(targets) for name in watched}

    for sample, gradient in zip(samples, gradients):
        norm = math.sqrt(inner(gradient, gradient))
        sample["dot"] = inner(mean, gradient)
        sample["gradient_norm"] = norm
        sample["cosine"] = sample["dot"] / (norm * math.sqrt(inner(mean, mean)))
        sample["layer_cosine"] = layer_cosine(mean, gradient)
        sample["dot_per_target"] = [inner(target, gradient) for target in targets]
    stored = {
        f"{sample['id']}/{name}": gradient[name].float().contiguous()
        for index, (sample, gradient) in enumerate(zip(samples, gradients))
        for name in watched
        if keep is None or keep(index, name)
    }
    golden = {
        "targets": [sample["id"] for sample in samples[:2]],
        "watched": watched,
        "samples": samples,
    }
    return golden, stored


def random_samples(vocabulary, lengths, generator):
    """Token sequences of these lengths; the loss masks: all, the second half, scattered, one token, all ..."""
    samples = []
    for index, length in enumerate(lengths):
        ids = torch.randint(0, vocabulary, (length,), generator=generator).tolist()
        masks = (
            [True] * length,
            [position >= length // 2 for position in range(length)],
            [position % 3 != 0 for position in range(length)],
            [position == length - 1 for position in range(length)],
        )
        scored = list(masks[index % len(masks)])
        scored[0] = False
        samples.append({"id": f"s{index}", "ids": ids, "scored": scored})
    return samples


def write_golden(folder, golden, stored):
    lines = ",\n".join("    " + json.dumps(sample) for sample in golden["samples"])
    text = (
        "{\n"
        f'  "targets": {json.dumps(golden["targets"])},\n'
        f'  "watched": {json.dumps(golden["watched"])},\n'
        f'  "samples": [\n{lines}\n  ]\n'
        "}\n"
    )
    (folder / "golden.json").write_text(text)
    save_file(stored, folder / "golden.safetensors")
