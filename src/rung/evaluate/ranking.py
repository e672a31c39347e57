"""How well a class's probability ranks its images before the others: ROC curves and the area under them, one class against the rest."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from rung.evaluate.intervals import Value, logit_interval, without_interval
from rung.evaluate.predictions import Predictions

_METHOD = "DeLong's variance, on the logit scale"


@dataclass(frozen=True)
class Roc:
    """One class's ROC curve, thinned for drawing: ascending shares 0..1 of the other and of the class's own images that are let through."""

    name: str
    false_positive: tuple[float, ...]
    true_positive: tuple[float, ...]


def areas(probabilities: npt.NDArray[np.float64], labels: npt.NDArray[np.int64], classes: tuple[str, ...], level: float) -> tuple[list[Value], Value]:
    """Return each class's area under the ROC curve and their mean, from probabilities (N,K) and labels (N,).

    An area is not defined for a class without images or without others. The variance is DeLong's (DeLong, DeLong and
    Clarke-Pearson, Biometrics 44, 1988); that of the mean adds up what each image does to all areas, so that it knows their correlation.
    """
    each: list[Value] = []
    influence = np.zeros(len(labels))
    known: list[float] = []
    smallest = np.inf
    for k, name in enumerate(classes):
        own = labels == k
        count, others = int(own.sum()), int((~own).sum())
        if not count or not others:
            each.append(without_interval(None, level, f"no image of {name}" if not count else f"every image is of {name}"))
            continue
        area, shares = _area(probabilities[own, k], probabilities[~own, k])
        known.append(area)
        smallest = min(smallest, count, others)
        if smallest > 1:
            influence[own] += shares[0]
            influence[~own] += shares[1]
        if min(count, others) < 2:
            each.append(without_interval(area, level, f"one image of {name if count < 2 else 'the others'} has no spread"))
        else:
            variance = float((shares[0] ** 2).sum() + (shares[1] ** 2).sum())
            each.append(logit_interval(area, variance, min(count, others), level, _METHOD))
    return each, _mean(each, known, influence, smallest, classes, level)


def _area(own: npt.NDArray[np.float64], others: npt.NDArray[np.float64]) -> tuple[float, tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]]:
    """Return the area and what each image adds to its deviation; the squares of these sum to DeLong's variance."""
    own_sorted, others_sorted = np.sort(own), np.sort(others)
    below = (np.searchsorted(others_sorted, own) + np.searchsorted(others_sorted, own, side="right")) / (2 * len(others))
    above = 1 - (np.searchsorted(own_sorted, others) + np.searchsorted(own_sorted, others, side="right")) / (2 * len(own))
    area = float(below.mean())
    shares = [(part - area) / np.sqrt(len(part) * max(len(part) - 1, 1)) for part in (below, above)]
    return area, (shares[0], shares[1])


def _mean(each: list[Value], known: list[float], influence: npt.NDArray[np.float64], smallest: float, classes: tuple[str, ...], level: float) -> Value:
    missing = {name: value.reason for name, value in zip(classes, each, strict=True) if value.value is None}
    why = next((text for text in missing.values() if text.startswith("every")), "without images")
    reason = f"not over {', '.join(missing)}: {why}" if missing else ""
    if not known:
        return replace(without_interval(None, level, reason), classes=0)
    mean = float(np.mean(known))
    if smallest < 2:
        single = [name for name, value in zip(classes, each, strict=True) if value.value is not None and value.low is None]
        reason = "; ".join(filter(None, [reason, f"one image has no spread ({', '.join(single)})"]))
        return replace(without_interval(mean, level, reason), classes=len(known))
    variance = float((influence**2).sum()) / len(known) ** 2
    return replace(logit_interval(mean, variance, smallest, level, _METHOD), reason=reason, classes=len(known))


def roc(predictions: Predictions, points: int = 200) -> tuple[Roc, ...]:
    """Return the ROC curve of every class that has one, each of at most `points` >= 3 points, the first (0, 0) and the last (1, 1)."""
    probabilities = predictions.probabilities()
    curves = []
    for k, name in enumerate(predictions.classes):
        own = predictions.labels == k
        if own.any() and not own.all():
            false_positive, true_positive = _curve(probabilities[:, k], own)
            keep = _thin(false_positive + true_positive, points)
            curves.append(Roc(name, tuple(false_positive[keep].tolist()), tuple(true_positive[keep].tolist())))
    return tuple(curves)


def _curve(scores: npt.NDArray[np.float64], own: npt.NDArray[np.bool_]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    order = np.argsort(-scores, kind="stable")
    last_of_ties = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
    hits = np.cumsum(own[order])[last_of_ties]
    false = last_of_ties + 1 - hits
    return np.append(0.0, false / false[-1]), np.append(0.0, hits / hits[-1])


def _thin(along: npt.NDArray[np.float64], points: int) -> npt.NDArray[np.int64]:
    """Return positions of at most `points` points, evenly spaced along the curve's length (0..2), both ends among them."""
    if len(along) <= points:
        return np.arange(len(along))
    nearest = np.searchsorted(along, np.linspace(0, along[-1], points))
    return np.unique(np.append(nearest[:-1], len(along) - 1))
