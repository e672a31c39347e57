"""How much two recipes differ in a score: the estimate with the widest interval that their runs allow, and what it is over."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from rung.evaluate.intervals import Value, jackknife, normal_quantile
from rung.study.measured import Floats
from rung.study.variance import image_share

Places = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Side:
    """The runs of one recipe, by rising seeds.

    seeds: one a run. values: float64 (n,), the score of each run. whole: the score of the recipe with its own interval. count: images.
    images: float64 (n,N), each image's share of the score, its mean over the images being the value; None where it is no mean over images.
    again: the mean score of the runs on some of the images, given by their places; None where it cannot be computed again.
    """

    seeds: tuple[int, ...]
    values: Floats
    whole: Value
    count: int
    images: Floats | None = None
    again: Callable[[Places], float] | None = None


@dataclass(frozen=True)
class Interval:
    """An estimate with its interval at `level`; low, high: None where there is none. covers: what it is over, in words; paired: on the same images."""

    estimate: float
    low: float | None
    high: float | None
    level: float
    covers: str
    paired: bool

    @property
    def told_apart(self) -> bool:
        """Whether the interval leaves 0 out."""
        return self.low is not None and self.high is not None and not self.low <= 0 <= self.high

    @property
    def turned(self) -> Interval:
        """The same for first minus second."""
        return replace(self, estimate=-self.estimate, low=None if self.high is None else -self.high, high=None if self.low is None else -self.low)

    @property
    def of_shares(self) -> Interval:
        """The same, cut at -1 and 1, beyond which no two shares differ."""
        return replace(self, low=None if self.low is None else max(self.low, -1.0), high=None if self.high is None else min(self.high, 1.0))


@dataclass(frozen=True)
class _Spread:
    """Variance of an estimate and its degrees of freedom."""

    variance: float
    freedom: float


def difference(first: Side, second: Side, level: float, *, same_images: bool) -> Interval:
    """Return second minus first. same_images: both sides answered the same images in the same order.

    With two runs or more on each side the interval covers seeds: another training would fall into it. Else it covers images, these networks held fixed.
    """
    estimate = float(second.values.mean() - first.values.mean())
    several = min(len(first.values), len(second.values)) > 1
    if not same_images:
        return _not_paired(first, second, estimate, level)
    if first.images is not None and second.images is not None:
        if several:
            spread = _same_seeds(second.images - first.images) if first.seeds == second.seeds else _crossed(first.images, second.images)
            return _student(estimate, spread, level, "seeds and images")
        return over_images(second.images.mean(axis=0) - first.images.mean(axis=0), level)
    if several:
        return _student(estimate, _seeds(first, second), level, "seeds")
    if first.again is None or second.again is None:
        return Interval(estimate, None, None, level, "nothing", paired=True)
    one, other = first.again, second.again
    found = jackknife(lambda places: other(places) - one(places), estimate, first.count, level, "difference of two runs")
    return Interval(estimate, found.low, found.high, level, "images", paired=True)


def _student(estimate: float, spread: _Spread, level: float, covers: str) -> Interval:
    """Return Student's interval; where nothing spreads at all the score is sooner coarse than certain, and nothing can be told, as the referee has it."""
    from scipy.special import stdtrit

    variance = spread.variance or estimate**2
    half = float(stdtrit(spread.freedom, (1 + level) / 2)) * math.sqrt(variance)
    return Interval(estimate, estimate - half, estimate + half, level, covers, paired=True)


def over_images(differences: Floats, level: float) -> Interval:
    """Return the mean of one difference an image, (N,), with an interval over images: Student's; where each is -1, 0 or 1, that of paired shares.

    Bonett and Price, "Adjusted Wald confidence interval for a difference of binomial proportions based on paired data", J. Educ. Behav. Stat. 37, 2012.
    """
    estimate, count = float(differences.mean()), len(differences)
    if np.isin(differences, (-1.0, 0.0, 1.0)).all():
        better, worse = ((np.count_nonzero(differences == sign) + 1) / (count + 2) for sign in (1.0, -1.0))
        half = normal_quantile(level) * math.sqrt((better + worse - (better - worse) ** 2) / (count + 2))
        low, high = max(better - worse - half, -1.0), min(better - worse + half, 1.0)
        return Interval(estimate, min(low, estimate), max(high, estimate), level, "images", paired=True)
    return _student(estimate, _Spread(float(differences.var(ddof=1)) / count, count - 1), level, "images")


def _same_seeds(apart: Floats) -> _Spread:
    """Return variance and degrees of freedom of a mean over seeds and images, (n,N), as the referee has them: both are draws, crossed."""
    images = image_share(apart)
    of_seeds = max(float(apart.mean(axis=1).var(ddof=1)), images.least) / len(apart)
    return _Spread(*images.with_seeds(of_seeds, len(apart) - 1)) if of_seeds + images.added else _Spread(0.0, 1.0)


def _crossed(first: Floats, second: Floats) -> _Spread:
    """Return the same where the seeds of one side have nothing to do with those of the other: each side's seeds add their own variance.

    That of the images is in both sides' means at once; what seeds and images do together is in both and is taken off once.
    """
    count = first.shape[1]
    images = float((second.mean(axis=0) - first.mean(axis=0)).var(ddof=1)) / count
    seeds, rest, squares = 0.0, 0.0, images**2 / (count - 1)
    for table in (first, second):
        runs = len(table)
        left = table - table.mean(axis=0) - table.mean(axis=1, keepdims=True) + table.mean()
        of_seeds = float(table.mean(axis=1).var(ddof=1)) / runs
        of_rest = float((left**2).sum()) / ((runs - 1) * (count - 1)) / (runs * count)
        seeds, rest = seeds + of_seeds, rest + of_rest
        squares += of_seeds**2 / (runs - 1) + of_rest**2 / ((runs - 1) * (count - 1))
    variance = max(seeds + images - rest, seeds, images)
    return _Spread(variance, variance**2 / squares if squares else 1.0)


def _seeds(first: Side, second: Side) -> _Spread:
    """Return the variance over seeds alone: of paired differences where the seeds are the same, else Welch's."""
    if first.seeds == second.seeds:
        apart = second.values - first.values
        return _Spread(float(apart.var(ddof=1)) / len(apart), len(apart) - 1)
    each = [(float(side.values.var(ddof=1)) / len(side.values), len(side.values) - 1) for side in (first, second)]
    variance = sum(part for part, _ in each)
    squares = sum(part**2 / freedom for part, freedom in each)
    return _Spread(variance, variance**2 / squares if squares else 1.0)


def _not_paired(first: Side, second: Side, estimate: float, level: float) -> Interval:
    """Return the interval from those of both sides, each on images of its own (Zou and Donner, Statistics in Medicine 27, 2008).

    `whole` of both sides must be at `level`.
    """
    a, b = first.whole, second.whole
    if a.low is None or a.high is None or b.low is None or b.high is None or a.value is None or b.value is None:
        return Interval(estimate, None, None, level, "nothing", paired=False)
    low = estimate - math.hypot(b.value - b.low, a.high - a.value)
    high = estimate + math.hypot(b.high - b.value, a.value - a.low)
    covers = a.covers if a.covers == b.covers else f"{a.covers} of one side, {b.covers} of the other"
    return Interval(estimate, low, high, level, covers, paired=False)
