"""What a ladder is once it was climbed, as far as it was: the records that ladder.json holds.

No clock, no date and no folder's path is in them: the same ladder gives the same file, however often it was stopped on the way.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from rung.errors import RunError
from rung.store import atomic
from rung.study.curse import Fall
from rung.study.plan import START, Plan, plan_from_json
from rung.study.referee import Difference, Verdict
from rung.words import quoted

FILE: Final = "ladder.json"
PAGE: Final = "ladder.html"
RUNS: Final = "runs"  # the folder of its runs, below that of the ladder

State = Literal["decided", "budget spent", "not begun"]


@dataclass(frozen=True)
class Candidate:
    """One candidate of a step, its start among them.

    settings: what it changes of the step's start. runs: ids of its runs, one for each of `seeds`, in the folder `runs` of the ladder.
    values: the metric on validation, one a seed, as it stands in scores.json (a loss is not negated); empty where nothing was run.
    macro_f1, gap: means over seeds; gap: training minus validation accuracy. parameters, flops (of one image, forwards): None where nothing was run.
    dropped_after: how many seeds it had when racing dropped it. same_as: the one of this step that is the same network; same_how: how that was seen,
    by its whole recipe before anything was trained, or by its weights and answers afterwards. failed: why its training diverged.
    """

    name: str
    settings: Mapping[str, Any]
    seeds: tuple[int, ...] = ()
    runs: tuple[str, ...] = ()
    values: tuple[float, ...] = ()
    macro_f1: float | None = None
    gap: float | None = None
    parameters: int | None = None
    flops: int | None = None
    dropped_after: int | None = None
    same_as: str = ""
    same_how: Literal["", "recipe", "weights"] = ""
    failed: str = ""

    @property
    def mean(self) -> float:
        """The mean of its values."""
        return sum(self.values) / len(self.values)


@dataclass(frozen=True)
class LadderStep:
    """One rung.

    number: from 1. start, candidates: see Candidate; the start is called "start". verdict: the referee's, None where the budget ended before.
    kept: what the rule of the ladder keeps, or what its file does by `keep`, and `reason` why, in a sentence; only under the rule `score` and without `keep`
    it is always verdict.kept.
    start_label: how tables call its start, with what it has where all candidates have something else: "start (relu)".
    told: sentences about how it was compared: same networks, rows that cannot be paired, other epochs, what racing dropped.
    """

    number: int
    name: str
    why: str
    notes: str
    field: str
    state: State
    start: Candidate
    candidates: tuple[Candidate, ...]
    verdict: Verdict | None
    kept: str
    reason: str
    told: tuple[str, ...] = ()
    keep: str = ""
    start_label: str = START

    def label(self, one: Candidate) -> str:
        """Return how tables and sentences call its start or a candidate."""
        return self.start_label if one.name == START else one.name

    def named(self, name: str) -> Candidate:
        """Return its start or one of its candidates by name."""
        return next(one for one in (self.start, *self.candidates) if one.name == name)


@dataclass(frozen=True)
class Tested:
    """The opened test part of the start or the last winner: the metric of each of its runs, and the how-manieth opening each was."""

    name: str
    seeds: tuple[int, ...]
    runs: tuple[str, ...]
    values: tuple[float, ...]
    openings: tuple[int, ...]

    @property
    def mean(self) -> float:
        return sum(self.values) / len(self.values)


@dataclass(frozen=True)
class Ladder:
    """A ladder as far as it was climbed.

    steps: those that were begun, in order. settings: what the kept one changes of plan.recipe with plan.settings. winner: its name, "start" or
    "NAME of step N". ended: whether all steps of the plan are decided. fall: expected fall of the kept score from validation to test, None
    before the first decision. test: the last winner's and the start's opened test parts, empty before `rung ladder FILE --test`.
    opened: how many runs of the ladder's folder have opened this test set; opened_after: how many steps the ladder had when that was done; openings: the same
    of every test set by its key, those of the ladder climbed with other parts too. told: sentences about the whole ladder, such as a spent budget.
    """

    plan: Plan
    steps: tuple[LadderStep, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    winner: str = START
    ended: bool = False
    fall: Fall | None = None
    test: tuple[Tested, ...] = ()
    opened: int = 0
    opened_after: tuple[int, ...] = ()
    openings: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    told: tuple[str, ...] = ()
    format: int = 1

    @property
    def tested(self) -> bool:
        """Whether the last winner has a test score for each of its runs."""
        return any(one.name == self.winner and one.runs == self.steps[-1].named(self.steps[-1].kept).runs for one in self.test)

    def to_json(self) -> dict[str, Any]:
        """Return plain values in a fixed order; `ladder_from_json` gives an equal record back."""
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}
        plain = {"steps": [asdict(step) for step in self.steps], "test": [asdict(tested) for tested in self.test]}
        return {"format": self.format} | values | plain | {"plan": self.plan.to_json(), "fall": self.fall and asdict(self.fall)}


def called(winner: str) -> str:
    """Write what a ladder keeps in a sentence, by where it came from: “start”, “[16, 32]” of step 1."""
    name, of, step = winner.rpartition(" of step ")
    return f"{quoted(name)} of step {step}" if of else quoted(winner)


def ladder_from_json(values: Mapping[str, Any]) -> Ladder:
    """Return the ladder that `to_json` wrote; raises KeyError, TypeError or ValueError for other values."""
    plain = dict(values)
    if plain["format"] != 1:
        raise ValueError(f"format {plain['format']} is not known")
    return Ladder(
        **plain
        | {
            "plan": plan_from_json(plain["plan"]),
            "steps": tuple(map(_step, plain["steps"])),
            "fall": plain["fall"] and Fall(**plain["fall"]),
            "test": tuple(Tested(**_tuples(tested)) for tested in plain["test"]),
            "told": tuple(plain["told"]),
            "opened_after": tuple(plain["opened_after"]),
            "openings": _tuples(plain.get("openings", {})),
        }
    )


def write_ladder(folder: Path, ladder: Ladder) -> None:
    """Write ladder.json in the ladder's folder, whole or not at all."""
    atomic.write_json(folder / FILE, ladder.to_json())


def read_ladder(folder: Path) -> Ladder:
    """Read a ladder's folder; raises RunError if there is no ladder or it is damaged."""
    path = folder / FILE
    try:
        return ladder_from_json(atomic.read_json(path))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise RunError(f"{path} is damaged ({error}): delete it, and climb again: no finished run is trained anew") from None


def _step(values: Mapping[str, Any]) -> LadderStep:
    verdict = values["verdict"]
    made = {
        "start": Candidate(**_tuples(values["start"])),
        "candidates": tuple(Candidate(**_tuples(one)) for one in values["candidates"]),
        "verdict": verdict and Verdict(**verdict | {"differences": tuple(Difference(**one) for one in verdict["differences"])}),
        "told": tuple(values["told"]),
    }
    return LadderStep(**{**values, **made})


def _tuples(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
