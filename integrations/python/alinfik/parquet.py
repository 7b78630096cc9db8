"""Scores Parquet files, row group by row group.

Each file is written to the folder of --output-dir under its own name, when it is whole: its columns, types, row
groups and metadata as they were, and the columns alinfik_score, alinfik_low, alinfik_high (double), alinfik_ood
and alinfik_truncated (boolean), alinfik_tokens (64 bits), alinfik_valuator and alinfik_error (string), null where the
valuator gives none.
"""

import argparse
import json
import os
import sys

import pyarrow as pa
import pyarrow.parquet as pq

from alinfik.arrow import SCORE_FIELDS, add_scores, scored_schema, text_columns
from alinfik.scorer import SCORE_KEYS, Scorer, ScorerError

USAGE, BAD_DATA, MISSING_INPUT, INTERNAL, INPUT_OUTPUT = 64, 65, 66, 70, 74
SPARK_SCHEMA = b"org.apache.spark.sql.parquet.row.metadata"


class Refusal(Exception):
    """A message for the user and the exit code that goes with it."""

    def __init__(self, exit_code, message):
        super().__init__(message)
        self.exit_code = exit_code


def score_file(source, output, scorer, text_field=None, mark_errors=True):
    """Scores one file; returns how many rows it has, and how many of them have no score.

    `output` is replaced when the whole file is written; what is not whole is removed. With `mark_errors` false the
    first row that cannot be scored raises `Refusal`.
    """
    partial = f"{output}.partial"
    rows = errors = 0
    try:
        with pq.ParquetFile(source) as file:
            with pq.ParquetWriter(partial, output_schema(file), **writer_options(file)) as writer:
                for index in range(file.num_row_groups):
                    table = add_scores(file.read_row_group(index), scorer, text_field)
                    bad = table["alinfik_error"].is_valid()
                    if not mark_errors and (first := bad.index(True).as_py()) >= 0:
                        reason = table["alinfik_error"][first]
                        raise Refusal(BAD_DATA, f"{source}: row {rows + first} (the first is 0): {reason}")
                    writer.write_table(table, row_group_size=max(1, len(table)))
                    rows += len(table)
                    errors += sum(bad.to_pylist())
        os.replace(partial, output)
    finally:
        if os.path.exists(partial):
            os.remove(partial)
    return rows, errors


def output_schema(file):
    """The file's schema with score columns. Spark reads a file by the schema in its metadata, so they go there too."""
    schema = scored_schema(file.schema_arrow)
    metadata = dict(schema.metadata or {})
    if SPARK_SCHEMA in metadata:
        struct = json.loads(metadata[SPARK_SCHEMA])
        types = {pa.float64(): "double", pa.int64(): "long", pa.bool_(): "boolean", pa.string(): "string"}
        struct["fields"] = [field for field in struct["fields"] if field["name"] not in SCORE_KEYS] + [
            {"name": field.name, "type": types[field.type], "nullable": True, "metadata": {}} for field in SCORE_FIELDS
        ]
        metadata[SPARK_SCHEMA] = json.dumps(struct).encode()
    return schema.with_metadata(metadata or None)


def writer_options(file):
    """Each column's compression and the kind of timestamp, as in the file."""
    groups = file.metadata.num_row_groups
    columns = [file.metadata.row_group(0).column(i) for i in range(file.metadata.num_columns)] if groups else []
    compression = {column.path_in_schema: column.compression.replace("UNCOMPRESSED", "NONE") for column in columns}
    options = {"compression": compression} if columns else {}
    # Spark and Impala write timestamps so, and Spark does not read the nanoseconds that they would become.
    options["use_deprecated_int96_timestamps"] = any(column.physical_type == "INT96" for column in columns)
    return options


def planned(inputs, output_dir, force, text_field):
    """Pairs of input and output. Refuses before anything is scored or written."""
    pairs = [(source, os.path.join(output_dir, os.path.basename(source))) for source in inputs]
    for index, (source, output) in enumerate(pairs):
        if not os.path.isfile(source):
            raise Refusal(MISSING_INPUT, f"{source}: no such file")
        if output in [other for _, other in pairs[:index]]:
            raise Refusal(USAGE, f"{output}: two inputs would be written under this name")
        if os.path.exists(output) and os.path.samefile(source, output):
            raise Refusal(USAGE, f"{output}: this is an input")
        if os.path.exists(output) and not force:
            raise Refusal(USAGE, f"{output} exists; --force replaces it")
        try:
            text_columns(pq.read_schema(source), text_field)
        except (ValueError, pa.ArrowInvalid) as error:
            raise Refusal(BAD_DATA, f"{source}: {error}") from error
    return pairs


def main(arguments=None):
    """Returns the exit code, which means what those of `alinfik` mean."""
    parser = argparse.ArgumentParser(
        prog="python -m alinfik.parquet", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.error = lambda message: parser.exit(USAGE, f"{parser.format_usage()}error: {message}\n")
    parser.add_argument("valuator", help="the valuator's directory")
    parser.add_argument("inputs", nargs="+", metavar="file", help="Parquet files")
    parser.add_argument("--output-dir", required=True, metavar="dir", help="the folder that gets one file for each")
    parser.add_argument(
        "--text-field", metavar="column",
        help="the column of the texts, or a dot path into a column of structs (default: the columns text, messages, "
        "prompt and completion, or instruction, input and output)",
    )
    parser.add_argument("--pooling", choices=["mean", "max", "first"], default="mean", help="what the score of a text "
                        "longer than the valuator reads at once is made of, its windows (default: mean)")
    parser.add_argument("--on-error", choices=["fail", "mark"], default="fail", help="what to do with a row that "
                        "cannot be scored: fail, or mark it in alinfik_error (default: fail)")
    parser.add_argument("--force", action="store_true", help="replace outputs that exist")
    parser.add_argument("--threads", type=int, help="worker threads (default: all processors)")
    parser.add_argument("--command", default="alinfik", help="the alinfik executable (default: the one in PATH)")
    options = parser.parse_args(arguments)

    try:
        pairs = planned(options.inputs, options.output_dir, options.force, options.text_field)
        os.makedirs(options.output_dir, exist_ok=True)
        with Scorer(
            options.valuator, command=options.command, text_field=options.text_field, threads=options.threads,
            options=["--pooling", options.pooling]
        ) as scorer:
            for source, output in pairs:
                rows, errors = score_file(source, output, scorer, options.text_field, options.on_error == "mark")
                print(f"{source}: {rows} rows, {errors} without a score", file=sys.stderr)
    except Refusal as error:
        return _say(error, error.exit_code)
    except ScorerError as error:
        return _say(error, error.exit_code if (error.exit_code or 0) > 0 else INTERNAL)
    except (pa.ArrowInvalid, UnicodeDecodeError, TypeError) as error:
        return _say(error, BAD_DATA)
    except OSError as error:
        return _say(error, INPUT_OUTPUT)
    return 0


def _say(error, exit_code):
    print(f"error: {error}", file=sys.stderr)
    return exit_code


if __name__ == "__main__":
    sys.exit(main())
