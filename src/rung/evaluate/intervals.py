"""Intervals of scores: what another draw of as many images could have given, the network held fixed.

No interval here covers another training: that takes several seeds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rung import keys


@dataclass(frozen=True)
class Value:
    """One score with its interval.

    value: None where it is not defined; low, high: None where there is no interval; `reason` says why.
    covers: "images", or "nothing" without an interval. level: of the interval, 0..1. method: how the interval was made.
    classes: how many classes a mean is over, None where it is not a mean over classes.
    """

    value: float | None
    low: float | None
    high: float | None
    covers: str
    level: float
    method: str
    reason: str = ""
    classes: int | None = None

    def to_json(self) -> dict[str, Any]:
        """Return plain values, in the order of definition."""
        return asdict(self)


def with_interval(value: float, low: float, high: float, level: float, method: str) -> Value:
    """Return a value with an interval over images; plain floats."""
    return Value(float(value), float(low), float(high), "images", level, method)


def without_interval(value: float | None, level: float, reason: str) -> Value:
    """Return a value (None: not defined) that has no interval, and why."""
    return Value(None if value is None else float(value), None, None, "nothing", level, "none", reason)


def normal_quantile(level: float) -> float:
    """Return z with P(-z < Z < z) = level for a standard normal Z; 1.96 for 0.95."""
    from scipy.special import ndtri

    return float(ndtri((1 + level) / 2))


def wilson_bounds(proportion: float, count: float, level: float) -> tuple[float, float]:
    """Return Wilson's score interval of a proportion of `count` > 0 images (Wilson, JASA 22, 1927); inside 0..1."""
    z2 = normal_quantile(level) ** 2
    centre = (proportion + z2 / (2 * count)) / (1 + z2 / count)
    half = np.sqrt(z2 * (proportion * (1 - proportion) / count + z2 / (4 * count**2))) / (1 + z2 / count)
    # At 0 and 1 the bound is 0 or 1 by algebra, not by rounding; and rounding must never put the value outside.
    low = 0.0 if proportion <= 0 else min(float(centre - half), proportion)
    high = 1.0 if proportion >= 1 else max(float(centre + half), proportion)
    return max(low, 0.0), min(high, 1.0)


def exact_bounds(hits: int, count: int, level: float) -> tuple[float, float]:
    """Return the interval of a share of `count` > 0 images that holds it with at least `level`, however near 0 or 1 it is.

    Clopper and Pearson, Biometrika 26, 1934. Wilson's is nearer to `level` on the mean over shares, and below it near 0 and 1.
    """
    from scipy.special import betaincinv

    tail = (1 - level) / 2
    low = float(betaincinv(hits, count - hits + 1, tail)) if hits else 0.0
    high = float(betaincinv(hits + 1, count - hits, 1 - tail)) if hits < count else 1.0
    return low, high


def wilson(hits: int, count: int, level: float) -> Value:
    """Return the share hits / count with Wilson's interval; count > 0."""
    low, high = wilson_bounds(hits / count, count, level)
    return with_interval(hits / count, low, high, level, "Wilson")


def share(hits: int, count: int, level: float, reason: str) -> Value:
    """Return hits / count with Wilson's interval; not defined, for `reason`, where count is 0."""
    return wilson(hits, count, level) if count else without_interval(None, level, reason)


def f1(hits: int, union: int, level: float, reason: str) -> Value:
    """Return F1 of a class from its hits and the images that are of it or were called it; not defined, for `reason`, where there are none.

    F1 = 2 J / (1 + J) rises with the share J of hits in the union, so Wilson's interval of J carries over
    (Hand, Christen and Kirielle, "F*: an interpretable transformation of the F-measure", Machine Learning 110, 2021).
    """
    if not union:
        return without_interval(None, level, reason)
    value = 2 * hits / (union + hits)
    low, high = (2 * j / (1 + j) for j in wilson_bounds(hits / union, union, level))
    return with_interval(value, min(low, value), max(high, value), level, "Wilson on the share of hits in the union")


def effective_wilson(value: float, variance: float, count: float, level: float, method: str, bounds: tuple[float, float] = (0.0, 1.0)) -> Value:
    """Return a mean inside `bounds` with Wilson's interval for as many images as would give its variance.

    For a plain share this is Wilson's interval. Where the variance is 0 (all right, all wrong) it is that of `count` images, so that
    a perfect score still has a lower bound. The idea is the design effect of survey statistics (Korn and Graubard, Survey Methodology 24, 1998).
    """
    smallest, largest = bounds
    share = (value - smallest) / (largest - smallest)
    spread = share * (1 - share)
    scaled = variance / (largest - smallest) ** 2
    effective = spread / scaled if scaled > spread * 1e-12 and spread > 0 else count
    low, high = wilson_bounds(share, effective, level)
    return with_interval(value, min(smallest + low * (largest - smallest), value), max(smallest + high * (largest - smallest), value), level, method)


def logit_interval(value: float, variance: float, count: float, level: float, method: str) -> Value:
    """Return a value in 0..1 with the normal interval of its logit, which stays inside 0..1; at 0 and 1 Wilson's for `count` images."""
    if variance <= 0 or value <= 0 or value >= 1:
        return effective_wilson(value, 0.0, count, level, method)
    from scipy.special import expit, logit

    half = normal_quantile(level) * np.sqrt(variance) / (value * (1 - value))
    low, high = expit(logit(value) - half), expit(logit(value) + half)
    return with_interval(value, min(low, value), max(high, value), level, method)


def t_interval(values: npt.NDArray[np.float64], level: float, smallest: float = -np.inf, largest: float = np.inf) -> Value:
    """Return the mean of values (N,) with Student's interval, cut at the smallest and largest possible mean; no interval for one value."""
    mean = float(values.mean())
    if len(values) < 2:
        return without_interval(mean, level, "one image has no spread")
    from scipy.special import stdtrit

    half = float(stdtrit(len(values) - 1, (1 + level) / 2) * values.std(ddof=1) / np.sqrt(len(values)))
    return with_interval(mean, min(max(mean - half, smallest), mean), max(min(mean + half, largest), mean), level, "Student's t")


def jackknife(values: Callable[[npt.NDArray[np.int64]], float], whole: float, count: int, level: float, purpose: str, groups: int = 20) -> Value:
    """Return `whole` with an interval from leaving out one of 20 random groups of images after the other.

    values: the score of some row positions (int64, ascending). Twenty calls, no row twice, so that any smooth score can stand it.
    The delete-a-group jackknife with Student's t for groups - 1 degrees of freedom (Kott, Journal of Official Statistics 17, 2001).
    """
    from scipy.special import stdtrit

    order = keys.permutation(0, purpose, 0, count)
    left_out = np.array([values(np.sort(np.delete(order, np.s_[group::groups]))) for group in range(groups)])
    deviation = np.sqrt((groups - 1) / groups * ((left_out - left_out.mean()) ** 2).sum())
    half = float(stdtrit(groups - 1, (1 + level) / 2) * deviation)
    return with_interval(whole, whole - half, whole + half, level, f"jackknife over {groups} groups")
