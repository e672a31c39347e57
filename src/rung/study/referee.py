"""The referee: which candidate of a step is kept, or that it cannot be told.

Same seeds, splits and budget on both sides; what is claimed, and what simulations of it found, stands in docs/statistics.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from rung.study.measured import Measured

Covers = Literal["seeds", "images", "seeds and images"]
Outcome = Literal["better", "worse", "equal", "cannot tell", "dropped"]


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

    A candidate that has fewer seeds than the start was dropped by racing: it counts as one that was tried, and cannot be kept.
    Raises RunError where the start lacks a candidate's seeds, images do not fit, or there is neither a second seed nor images.
    """
    raise NotImplementedError


def hopeless(start: Measured, candidates: Sequence[Measured], *, seeds: int, tie_margin: float = 0.005, chance: float = 0.01) -> tuple[str, ...]:
    """Return the names of candidates that have less than `chance` to be kept once all `seeds` have run; racing drops them.

    start and candidates have the same seeds so far; fewer than two, and none is dropped. It only drops: nothing is ever accepted early.
    """
    raise NotImplementedError
