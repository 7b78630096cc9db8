"""Do tokens' values or losses, learnt token by token, help to rank rows? fit.py TOKENS.npz GGUF > results.json

Five folds of rows. Random Fourier features and a linear part, ridge regression over the tokens of the other folds; a row's
prediction is the mean over its tokens. Then Gaussian kernel ridge over rows as in valuator-features, without and with those
predictions. Overall Spearman, mean within source, recall@10 %.
"""
import json
import pathlib
import sys

import numpy as np
from scipy.stats import norm, rankdata, spearmanr

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "scripts/peers"))
import gguf_reader  # noqa: E402

data = np.load(sys.argv[1])
embedding = gguf_reader.read(sys.argv[2])[1]["token_embd.weight"].astype(np.float32)
split, count, label, source = data["split"], data["count"], data["label"].astype(float), data["source"]
rows = len(label)
scored = count - split
first, first_scored = np.r_[0, np.cumsum(count)], np.r_[0, np.cumsum(scored)]
owner = np.repeat(np.arange(rows), scored)
place = np.concatenate([first[i] + np.arange(split[i], count[i]) for i in range(rows)])
fold = np.random.default_rng(0).permutation(rows) % 5
generator = np.random.default_rng(1)
ids = data["ids"]


def standardised(x):
    return ((x - x.mean(0)) / (x.std(0) + 1e-6)).astype(np.float32)


def mean_of_rows(values):
    return np.stack([values[first_scored[i] : first_scored[i + 1]].mean(0) for i in range(rows)])


def copies():
    """Of each scored token: was it there before, how long ago, and with its neighbour, and with two; its id's size."""
    result = []
    for i in range(rows):
        text = ids[first[i] : first[i + 1]]
        seen, pairs, triples = {}, set(), set()
        for j, token in enumerate(text):
            if j >= split[i]:
                distance = np.log1p(j - seen[token]) if token in seen else 6
                pair, triple = (text[j - 1], token), (text[j - 2], text[j - 1], token)
                result.append([token in seen, distance, pair in pairs, triple in triples, np.log1p(token)])
            seen[token] = j
            pairs.add((text[j - 1], token) if j else ())
            triples.add((text[j - 2], text[j - 1], token) if j > 1 else ())
    return np.array(result, np.float32)


def tokenwise(blocks, linear, targets, gamma, penalty, units=2048):
    """What the other folds' tokens predict of each, row by row the same weight."""
    phase = generator.uniform(0, 2 * np.pi, units).astype(np.float32)
    for x, weight in blocks:
        scale = np.sqrt(2 * gamma * weight / x.shape[1])
        phase = phase + x @ (generator.standard_normal((x.shape[1], units)).astype(np.float32) * scale)
    basis = np.c_[np.cos(phase) / 3, 0.04 * linear, np.ones(len(linear), np.float32)]
    weights = (scored.mean() / scored[owner]).astype(np.float32)
    moments = []
    for f in range(5):
        part = fold[owner] == f
        weighted = basis[part] * weights[part, None]
        moments.append((weighted.T @ basis[part], weighted.T @ targets[part]))
    result = np.zeros_like(targets)
    for f in range(5):
        gram = sum(m[0] for g, m in enumerate(moments) if g != f).astype(np.float64)
        aim = sum(m[1] for g, m in enumerate(moments) if g != f)
        part = fold[owner] == f
        result[part] = basis[part] @ np.linalg.solve(gram + penalty * np.eye(len(gram)), aim)
    return result


def distances(x):
    squares = (x.astype(float) ** 2).sum(1)
    return np.maximum(0, squares[:, None] + squares[None] - 2 * x.astype(float) @ x.T) / x.shape[1]


def measure(outputs):
    within = [spearmanr(outputs[source == s], label[source == s])[0] for s in sorted(set(source))]
    k = rows // 10
    found = set(np.argsort(-outputs)[:k]) & set(np.argsort(-label)[:k])
    return [round(float(v), 3) for v in (spearmanr(outputs, label)[0], np.mean(within), len(found) / k)]


def rowwise(states, statistics=None, penalties=(0.1, 0.2, 0.4, 0.8)):
    length = standardised(np.sqrt(scored)[:, None])
    exponent = sum(distances(standardised(block)) for block in states) + 2 / 3 * distances(length)
    linear = length @ length.T / 10
    if statistics is not None:
        z = standardised(statistics)
        exponent, linear = exponent + distances(z) / 3, linear + z @ z.T / 10
    kernel = np.exp(-0.3 * exponent) + linear
    results = []
    for penalty in penalties:
        outputs = np.zeros(rows)
        for f in range(5):
            train, test = fold != f, fold == f
            y = norm.ppf((rankdata(label[train]) - 0.5) / train.sum())
            solution = np.linalg.solve(kernel[np.ix_(train, train)] + penalty * np.eye(train.sum()), y - y.mean())
            outputs[test] = y.mean() + kernel[np.ix_(test, train)] @ solution
        results.append(measure(outputs))
    return max(results, key=lambda found: found[0] + found[1])


def pools(states):
    """Prompt, completion, and its second half, as the valuators see them."""
    def mean(begin, end):
        return np.stack([states[first[i] + begin(i) : first[i] + end(i)].mean(0) for i in range(rows)])

    middle = (split + count) // 2
    return [
        mean(lambda i: 1, lambda i: max(2, split[i])), mean(lambda i: split[i], lambda i: count[i]),
        mean(lambda i: middle[i], lambda i: count[i])]


embedded = embedding[ids]
state = data["state"].astype(np.float32)
loss, error = data["loss"], data["error"].astype(np.float32)
statistics = np.stack(
    [loss, data["entropy"], np.exp(-loss), np.log(np.linalg.norm(error, axis=1) + 1e-3), loss > 3], 1).astype(np.float32)
relative = np.concatenate([np.arange(k) for k in scored])
position = standardised(np.stack([np.sqrt(relative), np.sqrt(scored[owner]), relative / scored[owner]], 1))
current, previous, earlier = (standardised(embedded[place - back]) for back in (0, 1, 2))
completion = standardised(pools(embedded)[1])[owner]
copied = standardised(copies())
words = [(current, 1), (previous, 1), (earlier, 0.5), (completion, 0.5), (position, 0.3), (copied, 1)]
deep = [(standardised(state[place - 1]), 1), (standardised(error), 1), (standardised(statistics), 0.5), (position, 0.3)]
values = np.clip(data["value"], *np.quantile(data["value"], [0.001, 0.999])).astype(np.float32)[:, None]
small, base = pools(embedded), pools(state)
true = mean_of_rows(statistics)

results = {}


def report(name, found):
    results[name] = found
    print(name, found, file=sys.stderr, flush=True)


report("deviation of tokens' values, of rows' labels", [round(float(values.std()), 1), round(float(label.std()), 1)])
report("embeddings", rowwise(small))
report("layer 20 and statistics", rowwise(base, true))
for name, blocks, states, beside in (("embeddings", words, small, None), ("layer 20 and errors", deep, base, true)):
    linear = np.concatenate([x for x, _ in blocks], 1)
    for penalty in (30, 300):
        found = mean_of_rows(tokenwise(blocks, linear, values, 0.2, penalty))
        report(f"values from {name}, penalty {penalty}: alone", measure(found[:, 0]))
        both = found if beside is None else np.c_[beside, found]
        report(f"values from {name}, penalty {penalty}: beside the rows' features", rowwise(states, both))
report("embeddings and the true statistics", rowwise(small, true))
for name, blocks in (("embeddings", words), ("embeddings and layer 20", words + [(standardised(state[place - 1]), 1)])):
    linear = np.concatenate([x for x, _ in blocks], 1)
    found = mean_of_rows(tokenwise(blocks, linear, statistics, 0.15, 30))
    within = np.mean([spearmanr(found[source == s, 0], true[source == s, 0])[0] for s in set(source)])
    report(f"mean loss from {name}: Spearman within source", [round(float(within), 3)])
    report(f"embeddings and statistics predicted from {name}", rowwise(small, found))
print(json.dumps(results, indent=1))
