"""Where should the centres of a head's Gaussian units lie? centres.py FEATURES TOKENIZER LABELS.h5... > results-centres.json

FEATURES is what `alinfik train --size base --features` kept. Two of five folds of the label files' rows, all or 1,750 of the others
to learn from; exact kernel ridge regression beside Nyström's approximation with centres drawn from the rows' covariance, means of
rows that lie close together, and rows. Overall Spearman, mean within source, recall@10 %, by gamma (0.1, 0.3) and penalty 0.1.
"""
import hashlib
import json
import struct
import sys

import h5py
import numpy as np
from scipy.linalg import solve
from scipy.stats import norm, rankdata, spearmanr
from tokenizers import Tokenizer

features_path, tokenizer_path, *label_paths = sys.argv[1:]
SYSTEM = "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n"
LIMIT, WIDTH, STATISTICS = 192, 576, 10
tokenizer = Tokenizer.from_file(tokenizer_path)


def kept_features():
    """By the key of a text's tokens and marks (docs/formats.md)."""
    data = open(features_path, "rb").read()
    length = struct.unpack_from("<I", data, 12)[0]
    count = json.loads(data[16 : 16 + length])["features"]
    start, size = 16 + length + 4, 32 + 4 * count + 4
    return {
        data[at : at + 32]: np.frombuffer(data, np.float32, count, at + 32)
        for at in range(start, len(data) - size + 1, size)}


def key(record):
    """The closing line end is not scored."""
    head = f"{SYSTEM}<|im_start|>user\n{record['prompt']}<|im_end|>\n<|im_start|>assistant\n"
    a = tokenizer.encode(head, add_special_tokens=False).ids
    b = tokenizer.encode(record["completion"] + "<|im_end|>\n", add_special_tokens=False).ids
    marks = ([0] * len(a) + [1] * (len(b) - 1) + [0])[:LIMIT]
    tokens = np.array((a + b)[:LIMIT], np.int32)
    return hashlib.sha256(tokens.tobytes() + bytes(marks)).hexdigest()[:32].encode()


kept, rows = kept_features(), []
for path in label_paths:
    with h5py.File(path) as file:
        for record, label, source, text in zip(*(file[name][:] for name in ("records", "labels", "sources", "texts"))):
            features = kept.get(key(json.loads(record)))
            if features is not None:
                rows.append((hashlib.sha256(text).hexdigest(), features, float(label), source.decode()))
rows.sort(key=lambda row: row[0])
labels, sources = np.array([row[2] for row in rows]), np.array([row[3] for row in rows])
features = np.stack([row[1] for row in rows])
count, p = features.shape
deviations = np.where(features.std(0) < 1e-12, np.inf, features.std(0))
z = np.clip((features - features.mean(0)) / deviations, -10, 10).astype(np.float32)
scales = np.r_[
    np.full(3 * WIDTH, np.sqrt(p / WIDTH)), np.full(STATISTICS, np.sqrt(p / STATISTICS / 3)), np.sqrt(p * 2 / 3)]
linear = z[:, -STATISTICS - 1 :] / np.sqrt(10)
z = (z * scales).astype(np.float32)
fold, tested = np.arange(count) % 5, (0, 1)
generator = np.random.default_rng(0)


def distances(x, y):
    return ((x**2).sum(1)[:, None] + (y**2).sum(1)[None] - 2 * x @ y.T).clip(0) / p


def measure(outputs):
    chosen = np.isin(fold, tested)
    o, l, s = outputs[chosen], labels[chosen], sources[chosen]
    within = [spearmanr(o[s == name], l[s == name])[0] for name in sorted(set(s))]
    k = len(l) // 10
    found = set(np.argsort(-o)[:k]) & set(np.argsort(-l)[:k])
    return [round(float(v), 3) for v in (spearmanr(o, l)[0], np.mean(within), len(found) / k)]


def outputs(most, predict):
    """`predict` gets training rows, their targets and test rows."""
    result = np.zeros(count)
    for f in tested:
        test, train = np.where(fold == f)[0], np.where(fold != f)[0]
        train = train[:: max(1, len(train) // most)][:most]
        targets = norm.ppf((rankdata(labels[train]) - 0.5) / len(train))
        result[test] = targets.mean() + predict(train, targets - targets.mean(), test)
    return measure(result)


def exact(gamma, penalty=0.1):
    def predict(train, targets, test):
        kernel = np.exp(-gamma * distances(z[train], z[train])) + linear[train] @ linear[train].T
        weights = solve(kernel + penalty * np.eye(len(train)), targets, assume_a="pos")
        return (np.exp(-gamma * distances(z[test], z[train])) + linear[test] @ linear[train].T) @ weights

    return predict


def nystrom(centres_of, gamma, penalty=0.1):
    def predict(train, targets, test):
        centres = centres_of(train)
        basis, asked = (
            np.c_[np.exp(-gamma * distances(z[part], centres)), linear[part]].astype(float) for part in (train, test))
        gram = basis.T @ basis
        gram += penalty * np.eye(len(gram))
        gram[: len(centres), : len(centres)] += penalty * (np.exp(-gamma * distances(centres, centres)) - np.eye(len(centres)))
        gram += 1e-6 * np.trace(gram) / len(gram) * np.eye(len(gram))
        return asked @ solve(gram, basis.T @ targets, assume_a="pos")

    return predict


def drawn(number):
    def centres(train):
        factor = np.linalg.cholesky(np.cov(z[train].T) + 1e-3 * np.eye(p)).T.astype(np.float32)
        return generator.standard_normal((number, p)).astype(np.float32) @ factor

    return centres


def means(number, size):
    def centres(train):
        chosen = generator.permutation(train)[:number]
        nearest = np.argpartition(distances(z[chosen], z[train]), size - 1, axis=1)[:, :size]
        return z[train][nearest].mean(1)

    return centres


results = {}


def report(name, most, predict):
    results[name] = [outputs(most, predict(gamma)) for gamma in (0.1, 0.3)]
    print(name, results[name], file=sys.stderr, flush=True)


for most in (1750, count):
    trained = f"{min(most, count * 4 // 5)} rows"
    report(f"{trained}, exact", most, exact)
    for number in (1024, 2048):
        report(f"{trained}, {number} draws", most, lambda gamma: nystrom(drawn(number), gamma))
        for size in (1, 4, 8):
            name = f"{number} means of {size}" if size > 1 else f"{number} rows"
            report(f"{trained}, {name}", most, lambda gamma: nystrom(means(number, size), gamma))
print(json.dumps(results, indent=1))
