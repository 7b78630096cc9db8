"""What a valuator of the whole model says of rows whose features a training has kept: scored.py VALUATOR FEATURES TOKENIZER ROWS

Prints the rows with `alinfik_score`, as `alinfik score` would in an hour; `train --teacher` holds some of them against the
valuator itself.
"""
import hashlib
import json
import pathlib
import struct
import sys

import numpy as np
from safetensors.numpy import load_file

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
import teacher  # noqa: E402

valuator, features_path, tokenizer, rows = sys.argv[1:]
card = json.loads(pathlib.Path(valuator, "alinfik.json").read_text())
head = load_file(pathlib.Path(valuator, "head.safetensors"))
read = teacher.Reader(tokenizer, card["max_tokens"])

# RowFile: magic, version, the configuration and its checksum; rows of key, features and checksum.
data = pathlib.Path(features_path).read_bytes()
size = struct.unpack_from("<I", data, 12)[0]
width = json.loads(data[16 : 16 + size])["features"]
kept = {}
for at in range(16 + size + 4, len(data) - (32 + 4 * width + 4) + 1, 32 + 4 * width + 4):
    kept[data[at : at + 32].decode()] = np.frombuffer(data, "<f4", width, at + 32)


def key(row):
    """As FeatureFile has it: tokens, and which of them are scored (not the line end after the end of the turn)."""
    ids, split = read(row)
    marks = [i >= split and i < split + scored(row) for i in range(len(ids))]
    return hashlib.sha256(np.array(ids, "<i4").tobytes() + bytes(marks)).hexdigest()[:32]


def scored(row):
    return len(read.tokenizer.encode(row["completion"] + "<|im_end|>", add_special_tokens=False).ids)


lines = [json.loads(line) for line in open(rows)]
keys = [key(row) for row in lines]
found = [(row, kept[key]) for row, key in zip(lines, keys) if key in kept]
print(f"{len(found)} of {len(lines)} rows have features", file=sys.stderr)
x = np.stack([features for _, features in found]).astype(float)
z = np.clip((x - head["means"]) / head["deviations"], -10, 10)
scaled, centres = z * head["scales"], head["centres"].astype(float)
squares = (scaled**2).sum(1)[:, None] + (centres**2).sum(1)[None] - 2 * scaled @ centres.T
units = np.exp(-float(head["bias_gamma"][1]) / width * np.maximum(0, squares))
linear = len(head["weights"]) - len(centres)
raw = head["bias_gamma"][0] + units @ head["weights"][: len(centres)]
raw += z[:, width - linear :] @ head["weights"][len(centres) :] / np.sqrt(10)
inputs, outputs = (np.array(card["calibration"][name]) for name in ("inputs", "outputs"))
slope = card["calibration"]["outer_slope"]
values = np.interp(raw, inputs, outputs) + slope * (np.minimum(0, raw - inputs[0]) + np.maximum(0, raw - inputs[-1]))
for (row, _), value in zip(found, values):
    print(json.dumps(row | {"alinfik_score": float(value)}, ensure_ascii=False))
