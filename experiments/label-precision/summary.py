"""Rank agreement of bf16 with f32 labels, and of labels from int8 gradients with those of the same run in f32."""

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


def stored_labels(path, targets):
    """Labels from the int8 store alone, and those that the run took before it rounded; the first rows are targets."""
    with h5py.File(path) as file:
        numbers = file["projected_gradients"][:].astype(np.float32)
        scales = file["projected_gradient_scales"][:]
        values = numbers * np.repeat(scales, 64, axis=1)[:, : numbers.shape[1]]
        labels, sources = file["labels"][targets:], file["sources"][targets:].astype(str)
    width = {"int8_bytes": numbers.shape[1] + 4 * scales.shape[1], "f16_bytes": 2 * numbers.shape[1]}
    return agreement(labels, values[targets:] @ values[:targets].mean(axis=0), sources) | width


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
print(json.dumps({"bf16_against_f32": precision, "int8_against_f32": stored_labels(f"{runs}/int8.h5", targets)}, indent=1))
