#!/usr/bin/env python3
"""A label file without the rows of one source, and that source's texts: PREFIX.h5 and PREFIX.jsonl.

    without_source.py labels.h5 SOURCE PREFIX
"""

import json
import pathlib
import sys

import h5py
import numpy

path, source, prefix = sys.argv[1:]
with h5py.File(path) as file, h5py.File(prefix + ".h5", "w") as output:
    kept = numpy.array([value.decode() != source for value in file["sources"][:]])
    for name, value in file.attrs.items():
        kind = h5py.string_dtype() if isinstance(value, str) else file.attrs.get_id(name).dtype
        output.attrs.create(name, value, dtype=kind)
    for name, dataset in file.items():
        output.create_dataset(name, data=dataset[:][kept], dtype=dataset.dtype)
    rows = [
        {"id": i.decode(), "text": text.decode(), "label": float(label), "source": source}
        for i, text, label in zip(file["ids"][:][~kept], file["texts"][:][~kept], file["labels"][:][~kept])
    ]
pathlib.Path(prefix + ".jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
