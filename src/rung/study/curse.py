"""The winner's curse: the kept score is the best of several noisy ones, so it is expected to fall on test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rung.errors import RunError
from rung.study.measured import Floats, Measured
from rung.study.referee import amount
from rung.study.variance import image_share
from rung.words import percent, quoted


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
    """The networks of a ladder: their scores (K,), the variance of each one's noise (K,), and from which other each was made (-1: the first start)."""

    scores: Floats
    noise: Floats
    parents: tuple[int, ...]
    kept: int


def expected_fall(steps: Sequence[Decided], *, level: float = 0.95) -> Fall:
    """Return the expected fall of the score that a whole ladder ended with. Raises RunError without a step, or where nothing tells the noise.

    Each candidate's true score is its start's plus an effect, the effects of the ladder are normal about 0 with one unknown spread, and each score is the
    true one plus noise of its own. Given all scores, the true score of any network has a known mean, whichever was picked: a posterior mean is free of the
    winner's curse (B. Efron, "Tweedie's formula and selection bias", JASA 106, 2011). It is averaged over the spreads by their likelihood. Noise
    that all networks share (which images validation got) falls on all alike, is not part of this fall, and is not in its interval.
    """
    tree = _tree(steps)
    highest = max(float(np.abs(tree.scores - tree.scores[0]).max()), float(np.sqrt(tree.noise.max())), 1e-12)
    spreads = np.linspace(0.0, 2 * highest, 200)
    logs, means, variances = np.array([_posterior(tree, spread) for spread in spreads]).T
    weights = np.exp(logs - logs.max())
    weights /= weights.sum()
    mean = float(weights @ means)
    low, high = _quantiles(weights, means, np.sqrt(variances), level)
    name, share = steps[-1].kept, steps[0].start.share
    score = float(tree.scores[tree.kept])
    shown = f"{percent(score, 2)}" if share else amount(score, share)
    bounds = f"{amount(score - high, share)} to {amount(score - low, share)} at {percent(level, 0)} confidence"
    chosen = f"chosen among {len(tree.scores)} by noisy scores, it is expected to fall by {amount(score - mean, share)} ({bounds})"
    reason = f"{quoted(name)} has {shown} on validation; {chosen}."
    return Fall(score - mean, score - high, score - low, level, score, mean, reason)


def _tree(steps: Sequence[Decided]) -> _Tree:
    if not steps:
        raise RunError("a ladder without a step has no winner: its score is not expected to fall")
    seeds, images = _noise(steps)
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
    return _Tree(np.array(scores), np.array(noise), tuple(parents), current)


def _noise(steps: Sequence[Decided]) -> tuple[float, float]:
    """Return the variance of one network's score over seeds, and what the images add to that of its mean: halves of those of the differences, on the mean."""
    squares, freedom, images = 0.0, 0, []
    for step in steps:
        for candidate in step.candidates:
            start = step.start.take(candidate.seeds)
            differences = candidate.values - start.values
            if not differences.any():
                continue
            squares += float(((differences - differences.mean()) ** 2).sum())
            freedom += len(differences) - 1
            if candidate.images is not None and start.images is not None and candidate.images.shape == start.images.shape:
                images.append(image_share(candidate.images - start.images).added)
    if not freedom and not images:
        raise RunError("one seed and no images tell nothing of the noise: the expected fall is not known")
    return (squares / freedom / 2 if freedom else 0.0), (float(np.mean(images)) / 2 if images else 0.0)


def _posterior(tree: _Tree, spread: float) -> tuple[float, float, float]:
    """Return, for one spread of effects: the log likelihood (the first start's score is free), mean and variance of the kept one's true score."""
    count = len(tree.scores)
    ways = np.zeros((count, count))  # which effects make up each network
    for node, parent in enumerate(tree.parents):
        if parent >= 0:
            ways[node] = ways[parent]
            ways[node, node] = 1.0
    effects = spread**2 * ways @ ways.T
    whole = effects + np.diag(np.maximum(tree.noise, 1e-18))
    inverse = np.linalg.inv(whole)
    ones = inverse.sum(axis=1)
    total = float(ones.sum())
    level = float(ones @ tree.scores) / total
    rest = tree.scores - level
    log = -0.5 * (float(np.linalg.slogdet(whole)[1]) + np.log(total) + float(rest @ inverse @ rest))
    gain = effects[tree.kept] @ inverse
    left = 1.0 - float(gain.sum())
    variance = float(effects[tree.kept, tree.kept] - gain @ effects[tree.kept]) + left**2 / total
    return log, level + float(gain @ rest), max(variance, 0.0)


def _quantiles(weights: Floats, means: Floats, deviations: Floats, level: float) -> tuple[float, float]:
    """Return the two ends that leave (1 - level) / 2 of a mixture of normals outside each."""
    from scipy.optimize import brentq
    from scipy.special import ndtr

    deviations = np.maximum(deviations, 1e-12)
    lowest, highest = float((means - 10 * deviations).min()), float((means + 10 * deviations).max())

    def beyond(x: float, tail: float) -> float:
        return float(weights @ ndtr((x - means) / deviations)) - tail

    low, high = (float(brentq(beyond, lowest, highest, args=(tail,))) for tail in ((1 - level) / 2, (1 + level) / 2))
    return low, high
