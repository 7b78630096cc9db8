"""Rankings of samples for each query that need no gradient, as `compare` has them; the proofs print them beside every method of ours."""

import math
import re
from collections import Counter

import numpy as np


def words(text):
    return re.findall(r"\w+", text.lower())


def bm25(documents, queries, k1=1.2, b=0.75):
    """BM25 of each document for each query (Robertson and Zaragoza 2009): an array of documents x queries."""
    bags = [Counter(words(text)) for text in documents]
    lengths = np.array([sum(bag.values()) for bag in bags])
    frequency = Counter(word for bag in bags for word in bag)
    scores = np.zeros((len(documents), len(queries)))
    for column, query in enumerate(queries):
        for word in set(words(query)) & frequency.keys():
            weight = math.log(1 + (len(bags) - frequency[word] + 0.5) / (frequency[word] + 0.5))
            counts = np.array([bag[word] for bag in bags])
            scores[:, column] += weight * counts * (k1 + 1) / (counts + k1 * (1 - b + b * lengths / lengths.mean()))
    return scores


def tfidf(documents, queries):
    """The cosine of TF-IDF vectors: documents x queries."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectors = TfidfVectorizer(sublinear_tf=True, token_pattern=r"\w+").fit(documents)
    return (vectors.transform(documents) @ vectors.transform(queries).T).toarray()
