"""The 95 % interval of a statistic, by drawing its rows again and again."""

import numpy as np


def interval(statistic, *sizes, draws=1000, generator=None):
    """`statistic` takes one array of row numbers for each of `sizes`; where it is None a draw is taken again."""
    generator = generator or np.random.default_rng(0)
    values = []
    while len(values) < draws:
        value = statistic(*(generator.integers(size, size=size) for size in sizes))
        if value is not None:
            values.append(value)
    low, high = np.nanpercentile(values, [2.5, 97.5])
    return {"low": low, "high": high}
