"""Parquet: what was in the file stays as it was, the scores are the command's, and no half file is ever seen."""

import datetime
import decimal
import json
import os
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from alinfik import arrow, parquet
from conftest import scores_of

SCORES = [field.name for field in arrow.SCORE_FIELDS]


@pytest.fixture
def run(command, valuator, capfd):
    """Calls the module in this process; returns exit code and standard error."""

    def run(*arguments, command=command, valuator=valuator):
        code = parquet.main([str(argument) for argument in (valuator, *arguments, "--command", command)])
        return code, capfd.readouterr().err

    return run


def rich_table(records):
    """A table with the types that get lost most easily."""
    count = len(records)
    when = datetime.datetime(2024, 2, 29, 12, 30, 15, 123456)
    schema = pa.schema(
        [
            pa.field("id", pa.int64(), nullable=False, metadata={"PARQUET:field_id": "7", "note": "of a field"}),
            pa.field("text", pa.large_string()),
            pa.field("kind", pa.dictionary(pa.int32(), pa.string())),
            pa.field("when", pa.timestamp("us", tz="Europe/Berlin")),
            pa.field("price", pa.decimal128(12, 3)),
            pa.field("small", pa.uint8()),
            pa.field("half", pa.float32()),
            pa.field("blob", pa.binary()),
            pa.field("day", pa.date32()),
            pa.field("spans", pa.list_(pa.struct([("start", pa.int32()), ("tags", pa.list_(pa.string()))]))),
            pa.field("alinfik_score", pa.string()),
        ],
        metadata={"owner": "somebody", "pandas": "{}"},
    )
    columns = [
        [record["id"] for record in records], [record["text"] for record in records],
        [["web", None, "book"][i % 3] for i in range(count)], [when] * count,
        [decimal.Decimal("123456789.125")] * count, [i % 256 for i in range(count)], [0.1] * count,
        [b"\xff\x00"] * count, [when.date()] * count,
        [[{"start": i, "tags": ["a", None]}] if i % 2 else None for i in range(count)], ["an old score"] * count,
    ]
    return pa.table([pa.array(values, field.type) for values, field in zip(columns, schema)], schema=schema)


@pytest.mark.parametrize("pooling", ["mean", "first"])
def test_long_texts_are_pooled_as_asked(run, by_command, tmp_path, pooling):
    rows = [{"id": 0, "text": "a cat " * 3000}, {"id": 1, "text": "a dog by the river"}]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "in.parquet")
    options = [] if pooling == "mean" else ["--pooling", pooling]  # the mean is what is given unasked
    code, said = run(tmp_path / "in.parquet", "--output-dir", tmp_path / "out", *options)
    assert code == 0, said
    scored = pq.read_table(tmp_path / "out" / "in.parquet")
    assert scores_of(scored.to_pylist()) == scores_of(by_command(rows, tmp_path, "--pooling", pooling))
    assert scored["alinfik_truncated"].to_pylist() == [pooling == "first", False]


def test_what_was_there_stays_and_scores_equal_the_commands(run, records, by_command, tmp_path):
    table = rich_table(records)
    pq.write_table(table, tmp_path / "in.parquet", row_group_size=300, compression={"text": "zstd", "id": "gzip"})
    code, said = run(tmp_path / "in.parquet", "--output-dir", tmp_path / "out", "--on-error", "mark")
    assert code == 0, said
    assert "700 rows, 2 without a score" in said
    file = pq.ParquetFile(tmp_path / "out" / "in.parquet")
    assert [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)] == [300, 300, 100]
    assert {file.metadata.row_group(0).column(i).compression for i in (0, 1)} == {"GZIP", "ZSTD"}
    scored = file.read()
    kept = [name for name in table.schema.names if name != "alinfik_score"]
    assert scored.schema.names == kept + SCORES
    assert scored.select(kept).equals(table.select(kept))
    for name in kept:
        assert scored.schema.field(name).equals(pq.read_schema(tmp_path / "in.parquet").field(name), check_metadata=True)
    assert scored.schema.metadata[b"owner"] == b"somebody" and scored.schema.metadata[b"pandas"] == b"{}"
    types = [str(scored.schema.field(name).type) for name in SCORES]
    assert types == ["double", "double", "double", "bool", "int64", "bool", "string", "string"]
    rows = scored.select(["id"] + SCORES).to_pylist()
    assert scores_of(rows) == scores_of(by_command(records, tmp_path))
    assert rows[300]["alinfik_error"] == "the text is empty" and scored["alinfik_score"].null_count == 2
    assert os.listdir(tmp_path / "out") == ["in.parquet"]


def test_prompts_messages_and_structs(run, by_command, tmp_path):
    exchanges = [{"prompt": f"who\n{i}", "completion": "the dog\u2028"} for i in range(5)]
    messages = [{"messages": [{"role": "user", "content": "who"}, {"role": "assistant", "content": "a cat"}]}] * 3
    nested = [{"body": {"words": "a cat by the moon", "other": 3}}] * 3
    for name, rows, options in [
        ("exchanges", exchanges, []), ("messages", messages, []), ("nested", nested, ["--text-field", "body.words"]),
    ]:
        pq.write_table(pa.Table.from_pylist(rows), tmp_path / f"{name}.parquet")
        code, said = run(tmp_path / f"{name}.parquet", "--output-dir", tmp_path / "out", *options)
        assert code == 0, said
        scored = pq.read_table(tmp_path / "out" / f"{name}.parquet").to_pylist()
        expected = scores_of(by_command(rows, tmp_path, *options))
        assert scores_of(scored) == expected and expected[0][1] is not None
        assert [{key: row[key] for key in rows[0]} for row in scored] == rows


def test_text_as_bytes_and_a_column_of_another_name(run, by_command, tmp_path):
    texts = ["a cat", "caf\u00e9 \u2028"]
    pq.write_table(pa.table({"body": [text.encode() for text in texts]}), tmp_path / "a.parquet")
    code, said = run(tmp_path / "a.parquet", "--output-dir", tmp_path / "out", "--text-field", "body")
    assert code == 0, said
    rows = pq.read_table(tmp_path / "out" / "a.parquet").to_pylist()
    assert scores_of(rows) == scores_of(by_command([{"text": text} for text in texts], tmp_path))
    pq.write_table(pa.table({"body": [b"\xff\xfe"]}), tmp_path / "b.parquet")
    code, said = run(tmp_path / "b.parquet", "--output-dir", tmp_path / "out", "--text-field", "body")
    assert code == 65 and "utf-8" in said
    code, said = run(tmp_path / "a.parquet", "--output-dir", tmp_path / "other")
    assert code == 65 and "no column text or" in said and not (tmp_path / "other").exists()


def test_files_without_rows(run, tmp_path):
    empty = pa.table({"id": pa.array([], pa.int64()), "text": pa.array([], pa.string())})
    pq.write_table(empty, tmp_path / "no-rows.parquet")
    with pq.ParquetWriter(tmp_path / "no-groups.parquet", empty.schema):
        pass
    inputs = [tmp_path / "no-rows.parquet", tmp_path / "no-groups.parquet"]
    code, said = run(*inputs, "--output-dir", tmp_path / "out")
    assert code == 0, said
    for path in inputs:
        scored = pq.read_table(tmp_path / "out" / path.name)
        assert len(scored) == 0 and scored.schema.equals(arrow.scored_schema(empty.schema))


def test_nothing_is_overwritten_without_force(run, tmp_path):
    pq.write_table(pa.table({"text": ["a cat"]}), tmp_path / "a.parquet")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.parquet").write_text("mine")
    code, said = run(tmp_path / "a.parquet", "--output-dir", tmp_path / "out")
    assert code == 64 and "--force" in said and (tmp_path / "out" / "a.parquet").read_text() == "mine"
    assert run(tmp_path / "a.parquet", "--output-dir", tmp_path / "out", "--force")[0] == 0
    assert pq.read_table(tmp_path / "out" / "a.parquet")["alinfik_score"].null_count == 0
    code, said = run(tmp_path / "a.parquet", "--output-dir", tmp_path, "--force")
    assert code == 64 and "is an input" in said
    code, said = run(tmp_path / "a.parquet", tmp_path / "out" / "a.parquet", "--output-dir", tmp_path / "new")
    assert code == 64 and "two inputs" in said and not (tmp_path / "new").exists()
    code, said = run(tmp_path / "none.parquet", "--output-dir", tmp_path / "new")
    assert code == 66 and "none.parquet" in said
    (tmp_path / "text.parquet").write_text("no Parquet")
    code, said = run(tmp_path / "text.parquet", "--output-dir", tmp_path / "new")
    assert code == 65 and "text.parquet" in said
    with pytest.raises(SystemExit) as ended:
        run(tmp_path / "a.parquet")
    assert ended.value.code == 64


def test_a_bad_row_fails_by_default(run, records, tmp_path):
    pq.write_table(pa.Table.from_pylist(records[6:]), tmp_path / "in.parquet", row_group_size=100)
    code, said = run(tmp_path / "in.parquet", "--output-dir", tmp_path / "out")
    assert code == 65 and "in.parquet: row 294 (the first is 0): the text is empty" in said
    assert os.listdir(tmp_path / "out") == []


def test_a_killed_command_leaves_no_file_and_the_next_run_all(run, records, by_command, killed_command, tmp_path):
    pq.write_table(pa.Table.from_pylist(records[:5]), tmp_path / "a.parquet")
    pq.write_table(pa.Table.from_pylist(records), tmp_path / "b.parquet", row_group_size=100)
    arguments = [tmp_path / "a.parquet", tmp_path / "b.parquet", "--output-dir", tmp_path / "out", "--on-error", "mark"]
    code, said = run(*arguments, command=killed_command())
    assert code == 70 and "SIGKILL" in said
    assert os.listdir(tmp_path / "out") == ["a.parquet"]
    assert run(*arguments, "--force")[0] == 0
    rows = pq.read_table(tmp_path / "out" / "b.parquet").to_pylist()
    assert scores_of(rows) == scores_of(by_command(records, tmp_path))
    code, said = run(*arguments, "--force", valuator=tmp_path / "nowhere")
    assert code == 66 and "no valuator" in said
    assert len(pq.read_table(tmp_path / "out" / "b.parquet")) == len(records), "what was whole stays"


def test_as_a_module(command, valuator, tmp_path):
    pq.write_table(pa.table({"text": ["a cat"]}), tmp_path / "a.parquet")
    environment = dict(os.environ, PATH=os.path.dirname(command) + os.pathsep + os.environ["PATH"])
    name = os.path.basename(command)
    result = subprocess.run(
        [sys.executable, "-m", "alinfik.parquet", valuator, "a.parquet", "--output-dir", "out", "--command", name],
        cwd=tmp_path, env=environment, stderr=subprocess.PIPE)
    assert result.returncode == 0 and b"a.parquet: 1 rows, 0 without" in result.stderr, result.stderr
    assert pq.read_table(tmp_path / "out" / "a.parquet").num_rows == 1


def test_metadata_that_spark_reads_by_has_the_columns(run, tmp_path):
    struct = {"type": "struct", "fields": [
        {"name": "text", "type": "string", "nullable": True, "metadata": {}},
        {"name": "alinfik_score", "type": "string", "nullable": True, "metadata": {}}]}
    table = pa.table({"text": ["a cat"], "alinfik_score": ["old"]})
    pq.write_table(table.replace_schema_metadata({parquet.SPARK_SCHEMA: json.dumps(struct)}), tmp_path / "a.parquet")
    assert run(tmp_path / "a.parquet", "--output-dir", tmp_path / "out")[0] == 0
    written = json.loads(pq.read_schema(tmp_path / "out" / "a.parquet").metadata[parquet.SPARK_SCHEMA])
    assert [(field["name"], field["type"]) for field in written["fields"]] == [
        ("text", "string"), ("alinfik_score", "double"), ("alinfik_low", "double"), ("alinfik_high", "double"),
        ("alinfik_ood", "boolean"), ("alinfik_tokens", "long"), ("alinfik_truncated", "boolean"),
        ("alinfik_valuator", "string"), ("alinfik_error", "string")]
