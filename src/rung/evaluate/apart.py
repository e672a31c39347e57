"""Scores of the images that have no near-duplicate among those that were fitted on."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
import numpy.typing as npt

from rung.evaluate.metrics import Scores, score
from rung.evaluate.predictions import Predictions

SHOWN: Final = ("accuracy", "macro_f1", "log_loss")


def with_twins_apart(scores: Scores, predictions: Predictions, twin: npt.NDArray[np.bool_]) -> Scores:
    """Return the scores with those of the rows without a twin beside them; twin: bool (N,), which rows have one. Without any, as they are."""
    if not twin.any():
        return scores
    if twin.all():
        return replace(scores, twins=len(twin))
    rest = score(predictions.take(~twin), level=scores.level)
    return replace(scores, twins=int(twin.sum()), without_twins={name: getattr(rest, name) for name in SHOWN})
