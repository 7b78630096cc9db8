"""What other readers add to the token embeddings of `small`: stacks.py FEATURES.npz LABELS.h5 MINILM > results-stacks.json

N-grams of words and characters (TF-IDF), prompt and completion apart, and states of MiniLM after three and six layers; as kernels of
their own, added to that of `small`, and in its exponent. Overall Spearman, mean within source, recall@10 %.
"""
import json
import sys

import h5py
import numpy as np
import torch
from rows import distances, fold, gaussianised, labels, length, measure, order, pools, report, results, ridge, standardised
from sklearn.feature_extraction.text import TfidfVectorizer
from transformers import AutoTokenizer, BertModel

with h5py.File(sys.argv[2]) as file:
    records = [json.loads(record) for record in file["records"][:]]
prompts = [records[row]["prompt"] for row in order]
completions = [records[row]["completion"][:900] for row in order]  # about what the labels read
tokenizer, model = AutoTokenizer.from_pretrained(sys.argv[3]), BertModel.from_pretrained(sys.argv[3]).eval()


def cross_validated(kernel):
    def outputs(penalty):
        out = np.zeros(len(labels))
        for f in range(5):
            test, train = np.where(fold == f)[0], np.where(fold != f)[0]
            out[test] = ridge(kernel, train, gaussianised(labels[train]), test, penalty)
        return measure(out)

    return max((outputs(penalty) for penalty in (0.05, 0.1, 0.2, 0.4)), key=lambda found: found[0] + found[1])


def similarities(texts, **options):
    features = TfidfVectorizer(sublinear_tf=True, min_df=2, **options).fit_transform(texts)
    return (features @ features.T).toarray()


def states(texts):
    """By layer, the mean over tokens."""
    found = {3: [None] * len(texts), 6: [None] * len(texts)}
    by_length = np.argsort([len(text) for text in texts])
    for start in range(0, len(texts), 32):
        batch = by_length[start : start + 32]
        tokens = tokenizer([texts[i] for i in batch], return_tensors="pt", padding=True, truncation=True, max_length=160)
        mask = tokens["attention_mask"][:, :, None]
        with torch.no_grad():
            layers = model(**tokens, output_hidden_states=True).hidden_states
        for layer in found:
            means = ((layers[layer] * mask).sum(1) / mask.sum(1)).numpy()
            for row, mean in zip(batch, means):
                found[layer][row] = mean
    return {layer: standardised(np.stack(means)) for layer, means in found.items()}


exponent = sum(distances(block) for block in pools(0)) + 2 / 3 * distances(length)
linear = length @ length.T / 10
small = np.exp(-0.3 * exponent) + linear
report("small", cross_validated(small))
kinds = {"words": {}, "words and pairs": {"ngram_range": (1, 2)}, "characters": {"analyzer": "char_wb", "ngram_range": (3, 4)}}
for name, options in kinds.items():
    shared = similarities(prompts, **options) + similarities(completions, **options)
    report(f"{name}: alone", cross_validated(shared + linear))
    report(f"{name}: added, 0.2", cross_validated(small + 0.2 * shared))
    report(f"{name}: in the exponent", cross_validated(np.exp(-0.3 * (exponent * 2 / 3 + 2 - shared)) + linear))
of_prompts, of_completions = states(prompts), states(completions)
for layer in of_prompts:
    apart = distances(of_prompts[layer]) + distances(of_completions[layer])
    report(f"MiniLM, layer {layer}: alone", cross_validated(np.exp(-0.3 * (apart + 2 / 3 * distances(length))) + linear))
    report(f"MiniLM, layer {layer}: added", cross_validated(small + np.exp(-0.3 * apart)))
    report(
        f"MiniLM, layer {layer}: in the exponent",
        cross_validated(np.exp(-0.3 * (exponent * 0.65 + apart * 0.65)) + linear))
print(json.dumps(results, indent=1))
