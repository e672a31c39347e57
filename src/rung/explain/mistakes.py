"""Where a network errs: which classes it confuses, which it does worse or better than on the mean, and its worst single answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from rung.evaluate import intervals
from rung.evaluate.intervals import Value
from rung.evaluate.predictions import Predictions


@dataclass(frozen=True)
class Pair:
    """Two classes and how often each is called the other.

    share: of all errors. hardest: the errors are too few to say that another pair is harder than this one.
    """

    first: str
    second: str
    first_as_second: int
    second_as_first: int
    share: Value
    hardest: bool

    @property
    def errors(self) -> int:
        """How many errors this pair has, both ways."""
        return self.first_as_second + self.second_as_first


@dataclass(frozen=True)
class Standing:
    """A class whose recall differs from the mean over classes; `value` has the exact interval, at its own level, that leaves the mean out."""

    name: str
    side: Literal["above", "below"]
    value: Value
    mean: float


@dataclass(frozen=True)
class Answer:
    """One answer.

    index: its place in the Predictions; row: its row of the ImageSet; confidence: probability 0..1 of the answered class, true_confidence: of the true one.
    """

    index: int
    row: int
    true: str
    answered: str
    confidence: float
    true_confidence: float


def pairs(confusion: npt.ArrayLike, classes: Sequence[str], level: float = 0.95) -> tuple[Pair, ...]:
    """Return the pairs of classes that are ever confused, most errors first, from counts (K,K), rows true, columns answered.

    A pair is among the hardest if a two-sided sign test does not tell its number of errors from the largest one, at 1 - level divided by
    the number of pairs that could have been it (Bonferroni): which pair comes first is often chance.
    """
    counts = np.asarray(confusion, dtype=np.int64)
    first, second = np.triu_indices(len(counts), 1)
    both = counts[first, second] + counts[second, first]
    order = np.argsort(-both, kind="stable")[: np.count_nonzero(both)]
    total = int(both.sum())
    return tuple(
        Pair(
            classes[first[i]],
            classes[second[i]],
            int(counts[first[i], second[i]]),
            int(counts[second[i], first[i]]),
            intervals.wilson(int(both[i]), total, level),
            _sign_test(int(both[order[0]]), int(both[i])) > (1 - level) / max(len(both) - 1, 1),
        )
        for i in order
    )


def _sign_test(larger: int, smaller: int) -> float:
    """Return the two-sided p-value of two counts being draws from one half each."""
    from scipy.special import bdtrc

    return min(1.0, 2 * float(bdtrc(larger - 1, larger + smaller, 0.5)))


def standings(confusion: npt.ArrayLike, classes: Sequence[str], level: float = 0.95) -> tuple[Standing, ...]:
    """Return the classes whose recall is above the mean over classes, best first, then those below it, worst first; often none.

    Only a class whose exact interval leaves out the mean is named: near 100 % an approximate one would name a class for a single error.
    The intervals are at 1 - (1 - level) / K: the chance to name any class by accident is 1 - level at most (Bonferroni).
    """
    counts = np.asarray(confusion, dtype=np.int64)
    hits, images = np.diag(counts).tolist(), counts.sum(axis=1).tolist()
    shares = {name: right / of for name, right, of in zip(classes, hits, images, strict=True) if of}
    if not shares:
        return ()
    mean, each = sum(shares.values()) / len(shares), 1 - (1 - level) / len(classes)
    bounds = {name: intervals.exact_bounds(right, of, each) for name, right, of in zip(classes, hits, images, strict=True) if of}

    def standing(name: str, side: Literal["above", "below"]) -> Standing:
        return Standing(name, side, intervals.with_interval(shares[name], *bounds[name], each, "Clopper and Pearson"), mean)

    above = [standing(name, "above") for name in sorted(shares, key=lambda name: -shares[name]) if bounds[name][0] > mean]
    below = [standing(name, "below") for name in sorted(shares, key=lambda name: shares[name]) if bounds[name][1] < mean]
    return (*above, *below)


def worst(predictions: Predictions, count: int) -> tuple[Answer, ...]:
    """Return at most `count` wrong answers, those given with the highest probability first."""
    probabilities, answered, classes = predictions.probabilities(), predictions.answers(), predictions.classes
    confidence = probabilities[np.arange(len(answered)), answered]
    wrong = np.flatnonzero(answered != predictions.labels)
    return tuple(
        Answer(
            index=i,
            row=int(predictions.rows[i]),
            true=classes[predictions.labels[i]],
            answered=classes[answered[i]],
            confidence=float(confidence[i]),
            true_confidence=float(probabilities[i, predictions.labels[i]]),
        )
        for i in wrong[np.argsort(-confidence[wrong], kind="stable")][:count].tolist()
    )
