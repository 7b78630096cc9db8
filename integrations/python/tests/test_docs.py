"""Every example of docs/integrations.md, as it stands there, in one folder."""

import concurrent.futures
import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from alinfik import Scorer
from conftest import CHECKOUT, scores_of

for engine in ("ray", "pyspark", "datatrove", "torch", "sentence_transformers", "onnxruntime"):
    pytest.importorskip(engine)

BLOCKS = re.findall(r"^```(python|sh)\n(.*?)^```", (CHECKOUT / "docs/integrations.md").read_text(), re.M | re.S)


@pytest.fixture(scope="module")
def rows(records):
    return [record for record in records if record["text"]]


@pytest.fixture(scope="module")
def folder(command, valuator, transformer_valuator, rows, tmp_path_factory):
    """What the examples find: alinfik in PATH, two valuators, records in both formats."""
    folder = tmp_path_factory.mktemp("examples")
    (folder / "bin").mkdir()
    for name, path in [("bin/alinfik", command), ("valuator", valuator), ("transformer", transformer_valuator)]:
        (folder / name).symlink_to(path)
    (folder / "records.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    pq.write_table(pa.Table.from_pylist(rows), folder / "records.parquet")
    return folder


@pytest.fixture(scope="module")
def environment(folder):
    path = [str(folder / "bin"), os.path.dirname(sys.executable), os.environ["PATH"]]
    return dict(os.environ, PATH=os.pathsep.join(path), PYSPARK_PYTHON=sys.executable, SPARK_LOCAL_IP="127.0.0.1")


def run(mark, folder, environment):
    """Runs the one example that has `mark` in it; returns what it prints."""
    (language, text), = [block for block in BLOCKS if mark in block[1]]
    command = ["bash", "-ec", text] if language == "sh" else [sys.executable, "-c", text]
    result = subprocess.run(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=300)
    assert result.returncode == 0, result.stderr.decode()
    return result.stdout.decode()


@pytest.fixture(scope="module")
def expected(rows, by_command, tmp_path_factory):
    return sorted(scores_of(by_command(rows, tmp_path_factory.mktemp("expected"))))


def lines_of(paths):
    """The records of files of JSON lines."""
    return [json.loads(line) for path in paths for line in path.read_bytes().splitlines()]


def test_python(folder, environment, expected):
    printed = run("scorer.stream(", folder, environment).splitlines()
    assert sorted(scores_of(lines_of([folder / "scored.jsonl"]))) == expected
    assert [len(json.loads(line)) for line in printed] == [2, 1]


def test_parquet(folder, environment, expected):
    run("alinfik.parquet", folder, environment)
    assert sorted(scores_of(pq.read_table(folder / "scored/records.parquet").to_pylist())) == expected


def test_ray(folder, environment, expected):
    run("scored-by-ray", folder, environment)
    assert sorted(scores_of(pq.read_table(folder / "scored-by-ray").to_pylist())) == expected


def test_spark(folder, environment, expected):
    run("scored-by-spark", folder, environment)
    assert sorted(scores_of(pq.read_table(folder / "scored-by-spark").to_pylist())) == expected


def test_spark_pipe(folder, environment, expected):
    run("lines-by-spark", folder, environment)
    assert sorted(scores_of(lines_of((folder / "lines-by-spark").glob("part-*")))) == expected


def test_datatrove(folder, environment, expected):
    run("LocalPipelineExecutor([", folder, environment)
    documents = lines_of((folder / "scored-by-datatrove").iterdir())
    # datatrove's writer leaves out the id 0.
    rows = [{**document["metadata"], "id": int(document.get("id", 0))} for document in documents]
    assert sorted(scores_of(rows)) == expected


@pytest.fixture(scope="module")
def raw(command, transformer_valuator):
    """The command's raw scores of texts."""

    def score(texts):
        with Scorer(transformer_valuator, command=command, options=["--raw"]) as scorer:
            return [answer["alinfik_score"] for answer in scorer.score({"text": text} for text in texts)]

    return score


def printed_numbers(text):
    return [float(number) for number in text.strip().strip("[]").split()]


def test_sentence_transformers(folder, environment, raw):
    printed = printed_numbers(run('SentenceTransformer("transformer")', folder, environment))
    assert printed == pytest.approx(raw(["a cat", "a dog"]), abs=1e-4)


def test_onnx(folder, environment, raw):
    run("alinfik.onnx", folder, environment)
    printed = printed_numbers(run("InferenceSession", folder, environment))
    assert printed == pytest.approx(raw(["a cat", "a dog by the river"]), abs=1e-4)


def test_over_http(folder, environment, raw, rows):
    (_, text), = [block for block in BLOCKS if "serve_valuator.py" in block[1]]
    (folder / "serve_valuator.py").write_text(text)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # `serve run` takes a port only from a configuration.
    (folder / "serve.json").write_text(json.dumps({
        "http_options": {"host": "127.0.0.1", "port": port}, "applications": [{"import_path": "serve_valuator:app"}]}))
    log = open(folder / "serve.log", "wb")
    server = subprocess.Popen(
        ["serve", "run", "serve.json"], cwd=folder, stdout=log, stderr=log,
        env=dict(environment, VALUATOR=str(folder / "transformer"), RAY_SERVE_LOG_TO_STDERR="1"))

    def ask(text):
        request = urllib.request.Request(f"http://127.0.0.1:{port}/", json.dumps({"text": text}).encode())
        with urllib.request.urlopen(request, timeout=120) as answer:
            return json.load(answer)["score"]

    def is_up():
        try:
            return isinstance(ask("a cat"), float)
        except (urllib.error.URLError, ConnectionError):
            return False

    try:
        for _ in range(240):
            if server.poll() is not None or is_up():
                break
            time.sleep(1)
        texts = [row["text"] for row in rows[:40]]
        with concurrent.futures.ThreadPoolExecutor(16) as clients:
            answers = list(clients.map(ask, texts))
    except (urllib.error.URLError, ConnectionError) as error:
        pytest.fail(f"{error}\n{(folder / 'serve.log').read_text()[-4000:]}")
    finally:
        server.terminate()
        server.wait()
    assert answers == pytest.approx(raw(texts), abs=1e-4)


def test_all_examples_are_run():
    assert len(BLOCKS) == 10, "an example is new: test it here"
