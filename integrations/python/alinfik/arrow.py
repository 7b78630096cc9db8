"""Score columns for Arrow tables and record batches: what the adapters for Parquet, Ray and Spark share."""

import pyarrow as pa

from alinfik.scorer import SCORE_KEYS, text_keys

SCORE_FIELDS = [
    pa.field("alinfik_score", pa.float64()),
    pa.field("alinfik_low", pa.float64()),
    pa.field("alinfik_high", pa.float64()),
    pa.field("alinfik_ood", pa.bool_()),
    pa.field("alinfik_tokens", pa.int64()),
    pa.field("alinfik_truncated", pa.bool_()),
    pa.field("alinfik_valuator", pa.string()),
    pa.field("alinfik_error", pa.string()),
]
"""The columns that are added, whatever the valuator: null where it does not give one. All may be null."""


def scored_schema(schema):
    """`schema`, its metadata kept, without the columns of an earlier score and with `SCORE_FIELDS`."""
    kept = [field for field in schema if field.name not in SCORE_KEYS]
    return pa.schema(kept + SCORE_FIELDS, metadata=schema.metadata)


def text_columns(schema, text_field=None):
    """The columns that are sent to the command. Raises `ValueError` where there is none."""
    columns = [name for name in text_keys(text_field) if name in schema.names]
    if not columns:
        wanted = "no column " + " or ".join(text_keys(text_field))
        raise ValueError(f"{wanted} among {', '.join(schema.names)} (text_field names the one that holds the text)")
    return columns


def add_scores(table, scorer, text_field=None):
    """A table or record batch with the columns of `SCORE_FIELDS`; rows keep their order.

    `text_field` is the column of the texts, or a dot path into a column of structs, as the scorer was told.
    """
    texts = table.select(text_columns(table.schema, text_field))
    pieces = texts.to_batches(max_chunksize=1024) if isinstance(texts, pa.Table) else [texts]
    scores = {field.name: [] for field in SCORE_FIELDS}
    for answer in scorer.stream(record for piece in pieces for record in piece.to_pylist()):
        for name, values in scores.items():
            values.append(answer.get(name))
    columns = [table.column(i) for i, name in enumerate(table.schema.names) if name not in SCORE_KEYS]
    columns += [pa.array(scores[field.name], field.type) for field in SCORE_FIELDS]
    return type(table).from_arrays(columns, schema=scored_schema(table.schema))
