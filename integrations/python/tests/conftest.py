"""What the tests share: the command, valuators that it trains in a second, and a command that is killed half way.

ALINFIK  the command (default: the release build of this checkout)
ALINFIK_DATA  test data with stories260k/ (default: ../shared/data beside the checkout)
"""

import json
import os
import pathlib
import random
import shutil
import stat
import subprocess
import sys

import pytest

CHECKOUT = pathlib.Path(__file__).resolve().parents[3]
WORDS = ["cat", "dog", "mat", "sun", "moon", "tree", "house", "river", "story", "girl", "boy", "ball"]
# What pipes, lines and encodings could get wrong.
CORNERS = [
    "a", "Cafe\u0301 naïve ÅNGSTRÖM", "東京タワー and 서울", "emoji 🙂👩‍👩‍👧", "line\nfeed\r\nand\rreturn",
    "separators \u2028 and \u2029, next line \u0085, form \x0c feed", "nul \x00 and escape \x1b", 'quote " and \\ slash',
    "zero\u200bwidth\ufeff", "a cat " * 3000,
]


def make_texts(count, seed=0):
    """Texts that differ, corners among them."""
    source = random.Random(seed)
    texts = [" ".join(source.choices(WORDS, k=source.randint(3, 40))) + f", {i}." for i in range(count)]
    for place, corner in enumerate(CORNERS):
        if place * 7 < count:
            texts[place * 7] = corner
    return texts


@pytest.fixture(scope="session")
def command():
    path = os.environ.get("ALINFIK", str(CHECKOUT / ".build/release/alinfik"))
    assert shutil.which(path), f"{path}: no such command; `make build` makes it, or set ALINFIK"
    return os.path.abspath(shutil.which(path))


@pytest.fixture(scope="session")
def stories():
    path = pathlib.Path(os.environ.get("ALINFIK_DATA", CHECKOUT.parent / "shared/data")) / "stories260k"
    if not path.is_dir():
        pytest.skip(f"{path} is missing: set ALINFIK_DATA")
    return path


@pytest.fixture(scope="session")
def model(stories, tmp_path_factory):
    """stories260k with a chat template."""
    folder = tmp_path_factory.mktemp("models") / "model"
    shutil.copytree(stories, folder, copy_function=shutil.copyfile)
    folder.chmod(0o755)
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    settings["chat_template"] = "{% for m in messages %}{{ m['role'] + ': ' + m['content'] + eos_token }}{% endfor %}"
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return folder


@pytest.fixture(scope="session")
def labels(command, model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("labels")
    (folder / "target.jsonl").write_text('{"text": "the cat sat on the mat."}\n{"text": "a dog by the river."}\n')
    with open(folder / "sample.jsonl", "w") as file:
        for index, text in enumerate(make_texts(400, seed=1)[71:]):
            file.write(json.dumps({"id": f"row-{index}", "source": f"s{index % 2}", "text": text}) + "\n")
    subprocess.run(
        [command, "label", "--quiet", "--model", model, "--target", folder / "target.jsonl", "--sample",
         folder / "sample.jsonl", "--output", folder / "labels.h5"], check=True)
    return folder / "labels.h5"


@pytest.fixture(scope="session")
def valuator(command, model, labels):
    """The default kind: it has intervals and tells what is out of domain."""
    path = labels.parent / "valuator"
    subprocess.run(
        [command, "train", "--quiet", labels, "--init", model, "--size", "small", "--output", path], check=True)
    return str(path)


@pytest.fixture(scope="session")
def transformer_valuator(command, labels):
    """A BERT of two layers with a WordPiece tokenizer of some hundred pieces."""
    tokenizers = pytest.importorskip("tokenizers")
    folder = labels.parent / "wordpiece"
    folder.mkdir()
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = tokenizers.normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = tokenizers.decoders.WordPiece()
    trainer = tokenizers.trainers.WordPieceTrainer(
        vocab_size=400, special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"])
    tokenizer.train_from_iterator(make_texts(400, seed=1), trainer)
    ends = [(name, tokenizer.token_to_id(name)) for name in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = tokenizers.processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=ends)
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps({
        "tokenizer_class": "BertTokenizer", "do_lower_case": True, "unk_token": "[UNK]", "sep_token": "[SEP]",
        "pad_token": "[PAD]", "cls_token": "[CLS]", "mask_token": "[MASK]", "model_max_length": 128,
    }))
    path = labels.parent / "transformer"
    subprocess.run(
        [command, "train", "--quiet", labels, "--tokenizer", folder, "--layers", "2", "--hidden-size", "32",
         "--heads", "2", "--epochs", "3", "--max-tokens", "128", "--learning-rate", "0.002", "--output", path],
        check=True)
    return str(path)


@pytest.fixture(scope="session")
def by_command(command, valuator):
    """Scores records by the command alone, from file to file: what every adapter has to equal."""

    def score(records, folder, *options):
        source = folder / "by-command.jsonl"
        source.write_text("".join(json.dumps(record) + "\n" for record in records))
        result = subprocess.run(
            [command, "score", valuator, source, "--quiet", "--on-error", "mark", *options], check=True,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        answers = [json.loads(line) for line in result.stdout.splitlines()]
        assert len(answers) == len(records)
        return answers

    return score


@pytest.fixture
def killed_command(command, tmp_path):
    """Like the command, but killed by SIGKILL after 300 answers: on its first start alone (`once`), or on each."""

    def make(once=False):
        script = tmp_path / "alinfik-that-is-killed"
        script.write_text(
            f"""#!{sys.executable}
import os, signal, subprocess, sys
first = os.path.join({str(tmp_path)!r}, "was-killed")
try:
    os.close(os.open(first, os.O_CREAT | os.O_EXCL))
except FileExistsError:
    if {once}:
        os.execv({command!r}, [{command!r}] + sys.argv[1:])
child = subprocess.Popen([{command!r}] + sys.argv[1:], stdout=subprocess.PIPE)
for count, line in enumerate(child.stdout):
    if count == 300:
        child.kill()
        os.kill(os.getpid(), signal.SIGKILL)
    sys.stdout.buffer.write(line)
    sys.stdout.buffer.flush()
sys.exit(child.wait())
""")
        script.chmod(script.stat().st_mode | stat.S_IXUSR)
        return str(script)

    return make


def scores_of(answers):
    """Id, score, interval, domain and error of each row; floats as they are, so that equal means every bit."""
    keys = ("id", "alinfik_score", "alinfik_low", "alinfik_high", "alinfik_ood", "alinfik_tokens", "alinfik_truncated",
            "alinfik_valuator")
    return [tuple(answer.get(key) for key in keys) + (answer.get("alinfik_error") is not None,) for answer in answers]


@pytest.fixture(scope="session")
def records():
    """700 records, of which some cannot be scored."""
    rows = [{"id": i, "text": text} for i, text in enumerate(make_texts(700))]
    rows[5]["text"] = None
    rows[300]["text"] = ""
    return rows
