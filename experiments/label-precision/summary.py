"""Rank agreement of bf16 with f32 labels, and of labels from int8 with those from f16 gradients."""

import json
import sys

import h5py
import numpy as np
from scipy.stats import spearmanr


def agreement(a, b, sources):
    within = [spearmanr(a[sources == s], b[sources == s])[0] for s in np.unique(sources)]
    return {
        "rows": len(a),
        "spearman": float(spearmanr(a, b)[0]),
        "within_source": float(np.mean(within)),
        "within_source_smallest": float(np.min(within)),
        "largest_difference_in_sd": float(np.max(np.abs(a - b)) / np.std(a)),
    }


def gradients(file):
    numbers = file["projected_gradients"][:].astype(np.float32)
    if "projected_gradient_scales" in file:
        numbers *= np.repeat(file["projected_gradient_scales"][:], 64, axis=1)[:, : numbers.shape[1]]
    return numbers


def stored_labels(path, targets):
    """Labels of the samples from the stored gradients alone; the first `targets` rows are the targets'."""
    with h5py.File(path) as file:
        values = gradients(file)
        bytes_kept = sum(
            file[name].shape[1] * file[name].dtype.itemsize
            for name in ("projected_gradients", "projected_gradient_scales") if name in file
        )
        sources = file["sources"][:].astype(str)
    return values[targets:] @ values[:targets].mean(axis=0), sources[targets:], bytes_kept


def same_rows(path, others):
    """The f32 labels of the rows of another file."""
    with h5py.File(path) as f32, h5py.File(others) as file:
        assert f32.attrs["target_sha256"] == file.attrs["target_sha256"], "labels of other targets"
        places = {row: place for place, row in enumerate(f32["ids"][:])}
        rows = [places[row] for row in file["ids"][:]]
        return f32["labels"][:][rows], file["labels"][:], file["sources"][:].astype(str)


runs, f32 = sys.argv[1:]
precision = agreement(*same_rows(f32, f"{runs}/bf16.h5"))
targets = sum(1 for _ in open(f"{runs}/target.jsonl"))
half, sources, half_bytes = stored_labels(f"{runs}/f16.h5", targets)
byte, _, byte_bytes = stored_labels(f"{runs}/int8.h5", targets)
storage = agreement(half, byte, sources) | {"f16_bytes": int(half_bytes), "int8_bytes": int(byte_bytes)}
print(json.dumps({"bf16_against_f32": precision, "int8_against_f16": storage}, indent=1))
