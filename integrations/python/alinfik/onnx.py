"""Turns a transformer valuator into ONNX, and checks the result in onnxruntime against the command.

The folder of --output-dir gets model.onnx, tokenizer.json and tokenizer_config.json. The model takes input_ids,
attention_mask and token_type_ids (int64, batch x tokens) and gives score (float32, batch): what
`alinfik score --raw` gives, the head's own output and not label units.
"""

import argparse
import json
import os
import shutil
import sys

import numpy as np
import onnxruntime
import torch
from sentence_transformers import SentenceTransformer
from tokenizers import Tokenizer

from alinfik.scorer import Scorer

TOLERANCE = 1e-4
"""How far a score in onnxruntime may be from the command's."""

INPUTS = ("input_ids", "attention_mask", "token_type_ids")
# Short and long, of several scripts, and what a tokenizer could get wrong.
TEXTS = [
    "a", "The cat sat on the mat.", "Cafe\u0301 naïve ÅNGSTRÖM", "東京タワー and 서울", "emoji 🙂👩‍👩‍👧",
    "tabs\tand\r\nlines  and   spaces ", "[CLS] written out [SEP]", "supercalifragilistic" * 8, "many words " * 600,
]


class _Valuator(torch.nn.Module):
    """The modules of a valuator as sentence-transformers has them, from ids to one score a row."""

    def __init__(self, directory):
        super().__init__()
        self.modules_in_order = SentenceTransformer(directory, device="cpu", trust_remote_code=False)

    def forward(self, input_ids, attention_mask, token_type_ids):
        features = dict(zip(INPUTS, (input_ids, attention_mask, token_type_ids)))
        return self.modules_in_order(features)["sentence_embedding"][:, 0]


class OnnxScorer:
    """A valuator in onnxruntime: what reads the folder that `export` writes, without torch."""

    def __init__(self, directory):
        self.tokenizer = Tokenizer.from_file(os.path.join(directory, "tokenizer.json"))
        with open(os.path.join(directory, "tokenizer_config.json"), encoding="utf-8") as file:
            settings = json.load(file)
        self.tokenizer.enable_truncation(settings["model_max_length"])
        self.tokenizer.enable_padding(pad_id=self.tokenizer.token_to_id(settings["pad_token"]))
        self.session = onnxruntime.InferenceSession(
            os.path.join(directory, "model.onnx"), providers=["CPUExecutionProvider"])

    def score(self, texts):
        """The raw scores of a list of texts, as a float32 array."""
        rows = self.tokenizer.encode_batch(texts)
        arrays = [[row.ids for row in rows], [row.attention_mask for row in rows], [row.type_ids for row in rows]]
        return self.session.run(["score"], dict(zip(INPUTS, np.array(arrays, dtype=np.int64))))[0]


def export(valuator, output_dir):
    """Writes the folder. Raises `ValueError` where the valuator's encoder is not a transformer of its own."""
    with open(os.path.join(valuator, "alinfik.json"), encoding="utf-8") as file:
        encoder = json.load(file).get("encoder")
    if encoder != "bert":
        raise ValueError(f"{valuator}: its encoder is {encoder!r}, and only a text encoder ('bert') becomes ONNX")
    os.makedirs(output_dir, exist_ok=True)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(os.path.join(valuator, name), os.path.join(output_dir, name))
    example = {name: torch.ones(2, 5, dtype=torch.int64) for name in INPUTS}
    batch, tokens = torch.export.Dim("batch"), torch.export.Dim("tokens")
    torch.onnx.export(
        _Valuator(valuator).eval(), (), os.path.join(output_dir, "model.onnx"), kwargs=example, dynamo=True,
        input_names=list(INPUTS), output_names=["score"], external_data=False, verbose=False,
        dynamic_shapes={name: {0: batch, 1: tokens} for name in INPUTS})


def worst_difference(valuator, output_dir, texts=TEXTS, command="alinfik"):
    """The largest difference between onnxruntime and `alinfik score --raw`, texts one by one and together."""
    scorer = OnnxScorer(output_dir)
    with Scorer(valuator, command=command, options=["--raw"]) as reference:
        expected = np.array([answer["alinfik_score"] for answer in reference.score({"text": text} for text in texts)])
    alone = np.concatenate([scorer.score([text]) for text in texts])
    return float(max(np.abs(alone - expected).max(), np.abs(scorer.score(list(texts)) - expected).max()))


def main(arguments=None):
    """Returns the exit code: 0; 64 where there is a model already; 65 where there is nothing to export, or where the
    model does not give the same scores, which is then removed."""
    parser = argparse.ArgumentParser(
        prog="python -m alinfik.onnx", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("valuator", help="the valuator's directory")
    parser.add_argument("--output-dir", required=True, metavar="dir", help="the folder to write")
    parser.add_argument("--force", action="store_true", help="replace a model that exists")
    parser.add_argument("--command", default="alinfik", help="the alinfik executable (default: the one in PATH)")
    options = parser.parse_args(arguments)
    model = os.path.join(options.output_dir, "model.onnx")
    if os.path.exists(model) and not options.force:
        return _say(f"error: {model} exists; --force replaces it", 64)
    try:
        export(options.valuator, options.output_dir)
    except ValueError as error:
        return _say(f"error: {error}", 65)
    worst = worst_difference(options.valuator, options.output_dir, command=options.command)
    _say(f"{model}: {len(TEXTS)} texts differ by {worst:.2g} at most", 0)
    if not worst <= TOLERANCE:
        os.remove(model)
        return _say(f"error: that is more than {TOLERANCE:g} from what `alinfik score --raw` gives", 65)
    return 0


def _say(message, exit_code):
    print(message, file=sys.stderr)
    return exit_code


if __name__ == "__main__":
    sys.exit(main())
