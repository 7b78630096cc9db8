#!/usr/bin/env python3
"""Divides a corpus whose neighbouring rows are of one subject: 64 blocks of 17 rows, the middle row of each a query and
the 8 around it its part of the pool; all rows outside the blocks, to learn a vocabulary and the language from. Texts are
cut at a word's end so that none has more than TOKENS tokens.

rows.py CORPUS.jsonl[.gz] FOLDER
"""

import gzip
import json
import pathlib
import random
import sys

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

BLOCKS, BLOCK, NEIGHBOURS, SHORTEST = 64, 17, 8, 300
VOCABULARY, TOKENS = 2048, 96


def main(corpus, folder):
    with (gzip.open if corpus.endswith(".gz") else open)(corpus, "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    long = [place for place, row in enumerate(rows) if len(row["text"]) >= SHORTEST]
    generator = random.Random(1)
    pool, queries, inside = [], [], set()
    for start in sorted(generator.sample(range(len(long) // BLOCK), BLOCKS)):
        block = long[start * BLOCK : (start + 1) * BLOCK]
        inside.update(range(block[0], block[-1] + 1))
        middle = BLOCK // 2
        queries.append(block[middle])
        reach = NEIGHBOURS // 2
        pool += block[middle - reach : middle] + block[middle + 1 : middle + 1 + reach]
    rest = [place for place, row in enumerate(rows) if place not in inside and len(row["text"]) >= 100]
    tokenizer = vocabulary(rows[place]["text"] for place in rest)
    (pathlib.Path(folder) / "tokenizer").mkdir(exist_ok=True)
    tokenizer.save(str(pathlib.Path(folder) / "tokenizer" / "tokenizer.json"))
    for name, places in (("pool", pool), ("queries", queries), ("rest", rest)):
        with open(pathlib.Path(folder) / f"{name}.jsonl", "w", encoding="utf-8") as file:
            for place in places:
                text = cut(rows[place]["text"], tokenizer, TOKENS)
                file.write(json.dumps({"id": rows[place]["id"], "text": text}, ensure_ascii=False) + "\n")
    print(f"{len(pool)} rows in the pool, {len(queries)} queries, {len(rest)} others")


def vocabulary(texts):
    """Byte pairs, of which a small model can hold the embeddings."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY, special_tokens=["<|endoftext|>"], initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def cut(text, tokenizer, tokens):
    """The beginning of a text that is at most so many tokens long, to the end of a word."""
    while len(ids := tokenizer.encode(text).ids) > tokens:
        text = text[: max(1, int(len(text) * min(0.98, tokens / len(ids))))].rpartition(" ")[0]
    return text


main(*sys.argv[1:])
