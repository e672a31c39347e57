"""Precision, recall and F1 as means over classes, with intervals from the confusion table alone: nothing is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np
import numpy.typing as npt

from rung.evaluate import intervals
from rung.evaluate.intervals import Value, without_interval

Floats = npt.NDArray[np.float64]

_METHOD: Final = "delta method, Wilson for the number of images that gives its variance"
_FEW: Final = 30  # images a class: below, simulations find intervals at 0.95 that hold 0.90 or less; docs/scores.md
_TOO_FEW: Final = 5  # below, 0.5 or less
_SMOOTHING: Final = 0.25  # right and wrong images that each class gets for the variance; without, 3 rare classes that happen to be all right look certain


def means(confusion: npt.NDArray[np.int64], classes: Sequence[str], level: float) -> dict[str, Value]:
    """Return macro_precision (every class counts alike), .., weighted_f1 (by support), each over the classes where it is defined.

    confusion: counts (K,K), rows true, columns answered, at least one image.
    """
    counts = confusion.astype(np.float64)
    found: dict[str, Value] = {}
    for kind in ("macro", "weighted"):
        for name in ("precision", "recall", "f1"):
            found[f"{kind}_{name}"] = _mean(counts, classes, name, kind == "weighted", level)
    # Recall weighted by support is the accuracy, to the last bit and with the same interval.
    accuracy = intervals.wilson(int(np.trace(confusion)), int(confusion.sum()), level)
    recall = found["weighted_recall"]
    found["weighted_recall"] = replace(accuracy, reason=_left_out(counts, classes, "recall"), classes=recall.classes)
    return found


def _mean(counts: Floats, classes: Sequence[str], name: str, weighted: bool, level: float) -> Value:
    defined = _ratio(counts, name)[1] > 0
    if weighted and not counts.sum(axis=1)[defined].any():
        return replace(without_interval(None, level, "no class that was answered has images"), classes=0)
    value, _, images = _change(counts, name, weighted, defined)
    a_class = counts.sum() / np.count_nonzero(counts.sum(axis=1))
    reasons = [_left_out(counts, classes, name)]
    if a_class < _TOO_FEW:
        reasons.append(f"{a_class:.2g} images a class are too few for an interval")
        mean = without_interval(value, level, "")
    else:
        smoothed = _smoothed(counts)
        variance = float((smoothed * _change(smoothed, name, weighted, defined)[1] ** 2).sum())
        mean = intervals.effective_wilson(value, variance, images, level, _METHOD)
        if a_class < _FEW:
            reasons.append(f"{a_class:.2g} images a class are few: the interval is somewhat too narrow")
    return replace(mean, reason="; ".join(filter(None, reasons)), classes=int(defined.sum()))


def _left_out(counts: Floats, classes: Sequence[str], name: str) -> str:
    missing = [label for label, below in zip(classes, _ratio(counts, name)[1], strict=True) if not below]
    why = {"precision": "never answered", "recall": "without images", "f1": "without images and never answered"}[name]
    return f"not over {', '.join(missing)}: {why}" if missing else ""


def _ratio(counts: Floats, name: str) -> tuple[Floats, Floats, float, float]:
    """Each class's numerator and denominator (K,), and what one image adds to its true and to its answered class's denominator.

    The numerator gains the sum of the two where the answer is right.
    """
    support, answered = counts.sum(axis=1), counts.sum(axis=0)
    hits: Floats = np.diag(counts)
    if name == "precision":
        return hits, answered, 0.0, 1.0
    if name == "recall":
        return hits, support, 1.0, 0.0
    return 2 * hits, support + answered, 1.0, 1.0


def _smoothed(counts: Floats) -> Floats:
    size = len(counts)
    pseudo = np.full((size, size), _SMOOTHING / max(size - 1, 1))
    np.fill_diagonal(pseudo, _SMOOTHING)
    smoothed: Floats = counts + pseudo * (counts.sum(axis=1) > 0)[:, None]
    return smoothed


def _change(counts: Floats, name: str, weighted: bool, defined: npt.NDArray[np.bool_]) -> tuple[float, Floats, float]:
    """Return the mean, how much one more image in each cell (K,K) would change it, and the number of images it stands for.

    The mean is homogeneous of degree 0 in the counts, so the variance is sum(counts * change**2): the delta method for a multinomial table.
    """
    above, below, by_true, by_answered = _ratio(counts, name)
    weights = np.where(defined, counts.sum(axis=1) if weighted else 1.0, 0.0)
    total = weights.sum()
    weights = weights / total
    safe = np.where(defined, below, 1.0)
    ratio = above / safe
    value = float((weights * ratio).sum())
    change = -weights * ratio / safe * by_answered + (-weights * ratio / safe * by_true)[:, None]
    np.fill_diagonal(change, change.diagonal() + weights / safe * (by_true + by_answered))
    if weighted:
        change += np.where(defined, (ratio - value) / total, 0.0)[:, None]
    return min(value, 1.0), change, 1 / float((weights**2 / safe).sum())
