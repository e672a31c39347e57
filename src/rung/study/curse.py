"""The winner's curse: the kept score is the best of several noisy ones, so it is expected to fall on test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rung.study.measured import Measured


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


def expected_fall(steps: Sequence[Decided], *, level: float = 0.95) -> Fall:
    """Return the expected fall of the score that a whole ladder ended with. Raises RunError without a step."""
    raise NotImplementedError
