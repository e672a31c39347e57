"""Training curves as notebooks hold them: the columns of a log that are drawn, six figures each, and their mean over runs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

Log = Mapping[str, Sequence[float | None]]
Curves = dict[str, list[float | None]]

COLUMNS: Final = ("train_loss", "validation_loss", "train_accuracy", "validation_accuracy")


def rounded(value: float | None) -> float | None:
    """Return a number with six figures; None for one that is not finite, or not there."""
    return float(f"{value:.6g}") if value is not None and math.isfinite(value) else None


def curves_of(log: Log) -> Curves:
    """Return the columns of a log that are drawn."""
    return {name: [rounded(value) for value in log[name]] for name in COLUMNS if name in log}


def mean_curves(logs: Sequence[Log]) -> Curves:
    """Return the mean over runs of each column that is drawn, as far as the shortest goes; an epoch in which a run has no number has none."""
    made: Curves = {}
    for name in COLUMNS:
        columns = [log[name] for log in logs if log.get(name)]
        if columns:
            made[name] = [_mean(values) for values in zip(*columns, strict=False)]
    return made


def _mean(values: Sequence[float | None]) -> float | None:
    there = [value for value in values if value is not None]
    return rounded(sum(there) / len(there)) if len(there) == len(values) else None
