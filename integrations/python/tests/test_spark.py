"""Spark, in local mode with two processors; a task is tried twice where a test says so."""

import datetime
import json
import os
import subprocess
import sys

import pyarrow.parquet as pq
import pytest

pyspark = pytest.importorskip("pyspark")
from pyspark.sql import SparkSession  # noqa: E402

from alinfik import parquet  # noqa: E402
from alinfik.spark import score, score_lines, scored_schema  # noqa: E402
from conftest import scores_of  # noqa: E402


@pytest.fixture(scope="module")
def spark():
    os.environ["PYSPARK_PYTHON"] = os.environ["PYSPARK_DRIVER_PYTHON"] = sys.executable
    # The second number is how often a task is tried.
    session = (
        SparkSession.builder.master("local[2, 2]").appName("alinfik").config("spark.ui.enabled", "false")
        .config("spark.driver.host", "127.0.0.1").config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.sql.execution.arrow.maxRecordsPerBatch", "90").config("spark.log.level", "OFF").getOrCreate())
    yield session
    session.stop()


def frame_of(spark, records, partitions):
    """A data frame with the rows in order, spread over `partitions`."""
    rows = spark.sparkContext.parallelize([(record["id"], record["text"]) for record in records], partitions)
    return spark.createDataFrame(rows, "id long, text string")


@pytest.mark.parametrize("partitions", [1, 5])
def test_scores_equal_the_commands(spark, command, valuator, records, by_command, tmp_path, partitions):
    frame = frame_of(spark, records, partitions)
    scored = frame.mapInArrow(score(valuator, command=command), scored_schema(frame.schema))
    rows = [row.asDict() for row in scored.collect()]
    assert scores_of(rows) == scores_of(by_command(records, tmp_path))
    assert [row["text"] for row in rows] == [record["text"] for record in records]
    assert rows[300]["alinfik_error"] == "the text is empty"
    assert [field.dataType.simpleString() for field in scored.schema][2:] == [
        "double", "double", "double", "boolean", "bigint", "boolean", "string", "string"]


def test_empty_partitions_start_no_command(spark, command, valuator, tmp_path):
    counted = tmp_path / "counts-starts"
    counted.write_text(f"#!/bin/sh\necho started >> {tmp_path}/starts\nexec {command} \"$@\"\n")
    counted.chmod(0o755)
    frame = frame_of(spark, [{"id": 1, "text": "a cat"}, {"id": 2, "text": "a dog"}], 6)
    scored = frame.mapInArrow(score(valuator, command=str(counted)), scored_schema(frame.schema))
    assert [row["id"] for row in scored.collect() if row["alinfik_score"] is not None] == [1, 2]
    assert (tmp_path / "starts").read_text().count("started") == 2
    empty = frame.filter("id > 5").mapInArrow(score(valuator, command=str(counted)), scored_schema(frame.schema))
    assert empty.collect() == []
    lines = score_lines(spark.sparkContext.parallelize([], 3), valuator, command=command, environment=dict(os.environ))
    assert lines.collect() == []


def test_an_earlier_score_is_replaced(spark, command, valuator):
    frame = spark.createDataFrame([("a cat", "old", 1)], "text string, alinfik_score string, n int")
    scored = frame.mapInArrow(score(valuator, command=command), scored_schema(frame.schema))
    row, = scored.collect()
    assert isinstance(row["alinfik_score"], float) and row["n"] == 1
    assert scored.columns[:3] == ["text", "n", "alinfik_score"]


def test_a_job_that_wants_few_rows_ends(spark, command, valuator, records):
    frame = frame_of(spark, records, 1)
    scored = frame.mapInArrow(score(valuator, command=command), scored_schema(frame.schema))
    assert [row["id"] for row in scored.limit(3).collect()] == [0, 1, 2]


def test_a_killed_command_fails_the_job(spark, valuator, records, killed_command):
    frame = frame_of(spark, records, 1)
    with pytest.raises(Exception, match="SIGKILL"):
        frame.mapInArrow(score(valuator, command=killed_command()), scored_schema(frame.schema)).collect()
    lines = spark.sparkContext.parallelize([json.dumps(record) for record in records], 1)
    with pytest.raises(Exception, match="PIPE_FUNCTION_EXITED"):
        score_lines(lines, valuator, command=killed_command(), environment=dict(os.environ)).collect()


@pytest.mark.parametrize("how", ["mapInArrow", "pipe"])
def test_a_task_tried_again_loses_nothing(spark, valuator, records, by_command, killed_command, tmp_path, how):
    command = killed_command(once=True)
    if how == "pipe":
        lines = spark.sparkContext.parallelize([json.dumps(record) for record in records], 1)
        lines = score_lines(lines, valuator, command=command, environment=dict(os.environ)).collect()
        rows = [json.loads(line) for line in lines]
    else:
        frame = frame_of(spark, records, 1)
        scored = frame.mapInArrow(score(valuator, command=command), scored_schema(frame.schema))
        rows = [row.asDict() for row in scored.collect()]
    assert (tmp_path / "was-killed").exists()
    assert scores_of(rows) == scores_of(by_command(records, tmp_path))


def test_lines_through_pipe_are_the_commands(spark, command, valuator, records, tmp_path):
    """From a file on, whose lines hold the separators that are no line ends."""
    lines = [json.dumps(record, ensure_ascii=index % 2 == 0) for index, record in enumerate(records)]
    source = tmp_path / "records.jsonl"
    source.write_text("\n".join(lines) + "\n", encoding="utf-8")
    expected = subprocess.run(
        [command, "score", valuator, source, "--on-error", "mark", "--quiet"], stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, check=True).stdout.decode().split("\n")[:-1]
    read = spark.sparkContext.textFile(str(source), 3)
    library_path = {name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ}
    scored = score_lines(read, valuator, command=command, environment=library_path).collect()
    good = [index for index, line in enumerate(expected) if "alinfik_error" not in line]
    assert len(scored) == len(expected) and [scored[i] for i in good] == [expected[i] for i in good]
    assert [index for index, line in enumerate(scored) if "alinfik_error" not in line] == good and len(good) == 698


def test_parquet_from_spark_and_back(spark, command, valuator, tmp_path):
    """Timestamps, and the schema that Spark keeps in a file's metadata."""
    when = datetime.datetime(2024, 2, 29, 12, 30, 15, 123456)
    frame = spark.createDataFrame([("a cat", when, [1, None]), ("a dog", None, None)], "text string, at timestamp, n array<int>")
    frame.coalesce(1).write.parquet(str(tmp_path / "in"))
    file, = (tmp_path / "in").glob("*.parquet")
    arguments = [valuator, str(file), "--output-dir", str(tmp_path / "out"), "--command", command]
    assert parquet.main(arguments) == 0
    output = tmp_path / "out" / file.name
    types = [[pq.ParquetFile(path).metadata.row_group(0).column(i).physical_type for i in range(3)] for path in (file, output)]
    assert types[0] == types[1]
    scored = spark.read.parquet(str(output))
    assert scored.schema == scored_schema(frame.schema)
    assert [tuple(row)[:3] for row in scored.collect()] == [tuple(row) for row in frame.collect()]
    assert all(row["alinfik_score"] is not None for row in scored.collect())
