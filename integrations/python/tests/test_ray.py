"""Ray Data, with a Ray of its own on this machine."""

import json
import os

import pandas as pd
import pyarrow as pa
import pytest

ray = pytest.importorskip("ray")
pytest.importorskip("ray.data")

from alinfik import Scorer, arrow  # noqa: E402
from alinfik.ray import Score  # noqa: E402
from conftest import scores_of  # noqa: E402


@pytest.fixture(scope="module", autouse=True)
def cluster():
    # Logical processors: two for actors, and some for what comes before and after them.
    ray.init(num_cpus=4, include_dashboard=False, object_store_memory=200 << 20, log_to_driver=False)
    context = ray.data.DataContext.get_current()
    context.execution_options.preserve_order = True
    context.enable_progress_bars = False
    yield
    ray.shutdown()


def scored(dataset, valuator, batch_format="pyarrow", batch_size=64, actors=2, **options):
    return dataset.map_batches(
        Score, fn_constructor_args=[valuator], fn_constructor_kwargs=options, batch_format=batch_format,
        batch_size=batch_size, compute=ray.data.ActorPoolStrategy(size=actors))


def as_rows(dataset):
    """A null is what the format makes of it: None, NaN or NA."""
    rows = dataset.take_all()
    return [{key: None if value is None or value is pd.NA or value != value else value for key, value in row.items()}
            for row in rows]


@pytest.mark.parametrize("batch_format", ["pyarrow", "pandas"])
def test_scores_equal_the_commands(command, valuator, records, by_command, tmp_path, batch_format):
    dataset = ray.data.from_arrow(pa.Table.from_pylist(records)).repartition(7)
    rows = as_rows(scored(dataset, valuator, batch_format, command=command))
    assert scores_of(rows) == scores_of(by_command(records, tmp_path))
    assert [row["text"] for row in rows] == [record["text"] for record in records]
    assert rows[300]["alinfik_error"] == "the text is empty"


def test_empty_blocks(command, valuator):
    table = pa.Table.from_pylist([{"id": i, "text": f"a cat {i}"} for i in range(40)])
    dataset = ray.data.from_arrow(table).repartition(8).filter(lambda row: row["id"] % 40 == 7)
    rows = scored(dataset, valuator, command=command).take_all()
    assert [row["id"] for row in rows] == [7] and rows[0]["alinfik_score"] is not None
    none = ray.data.from_arrow([table.slice(0, 0)])
    assert scored(none, valuator, command=command).take_all() == []


def test_batches_as_ray_gives_them(command, valuator):
    table = pa.table({"text": ["a cat", None], "n": pa.array([1, 2], pa.int8()), "alinfik_error": ["old", "old"]})
    score = Score(valuator, command=command)
    answer = score(table)
    assert answer.schema == arrow.scored_schema(table.schema) and answer["n"].to_pylist() == [1, 2]
    assert score(table.slice(0, 0)).schema == answer.schema
    frame = table.to_pandas().set_index(pd.Index([10, 20]))
    result = score(frame)
    assert list(result.index) == [10, 20] and list(result.columns) == ["text", "n"] + [
        field.name for field in arrow.SCORE_FIELDS]
    assert result["n"].dtype == "int8" and result["alinfik_ood"].dtype == "boolean"
    assert result["alinfik_score"].iloc[0] == answer["alinfik_score"][0].as_py() and pd.isna(result["alinfik_score"].iloc[1])
    empty = score(frame.iloc[:0])
    assert len(empty) == 0 and list(empty.dtypes) == list(result.dtypes)
    messages = pd.DataFrame({"messages": [[{"role": "user", "content": "who"}, {"role": "assistant", "content": "a cat"}]]})
    with Scorer(valuator, command=command) as scorer:
        expected = scorer.score([{"messages": messages["messages"][0]}])[0]["alinfik_score"]
    assert score(messages)["alinfik_score"].iloc[0] == expected
    with pytest.raises(TypeError, match="batch_format"):
        score({"text": ["a cat"]})


def test_a_killed_command_fails_the_job(valuator, records, killed_command):
    dataset = ray.data.from_arrow(pa.Table.from_pylist(records)).repartition(7)
    with pytest.raises(Exception, match="SIGKILL"):
        scored(dataset, valuator, actors=1, command=killed_command()).take_all()


def test_a_batch_tried_again_is_scored_whole(valuator, records, by_command, killed_command, tmp_path):
    context = ray.data.DataContext.get_current()
    context.actor_task_retry_on_errors = True
    try:
        dataset = ray.data.from_arrow(pa.Table.from_pylist(records)).repartition(7)
        rows = as_rows(scored(dataset, valuator, actors=1, command=killed_command(once=True)))
    finally:
        context.actor_task_retry_on_errors = False
    assert os.path.exists(tmp_path / "was-killed")
    assert scores_of(rows) == scores_of(by_command(records, tmp_path))


def test_files_to_files(command, valuator, records, by_command, tmp_path):
    (tmp_path / "in").mkdir()
    good = [record for record in records if record["text"]]
    for part in range(3):
        lines = [json.dumps(record) + "\n" for record in good[part::3]]
        (tmp_path / "in" / f"{part}.jsonl").write_text("".join(lines))
    dataset = scored(ray.data.read_json(str(tmp_path / "in"), lines=True), valuator, command=command)
    dataset.write_parquet(str(tmp_path / "out"))
    rows = ray.data.read_parquet(str(tmp_path / "out")).take_all()
    assert sorted(scores_of(rows)) == sorted(scores_of(by_command(good, tmp_path)))
