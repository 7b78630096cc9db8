"""datatrove, with its own readers, writers and executor."""

import gzip
import json

import pytest

pytest.importorskip("datatrove")
from datatrove.data import Document  # noqa: E402
from datatrove.executor.local import LocalPipelineExecutor  # noqa: E402
from datatrove.pipeline.filters import LambdaFilter  # noqa: E402
from datatrove.pipeline.readers import JsonlReader  # noqa: E402
from datatrove.pipeline.writers import JsonlWriter  # noqa: E402

from alinfik.datatrove import AlinfikScore  # noqa: E402
from conftest import scores_of  # noqa: E402


@pytest.fixture
def good(records):
    """datatrove's reader leaves out documents without text."""
    return [record for record in records if record["text"]]


def executor(folder, *steps, tasks=3):
    reader = JsonlReader(str(folder / "in"))
    writer = JsonlWriter(str(folder / "out"), output_filename="${rank}.jsonl.gz", expand_metadata=True)
    return LocalPipelineExecutor(
        [reader, *steps, writer], tasks=tasks, workers=1, logging_dir=str(folder / "logs"), skip_completed=True)


def write(records, folder, parts=3):
    (folder / "in").mkdir()
    for part in range(parts):
        lines = [json.dumps({**record, "id": str(record["id"])}) + "\n" for record in records[part::parts]]
        (folder / "in" / f"{part}.jsonl").write_text("".join(lines))


def read(folder):
    """The rows of each part, in order."""
    return {
        path.name: [json.loads(line) for line in gzip.open(path, "rt", encoding="utf-8")]
        for path in sorted((folder / "out").iterdir())
    }


def test_scores_equal_the_commands(command, valuator, good, by_command, tmp_path):
    write(good, tmp_path)
    executor(tmp_path, AlinfikScore(valuator, command=command)).run()
    parts = read(tmp_path)
    expected = by_command([{**record, "id": str(record["id"])} for record in good], tmp_path)
    assert [scores_of(rows) for rows in parts.values()] == [scores_of(expected[part::3]) for part in range(3)]
    assert [row["text"] for row in parts["00001.jsonl.gz"]] == [record["text"] for record in good[1::3]]


def test_documents_that_cannot_be_scored_and_none_at_all(command, valuator):
    step = AlinfikScore(valuator, command=command)
    documents = [Document(text=text, id=str(i), metadata={"alinfik_score": 99, "n": i})
                 for i, text in enumerate(["a cat", "", "a dog"])]
    answers = list(step.run(iter(documents)))
    assert [answer.id for answer in answers] == ["0", "1", "2"]
    assert answers[1].metadata == {"n": 1, "alinfik_error": "the text is empty"}
    assert answers[0].metadata["alinfik_score"] not in (None, 99) and answers[2].metadata["n"] == 2
    assert step.stats["scored"].total == 2 and step.stats["unscored"].total == 1
    assert list(step.run(iter([]))) == [] and list(step.run(None)) == []


def test_a_filter_by_score_and_a_part_without_documents(command, valuator, good, by_command, tmp_path):
    write(good[:60], tmp_path, parts=2)
    expected = by_command(good[:60], tmp_path)
    middle = sorted(row["alinfik_score"] for row in expected)[30]
    chosen = LambdaFilter(lambda document: document.metadata["alinfik_score"] > middle)
    executor(tmp_path, AlinfikScore(valuator, command=command), chosen, tasks=3).run()
    texts = sorted(row["text"] for rows in read(tmp_path).values() for row in rows)
    assert texts == sorted(row["text"] for row in expected if row["alinfik_score"] > middle) and len(texts) > 20


def test_a_killed_command_fails_the_task_and_the_next_run_does_it(
    command, valuator, good, by_command, killed_command, tmp_path
):
    write(good, tmp_path, parts=1)
    with pytest.raises(Exception, match="SIGKILL"):
        executor(tmp_path, AlinfikScore(valuator, command=killed_command()), tasks=1).run()
    assert not list((tmp_path / "logs" / "completions").glob("*"))
    executor(tmp_path, AlinfikScore(valuator, command=command), tasks=1).run()
    rows = read(tmp_path)["00000.jsonl.gz"]
    expected = by_command([{**record, "id": str(record["id"])} for record in good], tmp_path)
    assert scores_of(rows) == scores_of(expected)
