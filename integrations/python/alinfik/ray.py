"""Scores a Ray dataset: each actor keeps one `alinfik score` running.

    from alinfik.ray import Score

    scored = dataset.map_batches(
        Score, fn_constructor_args=["/data/valuator"], batch_format="pyarrow", batch_size=4096,
        compute=ray.data.ActorPoolStrategy(size=4))
"""

import pandas as pd
import pyarrow as pa

from alinfik.arrow import SCORE_FIELDS, add_scores, text_columns
from alinfik.scorer import SCORE_KEYS, Scorer, ScorerError


class Score:
    """The class to give `map_batches`, with `batch_format="pyarrow"` or `"pandas"`.

    Rows keep their order and get the columns of `alinfik.arrow.SCORE_FIELDS`. The arguments are those of
    `alinfik.Scorer`, but one thread is the default: Ray counts one processor for an actor, and waits for ever where
    there are as many actors as processors. The command and the valuator must lie at the same path on every node.
    Where the command ends, `ScorerError` fails the batch; when Ray tries the batch again, a new command scores all
    of it.
    """

    def __init__(self, valuator, *, text_field=None, threads=1, **options):
        self.text_field = text_field
        self._arguments = dict(options, valuator=valuator, text_field=text_field, threads=threads)
        self.scorer = Scorer(**self._arguments)

    def __call__(self, batch):
        if self.scorer is None:
            self.scorer = Scorer(**self._arguments)
        try:
            if isinstance(batch, pa.Table):
                return add_scores(batch, self.scorer, self.text_field)
            if isinstance(batch, pd.DataFrame):
                return self._frame(batch)
        except ScorerError:
            self.scorer = None
            raise
        raise TypeError('alinfik.ray.Score wants batch_format="pyarrow" or "pandas"')

    def _frame(self, frame):
        columns = text_columns(pa.schema([(str(name), pa.null()) for name in frame.columns]), self.text_field)
        texts = pa.Table.from_pandas(frame[columns], preserve_index=False)
        scored = add_scores(texts, self.scorer, self.text_field).select([field.name for field in SCORE_FIELDS])
        scores = scored.to_pandas(types_mapper={pa.bool_(): pd.BooleanDtype(), pa.int64(): pd.Int64Dtype()}.get)
        kept = frame.drop(columns=[name for name in SCORE_KEYS if name in frame.columns])
        return pd.concat([kept, scores.set_index(frame.index)], axis=1)
