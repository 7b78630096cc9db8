"""Scores a Spark data frame, or an RDD of JSON lines: each running task keeps one `alinfik score`.

    from alinfik.spark import score, score_lines, scored_schema

    scored = frame.mapInArrow(score("valuator"), scored_schema(frame.schema))
    lines = score_lines(spark.sparkContext.textFile("records.jsonl"), "valuator", command="/usr/local/bin/alinfik")
"""

import shlex

from alinfik.scorer import SCORE_KEYS, Scorer, arguments_of_score


def score(valuator, *, text_field=None, threads=1, **options):
    """The function to give `mapInArrow`. Rows keep their order within a partition.

    The arguments are those of `alinfik.Scorer`, but one thread is the default: Spark counts one processor for a
    task. This package, the command and the valuator must be at the same place on every node. Where the command
    ends, `ScorerError` fails the task; when Spark tries the task again, a new command scores all of its partition.
    """

    def score_partition(batches):
        from alinfik.arrow import add_scores

        scorer = None
        try:
            for batch in batches:
                # An empty partition needs no command.
                scorer = scorer or Scorer(valuator, text_field=text_field, threads=threads, **options)
                yield add_scores(batch, scorer, text_field)
        except BaseException:
            if scorer:
                scorer.kill()
            raise
        if scorer:
            scorer.close()

    return score_partition


def scored_schema(schema):
    """A data frame's schema without the columns of an earlier score, and with those that `score` adds."""
    from pyspark.sql.types import BooleanType, DoubleType, LongType, StringType, StructField, StructType

    added = [StructField(name, DoubleType()) for name in ("alinfik_score", "alinfik_low", "alinfik_high")]
    added += [
        StructField("alinfik_ood", BooleanType()), StructField("alinfik_tokens", LongType()),
        StructField("alinfik_truncated", BooleanType()), StructField("alinfik_valuator", StringType()),
        StructField("alinfik_error", StringType()),
    ]
    return StructType([field for field in schema if field.name not in SCORE_KEYS] + added)


def score_lines(lines, valuator, *, command="alinfik", text_field=None, threads=1, options=(), environment=None):
    """An RDD of the lines as `alinfik score` writes them, through `RDD.pipe`, without Python at the workers' texts.

    `checkCode=True` fails the task where the command fails; without it what is missing would go unnoticed. Spark
    starts the command with an empty environment, so give what it needs: `command` must be an absolute path, or
    `environment` have a PATH (and an LD_LIBRARY_PATH where the command needs one). Blank lines at the end of a
    partition are left out, and no line may hold a line end.
    """
    arguments = arguments_of_score(command, valuator, text_field=text_field, threads=threads, options=options)
    return lines.pipe(shlex.join(arguments), env=dict(environment or {}), checkCode=True)
