#!/usr/bin/env python3
"""Thirds of a label file's rows that experiments/instruct-fidelity does not test on, for choosing a recipe.

    python3 folds.py labels.h5 OUTPUT_DIR

Leaves out the 400 rows whose text has the smallest SHA-256 (the test part), deals the others to three folds in hash
order, and writes for each fold k: train-k.h5 (the other two folds) and held-out-k.jsonl (text, source, label).
Needs h5py.
"""

import hashlib
import json
import os
import sys

import h5py
import numpy

TEST_ROWS = 400


def subset(file, rows, path):
    with h5py.File(path, "w") as output:
        for name, value in file.attrs.items():
            kind = h5py.string_dtype() if isinstance(value, str) else file.attrs.get_id(name).dtype
            output.attrs.create(name, value, dtype=kind)
        for name, dataset in file.items():
            output.create_dataset(name, data=dataset[:][rows], dtype=dataset.dtype)


labels, folder = sys.argv[1:]
os.makedirs(folder, exist_ok=True)
with h5py.File(labels) as file:
    hashes = [hashlib.sha256(text).hexdigest() for text in file["texts"][:]]
    kept = numpy.argsort(hashes, kind="stable")[TEST_ROWS:]
    for fold in range(3):
        is_held_out = numpy.arange(len(kept)) % 3 == fold
        subset(file, numpy.sort(kept[~is_held_out]), f"{folder}/train-{fold}.h5")
        with open(f"{folder}/held-out-{fold}.jsonl", "w", encoding="utf-8") as output:
            for row in kept[is_held_out]:
                record = {
                    "text": file["texts"][row].decode(),
                    "source": file["sources"][row].decode(),
                    "label": float(file["labels"][row]),
                }
                output.write(json.dumps(record) + "\n")
