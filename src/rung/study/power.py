"""What a pilot foretells: the smallest difference that can be seen with so many seeds, and how many seeds or images a difference needs.

A pilot of few seeds knows the noise badly. What is foretold is therefore the power on the mean over all noises that agree with the pilot (assurance:
A. O'Hagan, J. Stevens, M. Campbell, "Assurance in clinical trial design", Pharmaceutical Statistics 4, 2005), which is what is found on the mean over
pilots; the intervals say what the pilot leaves open.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from rung.errors import RunError
from rung.study.measured import Floats, Measured
from rung.study.referee import spending
from rung.study.variance import expected_freedom

_DRAWS: Final = 100  # quantiles that stand for all noises that agree with a pilot
_MOST_SEEDS: Final = 1_000_000


@dataclass(frozen=True)
class Estimate:
    """A number that a pilot foretells, with the interval that the pilot's own smallness leaves; high is infinite where it cannot be bounded."""

    value: float
    low: float
    high: float
    level: float


@dataclass(frozen=True)
class Noise:
    """How much a score changes by chance alone, from the seeds of one recipe.

    seeds: how many the pilot had. mean: of the score. deviation: standard deviation of the score over seeds, on the same images.
    discordant: mean squared difference of an image's share between two seeds (of accuracy: the share of images that one gets right and the other wrong);
    None without images. images: how many, 0 without.
    """

    seeds: int
    mean: float
    deviation: Estimate
    discordant: Estimate | None
    images: int
    share: bool


def noise_of(pilot: Measured, *, level: float = 0.95) -> Noise:
    """Return the noise of a pilot; level: of the intervals. Raises RunError with fewer than two seeds, or where all seeds have the same score."""
    n = len(pilot.seeds)
    if n < 2:
        raise RunError(f"{pilot.name}: a pilot needs two seeds or more to show its noise; got {n}")
    discordant = _discordant(pilot.images, level)
    images = pilot.images.shape[1] if pilot.images is not None else 0
    least = math.sqrt(discordant.value / (2 * images)) if discordant else 0.0  # what images that turn right and wrong by themselves do to a mean
    deviation = max(float(pilot.values.std(ddof=1)), least)
    if deviation == 0:
        raise RunError(f"{pilot.name}: all {n} seeds have the same score, which shows no noise; run more seeds, or another network for each seed")
    return Noise(n, pilot.mean, with_interval(deviation, n - 1, level), discordant, images, pilot.share)


def with_interval(deviation: float, freedom: int, level: float) -> Estimate:
    """Return a standard deviation of so many degrees of freedom with its interval, from the chi-square distribution of the variance."""
    from scipy.special import chdtri

    low, high = (deviation * math.sqrt(freedom / float(chdtri(freedom, tail))) for tail in ((1 - level) / 2, (1 + level) / 2))
    return Estimate(deviation, low, high, level)


def smallest_difference(noise: Noise, seeds: int, *, candidates: int = 1, step: int = 1, level: float = 0.05, power: float = 0.8) -> Estimate:
    """Return the smallest true difference that the referee calls better in `power` of trials with `seeds` a candidate, on the same images.

    candidates, step, level: those of the ladder's step that is planned; all networks are taken to be as noisy as the pilot's.
    """
    _check(1.0, seeds)
    error = spending(step, level) / candidates
    value = _smallest(_noises(noise), seeds, candidates, error, power)
    low, high = (_smallest(np.array([deviation]), seeds, candidates, error, power) for deviation in (noise.deviation.low, noise.deviation.high))
    return Estimate(value, low, high, noise.deviation.level)


def seeds_needed(noise: Noise, difference: float, *, candidates: int = 1, step: int = 1, level: float = 0.05, power: float = 0.8) -> Estimate:
    """Return how many seeds a candidate the referee needs to call a true `difference` better in `power` of trials, on the same images.

    candidates, step, level: as for `smallest_difference`. Infinite from a million on.
    """
    _check(difference, 2)
    error = spending(step, level) / candidates
    value = _seeds(difference / _noises(noise), candidates, error, power)
    low, high = (_seeds(np.array([difference / deviation]), candidates, error, power) for deviation in (noise.deviation.low, noise.deviation.high))
    return Estimate(value, low, high, noise.deviation.level)


def images_needed(noise: Noise, difference: float, *, level: float = 0.05, power: float = 0.8) -> Estimate:
    """Return how many test images show a true `difference` of two networks, one run of each, in `power` of trials.

    Both are scored on the same images, and taken to disagree on as many as two seeds of the pilot do: (a sqrt(p) + b sqrt(p - d^2))^2 / d^2 for a share p of
    such images, difference d, and normal quantiles a and b (R. Connor, Biometrics 43, 1987). Raises RunError where the pilot has no images.
    """
    from scipy.special import ndtri

    _check(difference, 2)
    if noise.discordant is None:
        raise RunError("this score is no mean over images, or the seeds were scored on different ones: how many images are needed cannot be told; use accuracy")
    alpha, beta = float(ndtri(1 - level / 2)), float(ndtri(power))

    def wanted(discordant: float) -> float:
        discordant = max(discordant, difference if noise.share else difference**2)
        return float(math.ceil((alpha * math.sqrt(discordant) + beta * math.sqrt(discordant - difference**2)) ** 2 / difference**2))

    found = noise.discordant
    return Estimate(wanted(found.value), wanted(found.low), wanted(found.high), found.level)


def _check(difference: float, seeds: int) -> None:
    if not (difference > 0 and math.isfinite(difference)):
        raise RunError(f"a difference to be seen is larger than 0; got {difference}")
    if seeds < 2:
        raise RunError(f"a comparison needs two seeds or more a candidate; got {seeds}")


def _discordant(images: Floats | None, level: float) -> Estimate | None:
    """Return the mean squared difference of two seeds with its interval, over images and, by the jackknife, over seeds."""
    from scipy.special import stdtrit

    if images is None:
        return None
    n, count = images.shape
    each = 2 * images.var(axis=0, ddof=1)
    value = float(each.mean())
    variance = float(each.var(ddof=1)) / count if count > 1 else 0.0
    if n > 2:
        left_out = np.array([2 * np.delete(images, seed, axis=0).var(axis=0, ddof=1).mean() for seed in range(n)])
        variance += float((n - 1) / n * ((left_out - left_out.mean()) ** 2).sum())
    half = float(stdtrit(n - 1, (1 + level) / 2)) * math.sqrt(variance)
    most = 1.0 if np.isin(images, (0.0, 1.0)).all() else math.inf  # right and wrong: a share of the images
    return Estimate(value, max(value - half, 0.0), min(value + half, most), level)


def _noises(noise: Noise) -> Floats:
    """Return standard deviations that agree with the pilot, equally likely: s sqrt(d / chi-square of d), d its degrees of freedom."""
    from scipy.special import chdtri

    freedom = noise.seeds - 1
    tails = (np.arange(_DRAWS) + 0.5) / _DRAWS
    return np.asarray(noise.deviation.value * np.sqrt(freedom / chdtri(freedom, tails)), dtype=np.float64)


def _power(ratios: Floats, seeds: int, candidates: int, error: float) -> Floats:
    """Return the chance that a t test with the referee's degrees of freedom passes; ratios: difference over standard deviation of one score."""
    from scipy.special import nctdtr, stdtrit

    freedom = expected_freedom(seeds, candidates)
    bar = -float(stdtrit(freedom, error / 2))
    shift = ratios * math.sqrt(seeds / 2)
    missed = nctdtr(freedom, shift, bar)
    return 1 - np.where(np.isnan(missed) & (shift > bar), 0.0, missed)  # scipy gives no number for some chances below 1e-200


def _smallest(deviations: Floats, seeds: int, candidates: int, error: float, power: float) -> float:
    from scipy.optimize import brentq

    def short(difference: float) -> float:
        return float(_power(difference / deviations, seeds, candidates, error).mean()) - power

    highest = float(np.median(deviations))
    while short(highest) < 0:
        highest *= 2
    return float(brentq(short, 0.0, highest, rtol=1e-6))


def _seeds(ratios: Floats, candidates: int, error: float, power: float) -> float:
    """Return the smallest number of seeds, by doubling and halving."""

    def enough(seeds: int) -> bool:
        return float(_power(ratios, seeds, candidates, error).mean()) >= power

    high = 2
    while not enough(high):
        high *= 2
        if high > _MOST_SEEDS:
            return math.inf
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return float(max(high, 2))
