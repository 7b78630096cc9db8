#!/usr/bin/env python3
"""sentence-transformers loads a valuator, without remote code, and agrees with `alinfik score --raw` within 1e-4.

Without --valuator one is trained first, briefly, on labels of stories260k for the texts of --sample.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

TOLERANCE = 1e-4
# What a tokeniser or a pooling could get wrong: accents, scripts, white space, markup, one word, too long a text.
CORNERS = [
    "a", "...", "Cafe\u0301 naïve ÅNGSTRÖM", "東京タワー and 서울", "emoji 🙂👩‍👩‍👧", "tabs\tand\r\nlines  and   spaces ",
    "[CLS] written out [SEP] and [MASK]", "supercalifragilisticexpialidocious" * 4, "\u00a0\u200bzero width\ufeff",
    "many words " * 600,
]


def train(options, folder):
    """A valuator of few steps: it need not be good, it has to be the same one in both programs."""
    labels, valuator = folder / "labels.h5", folder / "valuator"
    subprocess.run(
        [options.alinfik, "label", "--quiet", "--model", options.model, "--target", options.target,
         "--sample", options.sample, "--max-tokens", "96", "--output", labels],
        check=True,
    )
    subprocess.run(
        [options.alinfik, "train", "--quiet", labels, "--init", options.init, "--output", valuator,
         *options.train_options],
        check=True,
    )
    return valuator


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--alinfik", required=True)
    parser.add_argument("--valuator")
    parser.add_argument("--model", help="directory of stories260k")
    parser.add_argument("--init", help="directory of the encoder to start from")
    parser.add_argument("--target")
    parser.add_argument("--sample")
    parser.add_argument("--unseen", required=True, help="JSON Lines with a text a line, to score")
    parser.add_argument("--train-options", nargs=argparse.REMAINDER, default=[])
    options = parser.parse_args()

    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        valuator = options.valuator or train(options, folder)
        with open(options.unseen, encoding="utf-8") as file:
            texts = [json.loads(line)["text"] for _, line in zip(range(100), file)] + CORNERS
        rows = folder / "texts.jsonl"
        rows.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts), encoding="utf-8")
        result = subprocess.run(
            [options.alinfik, "score", "--quiet", "--raw", str(valuator), rows], check=True, stdout=subprocess.PIPE
        )
        ours = [json.loads(line)["alinfik_score"] for line in result.stdout.splitlines()]

        import logging

        logging.disable(logging.WARNING)
        from sentence_transformers import SentenceTransformer

        model = SentenceTransformer(str(valuator), device="cpu", trust_remote_code=False)
        theirs = model.encode(texts, batch_size=16, show_progress_bar=False, convert_to_numpy=True)[:, 0]

    if len(ours) != len(texts):
        sys.exit(f"FAIL: {len(ours)} scores for {len(texts)} texts")
    errors = [abs(a - float(b)) for a, b in zip(ours, theirs)]
    worst = max(range(len(texts)), key=errors.__getitem__)
    spread = max(ours) - min(ours)
    print(f"  {len(texts)} texts, scores spread over {spread:.3g}, worst difference {errors[worst]:.2g}")
    if not errors[worst] <= TOLERANCE:
        sys.exit(f"FAIL: {texts[worst][:60]!r}: {ours[worst]} against {theirs[worst]}, allowed {TOLERANCE:g}")
    if spread < 100 * TOLERANCE:
        sys.exit("FAIL: the scores hardly differ, so agreeing proves nothing")


if __name__ == "__main__":
    main()
