"""The metrics that candidates are compared by: what each is in the saved answers of a run, higher is better once `sign` is put on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from rung.errors import RecipeError, did_you_mean
from rung.evaluate.averages import means
from rung.evaluate.metrics import confusion_table
from rung.evaluate.predictions import Predictions
from rung.recipe import Recipe
from rung.study.measured import Floats


@dataclass(frozen=True)
class Metric:
    """A metric by its name in scores.json; sign: -1.0 where lower is better.

    images: each image's share of the value, float64 (N,), whose mean over the images is the value; None where it is no mean over images.
    whole: the value of any predictions; None for one's own, which is only read. share: whether it is a share 0..1.
    """

    name: str
    score: str
    sign: float = 1.0
    images: Callable[[Predictions], Floats] | None = None
    whole: Callable[[Predictions], float] | None = None
    share: bool = True


def _right(predictions: Predictions) -> Floats:
    right: Floats = (predictions.answers() == predictions.labels).astype(np.float64)
    return right


def _balanced(predictions: Predictions) -> Floats:
    """Return right or wrong, each image weighted so that every class counts the same."""
    counts = np.bincount(predictions.labels, minlength=len(predictions.classes))
    weights = len(predictions.labels) / ((counts > 0).sum() * np.maximum(counts, 1))
    weighted: Floats = _right(predictions) * weights[predictions.labels]
    return weighted


def _mean(images: Callable[[Predictions], Floats]) -> Callable[[Predictions], float]:
    return lambda predictions: float(images(predictions).mean())


def _macro_f1(predictions: Predictions) -> float:
    return float(means(confusion_table(predictions), predictions.classes, 0.95)["macro_f1"].value or 0.0)


METRICS: Final = {
    metric.name: metric
    for metric in (
        Metric("accuracy", "accuracy", images=_right, whole=_mean(_right)),
        Metric("balanced_accuracy", "macro_recall", images=_balanced, whole=_mean(_balanced)),
        Metric("macro_f1", "macro_f1", whole=_macro_f1),
        Metric("loss", "log_loss", -1.0, images=Predictions.losses, whole=_mean(Predictions.losses), share=False),
    )
}


def metric_named(name: str) -> Metric:
    """Return a metric that rung brings, or one's own by its name, which is no mean over images and better where it is higher."""
    return METRICS.get(name, Metric(name, name, share=False))


def check_metric(name: str, recipe: Recipe) -> None:
    """Check that runs of this recipe have the metric; raises RecipeError with those they have."""
    known = [*METRICS, *(spec.rpartition(":")[2] for spec in recipe.train.metrics)]
    if name not in known:
        own = "" if recipe.train.metrics else 'Your own is one once the recipe names it, train.metrics = ["file.py:name"]'
        raise RecipeError(f"there is no metric '{name}': {did_you_mean(name, known, own)}")
