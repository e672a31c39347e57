"""The winner's curse: the kept score is the best of several noisy ones, so it is expected to fall on test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from rung.errors import RunError
from rung.study.amounts import range_text, size_text, value_text
from rung.study.measured import Floats, Measured
from rung.study.variance import expected_freedom, image_share
from rung.words import percent, quoted

_NO_NOISE: Final = 1e-18  # stands for a variance of 0
_SPREADS: Final = 200  # how many spreads of effects are tried, from none to twice the largest difference seen


@dataclass(frozen=True)
class Decided:
    """A step of a ladder that was decided; kept: name of its start or of one of its candidates. The start of the next step is the kept one."""

    start: Measured
    candidates: tuple[Measured, ...]
    kept: str


@dataclass(frozen=True)
class Fall:
    """By how much the kept one's validation score is expected to fall where it is measured anew (test); positive: it falls.

    low, high: the interval at `level`. score: the validation score, mean over seeds. expected: score - estimate. reason: one sentence.
    """

    estimate: float
    low: float
    high: float
    level: float
    score: float
    expected: float
    reason: str


@dataclass(frozen=True)
class _Tree:
    """The networks of a ladder: their scores (K,), the variance of each one's noise (K,) of so many degrees of freedom, and from which other each was made.

    parents: -1 for the first start.
    """

    scores: Floats
    noise: Floats
    parents: tuple[int, ...]
    kept: int
    freedom: float


def expected_fall(steps: Sequence[Decided], *, level: float = 0.95, called: str = "", sign: float = 1.0) -> Fall:
    """Return the expected fall of the score that a whole ladder ended with; none where all have the same score with every seed.

    called: the kept one in the sentence, if not by its name in its step. sign: -1.0 where lower is better and the scores are negated.

    Raises RunError without a step, or where one seed and no images tell nothing of the noise.

    Each candidate's true score is its start's plus an effect, the effects of the ladder are normal about 0 with one unknown spread, and each score is the
    true one plus noise of its own. Given all scores, the true score of any network has a known mean, whichever was picked: a posterior mean is free of the
    winner's curse (B. Efron, "Tweedie's formula and selection bias", JASA 106, 2011). It is averaged over the spreads by their likelihood and a half-Cauchy
    prior as wide as the noise (A. Gelman, "Prior distributions for variance parameters in hierarchical models", Bayesian Analysis 1, 2006).
    A share is not expected below 0 or above 1. Noise that all networks share (which images validation got) falls on all alike, is not part of this fall,
    and is not in its interval.
    """
    tree = _tree(steps)
    highest = max(float(np.abs(tree.scores - tree.scores[0]).max()), float(np.sqrt(tree.noise.max())))
    spreads = np.linspace(0.0, 2 * highest, _SPREADS)
    logs, means, variances = _posterior(tree, spreads)
    weights = np.exp(logs - logs.max()) / (1 + spreads**2 / tree.noise.mean())
    weights /= weights.sum()
    mean = float(weights @ means)
    low, high = _quantiles(weights, means, np.sqrt(variances), tree.freedom, level)
    if steps[0].start.share:
        mean, low, high = (min(max(value, 0.0), 1.0) for value in (mean, low, high))
    score = float(tree.scores[tree.kept])
    name = called or quoted(steps[-1].kept)
    has = value_text(sign * score, steps[0].start.share)
    changes = sorted((sign * (low - score), sign * (high - score)))
    moves = _moves(sign * (mean - score), changes[0], changes[1], level, steps[0].start.share)
    reason = f"{name} has {has} on validation; chosen among {len(tree.scores)} by noisy scores, it is expected to {moves}."
    return Fall(score - mean, score - high, score - low, level, score, mean, reason)


def _moves(change: float, low: float, high: float, level: float, share: bool) -> str:
    """Write how a score changes where it is measured anew: "fall by 0.31 points (−0.20 to +0.82 points at 95 % confidence)"."""
    rises = change > 0 and size_text(change, share) != size_text(0.0, share)
    bounds = range_text(low, high, share) if rises else range_text(-high, -low, share)
    return f"{'rise' if rises else 'fall'} by {size_text(abs(change), share)} ({bounds}{' points' if share else ''} at {percent(level, 0)} confidence)"


def _tree(steps: Sequence[Decided]) -> _Tree:
    if not steps:
        raise RunError("a ladder without a step has no winner: its score is not expected to fall")
    seeds, images, freedom = _noise(steps)
    scores, noise, parents = [steps[0].start.mean], [seeds / len(steps[0].start.seeds) + images], [-1]
    current = 0
    for step in steps:
        first = len(scores)
        for candidate in step.candidates:
            scores.append(candidate.mean)
            noise.append(seeds / len(candidate.seeds) + images)
            parents.append(current)
        names = [candidate.name for candidate in step.candidates]
        if step.kept in names:
            current = first + names.index(step.kept)
        elif step.kept != step.start.name:
            raise RunError(f"the kept one, {step.kept}, is neither the start {step.start.name} nor a candidate")
    return _Tree(np.array(scores), np.array(noise), tuple(parents), current, freedom)


def _noise(steps: Sequence[Decided]) -> tuple[float, float, float]:
    """Return the variance of one network's score over seeds, what the images add to that of its mean, and the degrees of freedom.

    Halves of those of the differences, on the mean over all candidates that are not the start under another name.
    """
    squares, count, freedom, images, sizes = 0.0, 0, 0.0, [], []
    for step in steps:
        pairs = [(step.start.take(candidate.seeds), candidate) for candidate in step.candidates]
        pairs = [(start, candidate) for start, candidate in pairs if (candidate.values - start.values).any()]
        for start, candidate in pairs:
            differences = candidate.values - start.values
            squares += float(((differences - differences.mean()) ** 2).sum())
            count += len(differences) - 1
            sizes.append(float(differences.mean()) ** 2)
            if candidate.images is not None and start.images is not None and candidate.images.shape == start.images.shape:
                images.append(image_share(candidate.images - start.images).added)
        if pairs:
            freedom += expected_freedom(max(len(candidate.seeds) for _, candidate in pairs), len(pairs))
    if sizes and not count and not images:
        raise RunError("one seed and no images tell nothing of the noise: the expected fall is not known; run a second seed")
    seeds, added = (squares / count / 2 if count else 0.0), (float(np.mean(images)) / 2 if images else 0.0)
    if sizes and seeds + added == 0:
        seeds = float(np.mean(sizes)) / 2  # as the referee does: no spread at all is sooner a coarse score than certainty
    return max(seeds, _NO_NOISE), added, max(freedom, 1.0)


def _posterior(tree: _Tree, spreads: Floats) -> tuple[Floats, Floats, Floats]:
    """Return, for each spread of effects: the log likelihood (the first start's score is free), mean and variance of the kept one's true score.

    With effects A, noise D and spread s, the scores' covariance is s^2 A + D; in the eigenvectors of D^-1/2 A D^-1/2 it is a diagonal for every s.
    """
    count = len(tree.scores)
    ways = np.zeros((count, count))  # which effects make up each network
    for node, parent in enumerate(tree.parents):
        if parent >= 0:
            ways[node] = ways[parent]
            ways[node, node] = 1.0
    alike = ways @ ways.T
    scale = 1 / np.sqrt(tree.noise)
    values, vectors = np.linalg.eigh(scale[:, None] * alike * scale)
    scores, ones, own = (vectors.T @ (scale * column) for column in (tree.scores - tree.scores[0], np.ones(count), alike[tree.kept]))
    squared = spreads**2
    weights = 1 / (1 + squared[:, None] * np.maximum(values, 0.0))
    total = weights @ ones**2
    level = weights @ (ones * scores) / total
    rest = scores - level[:, None] * ones
    logs = 0.5 * (np.log(weights).sum(axis=1) - np.log(total) - (weights * rest**2).sum(axis=1))
    means = tree.scores[0] + level + squared * (weights * own * rest).sum(axis=1)
    left = 1 - squared * (weights @ (own * ones))
    variances = squared * alike[tree.kept, tree.kept] - squared**2 * (weights @ own**2) + left**2 / total
    return logs, means, np.maximum(variances, 0.0)


def _quantiles(weights: Floats, means: Floats, deviations: Floats, freedom: float, level: float) -> tuple[float, float]:
    """Return the two ends that leave (1 - level) / 2 outside each, of a mixture of Student's t: the noise is an estimate too."""
    from scipy.optimize import brentq
    from scipy.special import stdtr, stdtrit

    deviations = np.maximum(deviations, 1e-12)
    reach = float(stdtrit(freedom, (1 + level) / 2)) * deviations

    def beyond(x: float, tail: float) -> float:
        return float(weights @ stdtr(freedom, (x - means) / deviations)) - tail

    lowest, highest = float((means - reach).min()), float((means + reach).max())
    low, high = (float(brentq(beyond, lowest, highest, args=(tail,))) for tail in ((1 - level) / 2, (1 + level) / 2))
    return low, high
