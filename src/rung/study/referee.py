"""The referee: which candidate of a step is kept, or that it cannot be told.

Same seeds, splits and budget on both sides; what is claimed, and what simulations of it found, stands in docs/statistics.md.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np

from rung.errors import RunError
from rung.study.measured import Floats, Measured
from rung.study.variance import ImageShare, Pool, image_share, pool
from rung.words import decimal, listing, percent, plural, points, quoted

Covers = Literal["seeds", "images", "seeds and images"]
Outcome = Literal["better", "worse", "equal", "cannot tell", "dropped"]

FIRST_LOOK: Final = 3  # seeds, before which racing drops nothing
_STAYING: Final = 2  # candidates that racing never drops


@dataclass(frozen=True)
class Difference:
    """A candidate's score minus the start's, on the same seeds.

    estimate, low, high: in the unit of the score (a share: 0.01 is a point). covers: what the interval is over. level: of this interval, after the step's
    error was spent and shared among its candidates. seeds: how many it is over. verdict: "dropped" where racing ended it before its last seed.
    """

    name: str
    estimate: float
    low: float
    high: float
    covers: Covers
    level: float
    seeds: int
    verdict: Outcome


@dataclass(frozen=True)
class Verdict:
    """What a step ended with.

    kept: name of the start or of a candidate. differences: one a candidate, in their order. reason: one sentence. spent: the share of the error rate that
    this step used up.
    """

    kept: str
    differences: tuple[Difference, ...]
    reason: str
    spent: float


def judge(start: Measured, candidates: Sequence[Measured], *, step: int, level: float = 0.05, tie_margin: float = 0.005) -> Verdict:
    """Decide a step. step: which one of the ladder, from 1. level: the error rate of the whole ladder. tie_margin: differences inside +-tie_margin are none.

    Better: the interval is above 0 (and not a tie that costs more). Equal: it lies inside +-tie_margin. The best is kept, or the cheapest of those that are
    better and not told from it; where none is better, the cheapest of the equal if it costs less than the start; else the start.
    A candidate that has fewer seeds than the start was dropped by racing: it counts as one that was tried, and cannot be kept.
    Raises RunError where the start lacks a candidate's seeds, images do not fit, or there is neither a second seed nor images.
    """
    spent = spending(step, level)
    together = pooled(start, candidates)
    error = spent / len(candidates)
    differences = tuple(_judged(start, candidate, compared(start, candidate, together, error), tie_margin) for candidate in candidates)
    of = {candidate.name: (candidate, difference) for candidate, difference in zip(candidates, differences, strict=True)}
    better = [pair for pair in of.values() if pair[1].verdict == "better"]
    cheaper = [pair for pair in of.values() if pair[1].verdict == "equal" and pair[0].cost < start.cost]
    if better:
        best, _ = max(better, key=lambda pair: pair[1].estimate)
        alike = [pair for pair in better if pair[0] is best or compared(best, pair[0], together, error).high >= 0]
        kept, difference = min(alike, key=lambda pair: (pair[0].cost, -pair[1].estimate))
        also = f", and costs less than {quoted(best.name)}, from which it is not told" if kept is not best else ""
        return Verdict(
            kept.name, differences, f"{quoted(kept.name)} is kept: {described(difference, start.share)} better than {quoted(start.name)}{also}.", spent
        )
    if cheaper:
        kept, difference = min(cheaper, key=lambda pair: (pair[0].cost, -pair[1].estimate))
        why = f"no difference above {amount(tie_margin, start.share)} ({described(difference, start.share)}), and it costs less"
        return Verdict(kept.name, differences, f"{quoted(kept.name)} is kept: against {quoted(start.name)} {why}.", spent)
    return Verdict(start.name, differences, _stays(start, differences), spent)


def hopeless(start: Measured, candidates: Sequence[Measured], *, seeds: int, tie_margin: float = 0.005, chance: float = 0.01) -> tuple[str, ...]:
    """Return the names of candidates that have less than `chance` to be kept once all `seeds` have run; racing drops them.

    It only drops, nothing is accepted early: dropping can lose a good candidate and never make a false one. None is dropped before the third seed, and two
    stay whatever comes, the best: those dropped tell less of the noise, and with one left every interval was a third wider.
    start: all its seeds so far. candidates: those dropped before have fewer seeds, are not named again and still tell of the noise.
    Given the seeds so far, a mean difference over all seeds is distributed as Student's t about the mean so far, with variance s^2 (1/n - 1/seeds).
    One that costs no less than the leader (the best so far, the start included) must still be able to pass it; one that costs less must still be able to
    come within tie_margin of the start. Raises RunError for more seeds than planned.
    """
    from scipy.special import stdtr

    n = len(start.seeds)
    if n > seeds:
        raise RunError(f"{n} seeds have run, {seeds} are planned")
    running = [candidate for candidate in candidates if len(candidate.seeds) == n]
    together = pooled(start, candidates)
    if n < FIRST_LOOK or n == seeds or together is None or len(running) <= _STAYING:
        return ()
    leader = max([start, *running], key=lambda one: one.mean)
    dropped = []
    for candidate in sorted(running, key=lambda one: one.mean)[:-_STAYING]:
        against, margin = (start, tie_margin) if candidate.cost < leader.cost else (leader, 0.0)
        differences = candidate.values - against.values
        variance, freedom = together.moderated(float(differences.var(ddof=1)), n - 1.0)
        spread = math.sqrt(variance * (1 / n - 1 / seeds))
        gap = float(differences.mean()) + margin
        if gap < 0 and (spread == 0 or float(stdtr(freedom, gap / spread)) < chance):
            dropped.append(candidate.name)
    return tuple(dropped)


def spending(step: int, level: float) -> float:
    """Return the error rate that a step (from 1) of a ladder may use: level * 6 / (pi step)^2, so that all steps together use `level`, however many come."""
    if step < 1 or not 0 < level < 1:
        raise RunError(f"steps are counted from 1 and the level lies between 0 and 1; got step {step}, level {level}")
    return level * 6 / (math.pi * step) ** 2


def pooled(start: Measured, candidates: Sequence[Measured]) -> Pool | None:
    """Return what the step's candidates know of the noise together; None where none has a second seed. Raises RunError for candidates that do not fit.

    A candidate with exactly the start's scores is the same network under another name, and knows nothing of it.
    """
    names = [start.name, *(candidate.name for candidate in candidates)]
    if not candidates or len(set(names)) < len(names):
        raise RunError(f"a step needs candidates, each with a name of its own; got start {start.name} and {listing(names[1:]) or 'no candidate'}")
    table = np.full((len(candidates), len(start.seeds)), np.nan)
    for row, candidate in zip(table, candidates, strict=True):
        columns = start.rows(candidate.seeds)
        row[columns] = candidate.values - start.values[columns]
    table = table[np.nan_to_num(table).any(axis=1)]
    return pool(table) if len(table) and (~np.isnan(table)).sum(axis=1).max() > 1 else None


def compared(start: Measured, candidate: Measured, together: Pool | None, error: float) -> Difference:
    """Return candidate - start on the candidate's seeds with its two-sided interval, wrong with probability `error`; its verdict is still open.

    That of shares ends at -1 and 1.

    Raises RunError where the images of the two do not fit, or there is neither a second seed nor images.
    """
    from scipy.special import stdtrit

    start = start.take(candidate.seeds)
    differences, of_images = candidate.values - start.values, _image_differences(start, candidate)
    n, estimate = len(differences), float(differences.mean())
    covers: Covers = "seeds" if of_images is None else "images" if n == 1 and together is None else "seeds and images"
    if n == 1 and together is None and of_images is None:
        raise RunError(f"{candidate.name}: one seed and no images say nothing about chance; run a second seed")
    if not differences.any() and (of_images is None or not of_images.any()):  # the same network
        return Difference(candidate.name, 0.0, 0.0, 0.0, covers, 1 - error, n, "cannot tell")
    images = image_share(of_images) if of_images is not None else ImageShare(0.0, 0.0, 0.0)
    own = float(differences.var(ddof=1)) if n > 1 else 0.0
    moderated, freedom = together.moderated(own, n - 1.0) if together else (own, max(n - 1.0, 1.0))
    of_seeds = max(moderated, images.least) / n
    if of_seeds + images.added == 0:
        of_seeds = estimate**2  # no spread at all is sooner a coarse score than certainty: nothing is told from it
    variance, freedom = images.with_seeds(of_seeds, freedom)
    half, most = -float(stdtrit(freedom, error / 2)) * math.sqrt(variance), 1.0 if start.share else math.inf
    return Difference(candidate.name, estimate, max(estimate - half, -most), min(estimate + half, most), covers, 1 - error, n, "cannot tell")


def _image_differences(start: Measured, candidate: Measured) -> Floats | None:
    if start.images is None or candidate.images is None:
        return None
    if start.images.shape != candidate.images.shape:
        raise RunError(
            f"{candidate.name} was scored on {candidate.images.shape[1]:,} images, {start.name} on {start.images.shape[1]:,}: only the same rows can "
            "be paired; leave `images` out where the rows differ"
        )
    return candidate.images - start.images


def _judged(start: Measured, candidate: Measured, difference: Difference, tie_margin: float) -> Difference:
    inside = -tie_margin <= difference.low <= difference.high <= tie_margin
    told: Outcome = "cannot tell"
    if len(candidate.seeds) < len(start.seeds):
        told = "dropped"
    elif difference.low > 0 and (not inside or candidate.cost <= start.cost):
        told = "better"
    elif inside:
        told = "equal"
    elif difference.high < 0:
        told = "worse"
    return replace(difference, verdict=told)


def amount(value: float, share: bool) -> str:
    """Write a difference: "1.90 points" of shares, "0.019" of others."""
    return _minus(points(value, 2) if share else decimal(value, 3))


def _minus(text: str) -> str:
    """Write a number below zero with a minus, not a hyphen."""
    return f"−{text[1:]}" if text.startswith("-") else text


def described(difference: Difference, share: bool) -> str:
    """Write a difference with its interval: "1.90 points (0.80 to 3.00 at 99.2 % confidence, over 5 seeds and the images)"."""
    scale, low, high = (100.0, difference.low, difference.high) if share else (1.0, difference.low, difference.high)
    bounds = " to ".join(_minus(f"{end * scale:.2f}" if share else decimal(end, 3)) for end in (low, high))
    over = {"seeds": plural(difference.seeds, "seed"), "images": "the images", "seeds and images": f"{plural(difference.seeds, 'seed')} and the images"}
    return f"{amount(difference.estimate, share)} ({bounds} at {percent(difference.level)} confidence, over {over[difference.covers]})"


def _stays(start: Measured, differences: Sequence[Difference]) -> str:
    """Return why the start stays: nothing is better, or with so many seeds it cannot be told."""
    open_ones = [difference for difference in differences if difference.verdict == "cannot tell"]
    name = quoted(start.name)
    if not open_ones:
        return f"{name} stays: no candidate is better."
    most = max(open_ones, key=lambda difference: difference.estimate)
    seeds, found = plural(most.seeds, "seed"), described(most, start.share)
    if most.estimate > 0:
        return f"{name} stays: with {seeds} it cannot be told whether {quoted(most.name)} is better: {found}."
    return f"{name} stays: none is shown to be better, and with {seeds} {quoted(most.name)} cannot be told from it: {found}."
