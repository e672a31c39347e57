"""What a pre-flight check found: the record that each check returns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

State = Literal["ok", "failed", "skipped"]


@dataclass(frozen=True)
class Outcome:
    """One check: its name, how it ended, the measured number in a few words, a sentence, and what to do if it failed.

    skipped: nothing was there to check, or it could not be told; the sentence says why, and it counts neither as passed nor as failed.
    numbers: {name: value}, the figures that the sentence rests on, with units in their names.
    """

    check: str
    state: State
    measured: str
    sentence: str
    advice: str = ""
    numbers: Mapping[str, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return plain values that JSON can hold."""
        return asdict(self) | {"numbers": dict(self.numbers)}


@dataclass(frozen=True)
class Preflight:
    """What a pre-flight found: the outcomes in the order of the data's way, what was looked at, and how long it took.

    data, recipe: names; seed: of the recipe; device, precision, threads: what it was computed with. Everything but `seconds` is the same again
    for the same data, recipe, seed, versions and machine.
    """

    data: str
    recipe: str
    seed: int
    device: str
    precision: str
    threads: int
    outcomes: tuple[Outcome, ...]
    seconds: float

    @property
    def failed(self) -> tuple[Outcome, ...]:
        """The checks that failed."""
        return tuple(outcome for outcome in self.outcomes if outcome.state == "failed")

    def to_json(self) -> dict[str, Any]:
        """Return plain values that JSON can hold."""
        return asdict(self) | {"outcomes": [outcome.to_json() for outcome in self.outcomes], "failed": [outcome.check for outcome in self.failed]}


def concluded(check: str, measured: str, right: str, problems: Sequence[str], advice: str, **numbers: float) -> Outcome:
    """Return a check that failed by these problems (sentences), or passed with the sentence `right` where there is none."""
    if problems:
        return Outcome(check, "failed", measured, " ".join(problems), advice, numbers)
    return Outcome(check, "ok", measured, right, "", numbers)


def skipped(check: str, reason: str) -> Outcome:
    """Return a check that could not be made, for `reason`, a sentence."""
    return Outcome(check, "skipped", "", reason)
