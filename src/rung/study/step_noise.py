"""What the networks of a climbed step show of the noise: how far scores fall apart by seeds alone, and how many seeds would show a difference."""

from __future__ import annotations

import math

import numpy as np

from rung.study.ladder import Ladder, LadderStep
from rung.study.metrics import metric_named
from rung.study.power import Estimate, Noise, seeds_needed, with_interval
from rung.study.referee import Difference


def seeds_for(ladder: Ladder, step: LadderStep, difference: Difference) -> Estimate | None:
    """Return how many seeds would show the difference that was found; None where it does not matter (inside the margin, or a worse one)."""
    noise = _noise(ladder, step)
    if difference.estimate <= ladder.plan.tie_margin or noise is None:
        return None
    return seeds_needed(noise, difference.estimate, candidates=len(step.candidates), step=step.number, level=ladder.plan.level)


def _noise(ladder: Ladder, step: LadderStep) -> Noise | None:
    """Return the noise of a step's networks as one pilot of as many seeds as they know of it together; None where none was seen."""
    found = pooled_deviation(step)
    if found is None or found[0] == 0:
        return None
    deviation, freedom = found
    metric = metric_named(ladder.plan.metric)
    return Noise(freedom + 1, metric.sign * step.start.mean, with_interval(deviation, freedom, 0.95), None, 0, metric.share)


def pooled_deviation(step: LadderStep) -> tuple[float, int] | None:
    """Return the standard deviation of a score over seeds, pooled over a step's networks, and its degrees of freedom; None where no network has two seeds."""
    networks = {one.runs: np.array(one.values) for one in (step.start, *step.candidates) if len(one.values) > 1}  # one network under two names counts once
    freedom = sum(len(values) - 1 for values in networks.values())
    if not freedom:
        return None
    return math.sqrt(sum(float(((values - values.mean()) ** 2).sum()) for values in networks.values()) / freedom), freedom


def band(step: LadderStep, level: float) -> tuple[float, float] | None:
    """Return between which scores the start would fall if it were trained again with as many other seeds, at `level`; None where no candidate has two.

    From the standard deviation over seeds, pooled over the candidates of the step; twice its variance, for the start's own mean is as uncertain.
    """
    from scipy.special import stdtrit

    found = pooled_deviation(step)
    if found is None or not step.start.values:
        return None
    deviation, freedom = found
    half = float(stdtrit(freedom, (1 + level) / 2)) * deviation * math.sqrt(2 / len(step.start.values))
    return step.start.mean - half, step.start.mean + half
