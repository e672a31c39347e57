"""How many labels are wrong, from what a classifier says of images that it was not trained on.

A label is either right, and then follows the classifier's probabilities, or it was drawn blindly, whatever the image shows. How many are of the second
kind, and the probabilities themselves, are fitted together by maximum likelihood; then each label has a probability of being blind. Hard images, which
the classifier finds hard too, are so told from wrong labels, which stand out where it is sure. (A mixture with a uniform part, as in C. Northcutt, L. Jiang
and I. Chuang, "Confident learning", JAIR 70, 2021, for the setting; the blind part for "outliers" is older: J. Copas, JRSS B 50, 1988.)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from rung import keys

_MAX_ROWS: Final = 20_000  # that the model is fitted on
_FOLDS: Final = 3
_STEPS: Final = 60  # of L-BFGS
_PRIOR: Final = 1.0  # penalty of what the scores of classes mix, times the classes
LEVEL: Final = 0.95  # of the range of a share
_HALF_WIDTH: Final = 1.96  # standard deviations, at this level
_START: Final = -4.0  # logit of the share of blind labels to begin with

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Vector = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Model:
    """scores (n,K) @ mixing (K,K) + offset (K,) are the logits of right labels; share: of blind labels, 0..1."""

    mixing: Vector
    offset: Vector
    share: float


@dataclass(frozen=True)
class LabelNoise:
    """What was fitted, each label judged by a model that did not see it.

    share: of blind labels, 0..1. own, other: float64 (n,), the probability of each label if right, and if blind. likely: int64 (n,), the likeliest class.
    """

    share: float
    own: Vector
    other: Vector
    likely: Ints

    @property
    def blind(self) -> Vector:
        """The probability of each label to be blind, float64 (n,)."""
        wrong = self.share * self.other
        return wrong / (wrong + (1 - self.share) * self.own)

    def more_than(self, share: float) -> float:
        """Return how many standard deviations the share of blind labels is above `share`, 0 if it is not: the root of the likelihood ratio."""
        if self.share <= share:
            return 0.0
        return float(np.sqrt(max(0.0, 2 * (_likelihood(self.share, self.own, self.other) - _likelihood(share, self.own, self.other)))))

    def range(self) -> tuple[float, float]:
        """Return the lowest and highest share of blind labels that is less than 1.96 standard deviations from the likeliest, by the likelihood ratio."""
        from scipy.optimize import brentq

        best = _likelihood(self.share, self.own, self.other)

        def beyond(share: float) -> float:
            return float(np.sqrt(max(0.0, 2 * (best - _likelihood(share, self.own, self.other))))) - _HALF_WIDTH

        few, many = 1e-9, 1 - 1e-9
        low = brentq(beyond, few, self.share) if beyond(few) > 0 else 0.0
        return float(low), float(brentq(beyond, self.share, many) if beyond(many) > 0 else 1.0)


def estimate(scores: Floats, labels: Ints, seed: int) -> LabelNoise:
    """Judge labels int64 (n,) by scores (n,K) that no row's own label had a part in."""
    from scipy.optimize import minimize_scalar

    scores = scores / max(float(scores.std()), 1e-9)
    fold = keys.permutation(seed, "label noise", 0, len(labels)) % _FOLDS
    own, likely = np.zeros(len(labels)), np.zeros(len(labels), np.int64)
    for k in range(_FOLDS):
        seen, judged = np.flatnonzero(fold != k)[:_MAX_ROWS], np.flatnonzero(fold == k)
        right = _probabilities(scores[judged], _fitted(scores[seen], labels[seen]))
        own[judged] = right[np.arange(len(judged)), labels[judged]]
        likely[judged] = right.argmax(1)
    other = _shares(labels, scores.shape[1])[labels]
    best = minimize_scalar(lambda share: -_likelihood(share, own, other), bounds=(0, 1), method="bounded", options={"xatol": 1e-5})
    return LabelNoise(float(best.x), own, other, likely)


@dataclass(frozen=True)
class Exchange:
    """How many images of two classes carry the label of the other one.

    first, second: share, 0..0.5, of images of the second class that are labelled as the first, and the reverse. gain: log likelihood ratio against none.
    wrong: float64 (n,), the probability of each label to be wrong.
    """

    first: float
    second: float
    gain: float
    wrong: Vector


def exchange(difference: Vector, is_first: npt.NDArray[np.bool_]) -> Exchange:
    """Fit how often labels of two classes are exchanged; difference float64 (n,): score of the first class less that of the second, of images of both.

    Where labels are right, the log odds of a label are taken to be linear in the difference, so that they leave no doubt where it is large; a share of
    doubt that stays there is that of exchanged labels. (J. Copas, "Binary regression models for contaminated data", JRSS B 50, 1988.)
    """
    from scipy.optimize import minimize
    from scipy.special import expit

    place = (difference - difference.mean()) / max(float(difference.std()), 1e-9)

    def shares(values: Vector) -> tuple[float, float]:
        return (0.5 * float(expit(values[2])), 0.5 * float(expit(values[3]))) if len(values) > 2 else (0.0, 0.0)

    def loss(values: Vector) -> float:
        first, second = shares(values)
        probability = first + (1 - first - second) * expit(values[0] * place + values[1])
        return -float(np.log(np.clip(np.where(is_first, probability, 1 - probability), 1e-12, 1)).sum())

    plain = minimize(loss, np.array([2.0, 0.0]), method="L-BFGS-B")
    starts = (np.array([2 * plain.x[0], plain.x[1], -2, -2]), np.array([*plain.x, -4, -4]))
    best = min((minimize(loss, start, method="L-BFGS-B") for start in starts), key=lambda found: float(found.fun))
    first, second = shares(best.x)
    right = (1 - first - second) * expit(best.x[0] * place + best.x[1])
    wrong = np.where(is_first, first / np.maximum(first + right, 1e-12), second / np.maximum(1 - first - right, 1e-12))
    own = expit(best.x[0] * place + best.x[1])
    wrong *= np.where(is_first, 1 - own, own)
    return Exchange(first, second, float(plain.fun - best.fun), wrong)


def _likelihood(share: float, own: Vector, other: Vector) -> float:
    return float(np.log((1 - share) * own + share * other).sum())


def _shares(labels: Ints, classes: int) -> Vector:
    shares: Vector = (np.bincount(labels, minlength=classes) + 1) / (len(labels) + classes)
    return shares


def _probabilities(scores: Floats, model: Model) -> Floats:
    logits: Floats = scores @ model.mixing.astype(np.float32) + model.offset.astype(np.float32)
    logits -= logits.max(1, keepdims=True)
    np.exp(logits, out=logits)
    logits /= logits.sum(1, keepdims=True)
    return logits


def _fitted(scores: Floats, labels: Ints) -> Model:
    """Return the likeliest model, by L-BFGS."""
    from scipy.optimize import minimize

    count, classes = scores.shape
    blind, rows, plain = _shares(labels, classes)[labels], np.arange(count), np.eye(classes)
    square, prior = classes * classes, _PRIOR * classes

    def unpack(values: Vector) -> Model:
        mixing = values[:square].reshape(classes, classes) + values[-1] * plain
        return Model(mixing, values[square:-2], float(1 / (1 + np.exp(-values[-2]))))

    def loss(values: Vector) -> tuple[float, Vector]:
        model, free = unpack(values), values[:square]
        right = _probabilities(scores, model)
        own = right[rows, labels].astype(np.float64)
        likelihood = (1 - model.share) * own + model.share * blind
        weight = (1 - model.share) * own / likelihood
        right *= weight.astype(np.float32)[:, None]
        right[rows, labels] -= weight.astype(np.float32)  # now the slope of the loss by the logits
        mixing = (scores.T @ right).astype(np.float64)
        by_share = -(model.share * (1 - model.share) * (blind - own) / likelihood).sum()
        gradient = np.concatenate([mixing.ravel() + prior * free, right.sum(0, dtype=np.float64), [by_share, np.trace(mixing)]])
        return float(-np.log(likelihood).sum() + prior / 2 * (free**2).sum()), gradient

    first = np.concatenate([np.zeros(square + classes), [_START, 2.0]])
    best = minimize(loss, first, jac=True, method="L-BFGS-B", options={"maxiter": _STEPS, "ftol": 1e-7})
    return unpack(best.x)
