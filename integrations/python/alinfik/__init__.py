"""Scores records with a valuator, by the command `alinfik score`, which must be installed.

The core (`Scorer`) needs the standard library alone. Each adapter needs its engine: `alinfik.parquet`,
`alinfik.ray`, `alinfik.spark`, `alinfik.datatrove`, `alinfik.onnx`.
"""

from alinfik.scorer import SCORE_KEYS, Scorer, ScorerError

__all__ = ["SCORE_KEYS", "Scorer", "ScorerError"]
__version__ = "0.1.0"
