#!/usr/bin/env python3
"""h5py reads labels.h5 as docs/formats.md says it is written, and PyTorch agrees with what stands in it (stories260k).

Every attribute and dataset, their types and shapes; the hashes of model and target; losses within 1e-5 and labels
within 1e-4 of transformers in float64, for each label kind that needs nothing but gradients.
"""

import argparse
import contextlib
import hashlib
import json
import math
import pathlib
import subprocess
import sys
import tempfile

import h5py
import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

TARGETS = ["Lily found a little bird in the garden.", "The dog was happy to see his friend Tim again."]
SAMPLES = [
    {"id": "a", "source": "story", "text": "Once upon a time, there was a little girl named Lily."},
    {"id": "b", "source": "story", "text": "Tim had a red ball.\nHe liked to play with it in the park all day."},
    {"id": "c", "source": "other", "text": "The quarterly report shows net income of 12.5 million, up 3%."},
    {"id": "7", "source": "other", "text": "Ünïcödé: cafe\u0301, 東京, 🙂 and so on."},
    {"text": "A cat sat."},
    {"text": "One day, a big dog and a small cat went to the lake. The dog wanted to swim. The cat did not."},
]
# attribute or dataset: what its values must be
ATTRIBUTES = {
    "format": str, "schema_version": int, "alinfik_version": str, "kind": str, "sign": str, "model_sha256": str,
    "target_sha256": str, "target_description": str, "projection": str, "rank": int, "damping": float,
    "precision": str, "seed": int, "max_tokens": int, "command": str,
}
DATASETS = {
    "labels": "f4", "loss": "f4", "gradient_norm": "f4", "token_count": "i4", "truncated": "u1",
    "ids": str, "sources": str, "texts": str,
}
LOSS_TOLERANCE, LABEL_TOLERANCE = 1e-5, 1e-4

failures = []


def check(holds, what):
    if not holds:
        failures.append(what)


def native(value):
    return value.item() if isinstance(value, np.generic) else value


@contextlib.contextmanager
def label(options, folder, name, *extra):
    """A label file of the samples in `folder`, open for reading."""
    output = folder / f"{name}.h5"
    subprocess.run(
        [options.alinfik, "label", "--quiet", "--model", options.model, "--seed", "5",
         "--target", folder / "target.jsonl", "--sample", folder / "sample.jsonl",
         "--target-description", "two stories", "--output", output, *extra],
        check=True,
    )
    with h5py.File(output) as file:
        yield file


def check_projection(file, rank):
    """A projected label is the mean of the labels per target, and the stored gradients are what it is made of."""
    per_target, gradients = file["labels_per_target"][:], file["projected_gradients"][:].astype(np.float64)
    check(per_target.shape == (len(SAMPLES), len(TARGETS)), f"labels_per_target has shape {per_target.shape}")
    check(gradients.shape[0] == len(SAMPLES) and gradients.shape[1] % (rank * rank) == 0,
          f"projected_gradients has shape {gradients.shape}")
    check(native(file.attrs["rank"]) == rank, f"rank is {file.attrs['rank']}")
    scale = float(np.max(np.abs(per_target)))
    close(per_target.mean(axis=1), file["labels"][:], 1e-5, scale, "projected: mean over targets")
    norms = np.linalg.norm(gradients, axis=1)
    # stored as f16: three digits
    close(file["gradient_norm"][:] / norms, np.ones(len(SAMPLES)), 2e-3, 1, "projected: gradient_norm")


def check_layout(file, kind, projection):
    for name, wanted in ATTRIBUTES.items():
        if name not in file.attrs:
            failures.append(f"{kind}: no attribute {name}")
            continue
        value = native(file.attrs[name])
        accepted = (int, float) if wanted is float else wanted
        check(isinstance(value, accepted), f"{kind}: attribute {name} is {value!r}, not {wanted.__name__}")
    for name, wanted in DATASETS.items():
        if name not in file:
            failures.append(f"{kind}: no dataset /{name}")
            continue
        dataset = file[name]
        check(dataset.shape == (len(SAMPLES),), f"{kind}: /{name} has shape {dataset.shape}")
        if wanted is str:
            info = h5py.check_string_dtype(dataset.dtype)
            check(info is not None and info.encoding == "utf-8", f"{kind}: /{name} is {dataset.dtype}, not UTF-8")
        else:
            check(dataset.dtype == np.dtype(wanted), f"{kind}: /{name} is {dataset.dtype}, not {wanted}")
        check(dataset.compression in (None, "gzip"), f"{kind}: /{name} is packed by {dataset.compression}")
    expected = {
        "format": "alinfik-labels", "sign": "positive lowers target loss", "kind": kind, "projection": projection,
        "precision": "f32", "seed": 5, "target_description": "two stories",
    }
    for name, value in expected.items():
        check(native(file.attrs.get(name)) == value, f"{kind}: {name} is {file.attrs.get(name)!r}, not {value!r}")


def check_identity(file, rows, model):
    """Ids, sources, texts, token counts, and the two hashes."""
    rendered = [sample["text"] for sample in SAMPLES]
    ids = [sample.get("id", hashlib.sha256(sample["text"].encode()).hexdigest()[:16]) for sample in SAMPLES]
    check(list(file["ids"].asstr()[:]) == ids, f"ids are {list(file['ids'].asstr()[:])}, not {ids}")
    check(list(file["texts"].asstr()[:]) == rendered, "texts are not the samples' own")
    sources = [sample.get("source", "") for sample in SAMPLES]
    check(list(file["sources"].asstr()[:]) == sources, f"sources are {list(file['sources'].asstr()[:])}")
    counts = [len(ids) for ids, _ in rows[len(TARGETS):]]
    check(file["token_count"][:].tolist() == counts, f"token_count is {file['token_count'][:]}, not {counts}")
    check(not file["truncated"][:].any(), "rows are marked truncated")
    for name in ("model_sha256", "target_sha256"):
        value = file.attrs[name]
        check(len(value) == 64 and set(value) <= set("0123456789abcdef"), f"{name} is {value!r}")
    check(str(model) not in file.attrs["command"], "the command gives away folders")


def expected_numbers(model_path):
    """Token ids, losses, and gradients' inner products from transformers in float64."""
    import torch
    from tokenizers import Tokenizer
    from transformers import LlamaForCausalLM

    from llama_reference import inner, layer_cosine, per_sample_gradients

    model = LlamaForCausalLM.from_pretrained(model_path, attn_implementation="sdpa", dtype=torch.float32)
    model = model.double().eval()
    tokenizer = Tokenizer.from_file(str(pathlib.Path(model_path) / "tokenizer.json"))
    rows = []
    for text in TARGETS + [sample["text"] for sample in SAMPLES]:
        ids = tokenizer.encode(text).ids
        rows.append((ids, [False] + [True] * (len(ids) - 1)))
    losses, gradients = zip(*(per_sample_gradients(model, *row) for row in rows))
    targets, gradients = gradients[: len(TARGETS)], gradients[len(TARGETS):]
    mean = {name: sum(target[name] for target in targets) / len(targets) for name in targets[0]}
    norm = math.sqrt(inner(mean, mean))
    norms = [math.sqrt(inner(gradient, gradient)) for gradient in gradients]
    dots = [inner(mean, gradient) for gradient in gradients]
    return rows, {
        "loss": losses[len(TARGETS):],
        "gradient_norm": norms,
        "dot": dots,
        "cosine": [dot / (norm * own) for dot, own in zip(dots, norms)],
        "layer-cosine": [layer_cosine(mean, gradient) for gradient in gradients],
        "per_target": [[inner(target, gradient) for target in targets] for gradient in gradients],
    }


def close(found, wanted, tolerance, scale, what):
    error = float(np.max(np.abs(np.asarray(found, dtype=np.float64) - np.asarray(wanted)))) / scale
    print(f"  {what}: worst error {error:.2g}")
    check(error <= tolerance, f"{what}: worst error {error:.2g}, allowed {tolerance:g}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--alinfik", required=True)
    parser.add_argument("--model", required=True, help="directory of stories260k")
    options = parser.parse_args()
    rows, expected = expected_numbers(options.model)

    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        for name, records in (("target", [{"text": text} for text in TARGETS]), ("sample", SAMPLES)):
            lines = "".join(json.dumps(record) + "\n" for record in records)
            (folder / f"{name}.jsonl").write_text(lines, encoding="utf-8")
        for kind in ("dot", "cosine", "layer-cosine"):
            with label(options, folder, kind, "--kind", kind, "--gradient-norm") as file:
                check_layout(file, kind, "none")
                if failures:
                    continue
                scale = float(np.max(np.abs(expected[kind])))
                close(file["loss"][:], expected["loss"], LOSS_TOLERANCE, 1, f"{kind}: loss")
                close(file["labels"][:], expected[kind], LABEL_TOLERANCE, scale, f"{kind}: labels")
                close(file["gradient_norm"][:] / expected["gradient_norm"], np.ones(len(SAMPLES)),
                      LABEL_TOLERANCE, 1, f"{kind}: gradient_norm")
                check_identity(file, rows, options.model)
        projected = ("--projection", "random", "--rank", "8", "--per-target", "--gradient-norm",
                     "--store-gradients")
        with label(options, folder, "projected", *projected) as file:
            check_layout(file, "dot", "random")
            check_projection(file, rank=8)
    if failures:
        sys.exit("FAIL\n  " + "\n  ".join(failures))


if __name__ == "__main__":
    main()
