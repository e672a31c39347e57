"""Scores of saved predictions: pure functions, the same numbers for the same predictions; docs/scores.md says when each misleads."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from rung.errors import RecipeError, RunError
from rung.evaluate import averages, intervals, ranking
from rung.evaluate import costs as cost_tables
from rung.evaluate.calibration import brier, calibration_error
from rung.evaluate.intervals import Value, without_interval
from rung.evaluate.predictions import Predictions, problem
from rung.own import line, number

OwnMetric = Callable[[npt.NDArray[np.float64], npt.NDArray[np.int64]], float]
Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class ClassScores:
    """One class: `support` images are of it, `answered` images were called it."""

    name: str
    support: int
    answered: int
    precision: Value
    recall: Value
    f1: Value
    auc: Value


@dataclass(frozen=True)
class Scores:
    """All scores of one part; see docs/scores.md.

    confusion: counts, rows true, columns answered. costs: the table that `cost` was made with, rows true, columns answered.
    top_5: None where there are five classes or fewer; cost: None without a table. log_loss in nats.
    categories: the scores of the same answers as answers of coarser categories (docs/scores.md), None without them. twins: images that have a near-duplicate
    among those that were fitted on; without_twins: some scores of all others, empty where there are none.
    """

    part: str
    classes: tuple[str, ...]
    images: int
    level: float
    accuracy: Value
    top_5: Value | None
    macro_precision: Value
    macro_recall: Value
    macro_f1: Value
    weighted_precision: Value
    weighted_recall: Value
    weighted_f1: Value
    macro_auc: Value
    log_loss: Value
    calibration_error: Value
    brier: Value
    cost: Value | None
    per_class: tuple[ClassScores, ...]
    confusion: tuple[tuple[int, ...], ...]
    costs: tuple[tuple[float, ...], ...] | None = None
    own: Mapping[str, Value] = field(default_factory=dict)
    twins: int = 0
    without_twins: Mapping[str, Value] = field(default_factory=dict)
    categories: Scores | None = None

    def values(self) -> dict[str, Value]:
        """Return the scores over all classes that there are, by name, one's own last."""
        named = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {name: value for name, value in named.items() if isinstance(value, Value)} | dict(self.own)

    def table(self) -> list[dict[str, Any]]:
        """Return one row a class: name, support, answered, and each score with its bounds (precision, precision_low, precision_high, ..)."""
        rows = []
        for scores in self.per_class:
            row: dict[str, Any] = {"class": scores.name, "support": scores.support, "answered": scores.answered}
            for name in ("precision", "recall", "f1", "auc"):
                value: Value = getattr(scores, name)
                row |= {name: value.value, f"{name}_low": value.low, f"{name}_high": value.high}
            rows.append(row)
        return rows

    def to_json(self) -> dict[str, Any]:
        """Return plain values, floats and None (never NaN), in a fixed order; `from_json` gives an equal record back."""
        return {name: _plain(getattr(self, name)) for name in self.__dataclass_fields__}

    @staticmethod
    def from_json(values: Mapping[str, Any]) -> Scores:
        """Return the record that `to_json` wrote.

        Raises: RunError if something is missing or of another kind.
        """
        try:
            return _from_json(dict(values))
        except (TypeError, KeyError, ValueError, AttributeError) as error:
            raise RunError(f"these are not scores that rung wrote ({error}): score the run again") from None


def _plain(value: Any) -> Any:
    if isinstance(value, Value | Scores):
        return value.to_json()
    if isinstance(value, ClassScores):
        return {name: _plain(getattr(value, name)) for name in value.__dataclass_fields__}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return {name: _plain(item) for name, item in value.items()} if isinstance(value, Mapping) else value


_MADE_AGAIN = ("classes", "per_class", "confusion", "costs", "own", "without_twins", "categories")


def _from_json(values: dict[str, Any]) -> Scores:
    def value(item: Any) -> Any:
        return Value(**item) if isinstance(item, Mapping) and "covers" in item else item

    classes = [ClassScores(**{name: value(item) for name, item in row.items()}) for row in values["per_class"]]
    return Scores(
        **{name: value(item) for name, item in values.items() if name not in _MADE_AGAIN},
        classes=tuple(values["classes"]),
        per_class=tuple(classes),
        confusion=tuple(map(tuple, values["confusion"])),
        costs=None if values["costs"] is None else tuple(map(tuple, values["costs"])),
        own={name: Value(**item) for name, item in values["own"].items()},
        without_twins={name: Value(**item) for name, item in values.get("without_twins", {}).items()},
        categories=Scores.from_json(values["categories"]) if values.get("categories") else None,
    )


def score(
    predictions: Predictions,
    costs: npt.ArrayLike | None = None,
    level: float = 0.95,
    *,
    own: Mapping[str, OwnMetric] | None = None,
) -> Scores:
    """Return all scores of predictions, each with an interval at `level` over images.

    costs: (K,K), rows true, columns answered. own: one's own metrics, f(probabilities float64 (N,K), labels int64 (N,)) -> number.

    Raises: RunError for no or unsound predictions, DataError for costs that do not fit, RecipeError for a level outside 0..1 or an own
    metric that fails or gives no finite number.
    """
    if not 0 < level < 1:
        raise RecipeError(f"level = {level}: expected a share between 0 and 1, such as 0.95")
    if trouble := problem(predictions):
        raise RunError(f"cannot score these predictions: {trouble}")
    if not len(predictions.labels):
        raise RunError(f"there are no {predictions.part} images: nothing to score")
    if taken := sorted(set(own or {}) & set(Scores.__dataclass_fields__)):
        raise RecipeError(f"your metric cannot be named '{taken[0]}': rung's own score has that name")
    labels, answers, probabilities = predictions.labels, predictions.answers(), predictions.probabilities()
    confusion = confusion_table(predictions)
    table = None if costs is None else cost_tables.checked(costs, len(predictions.classes))
    aucs, macro_auc = ranking.areas(probabilities, labels, predictions.classes, level)
    accuracy = intervals.wilson(int(np.trace(confusion)), len(labels), level)
    means = averages.means(confusion, predictions.classes, level)
    return Scores(
        part=predictions.part,
        classes=predictions.classes,
        images=len(labels),
        level=level,
        accuracy=accuracy,
        top_5=_top(predictions, 5, level),
        **means,
        macro_auc=macro_auc,
        log_loss=intervals.t_interval(predictions.losses(), level, 0.0),
        calibration_error=calibration_error(probabilities[np.arange(len(labels)), answers], answers == labels, level),
        brier=intervals.t_interval(brier(probabilities, labels), level, 0.0),
        cost=None if table is None else cost_tables.cost(confusion, table, level),
        per_class=_per_class(confusion, predictions.classes, aucs, level),
        confusion=tuple(map(tuple, confusion.tolist())),
        costs=None if table is None else tuple(map(tuple, table.tolist())),
        own={name: _own(name, metric, probabilities, labels, level) for name, metric in (own or {}).items()},
        twins=0,
        without_twins={},
        categories=None,
    )


def confusion_table(predictions: Predictions) -> Integers:
    """Return the counts (K,K), rows true, columns answered."""
    size = len(predictions.classes)
    return np.bincount(predictions.labels * size + predictions.answers(), minlength=size * size).reshape(size, size)


def _top(predictions: Predictions, count: int, level: float) -> Value | None:
    """Among equal logits the class that comes first in order ranks first, as in `answers`."""
    logits, labels = predictions.logits, predictions.labels
    if logits.shape[1] <= count:
        return None
    true = logits[np.arange(len(labels)), labels][:, None]
    earlier = np.arange(logits.shape[1]) < labels[:, None]
    rank = ((logits > true) | ((logits == true) & earlier)).sum(axis=1)
    return intervals.wilson(int((rank < count).sum()), len(labels), level)


def _per_class(confusion: Integers, classes: Sequence[str], aucs: Sequence[Value], level: float) -> tuple[ClassScores, ...]:
    support, answered = confusion.sum(axis=1).tolist(), confusion.sum(axis=0).tolist()
    rows = []
    for k, name in enumerate(classes):
        hits = int(confusion[k, k])
        absent, never = f"no image of {name}", f"{name} was never answered"
        rows.append(
            ClassScores(
                name=name,
                support=support[k],
                answered=answered[k],
                precision=intervals.share(hits, answered[k], level, never),
                recall=intervals.share(hits, support[k], level, absent),
                f1=intervals.f1(hits, support[k] + answered[k] - hits, level, f"{absent}, and it was never answered"),
                auc=aucs[k],
            )
        )
    return tuple(rows)


def _own(name: str, metric: OwnMetric, probabilities: Floats, labels: Integers, level: float) -> Value:
    """One's own metric, with a jackknife interval where there are 40 images and the metric stands being given 19 of 20."""
    whole = _called(name, metric, probabilities.copy(), labels.copy())
    if len(labels) < 40:
        return without_interval(whole, level, f"{len(labels)} images are too few for the jackknife")
    try:
        return intervals.jackknife(lambda rows: _called(name, metric, probabilities[rows], labels[rows]), whole, len(labels), level, f"interval of {name}")
    except RecipeError as error:
        return without_interval(whole, level, f"on a part of the images: {error}")


def _called(name: str, metric: OwnMetric, probabilities: Floats, labels: Integers) -> float:
    try:
        found = metric(probabilities, labels)
    except Exception as error:
        raise RecipeError(f"your metric '{name}' failed on {len(labels)} images: {type(error).__name__}: {error}{line(error)}") from error
    return number(name, found)
