"""A replay: the rows of a system with what was trained of them. Records only: a function of the system's files and of the records of its runs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from rung.evaluate.intervals import t_interval
from rung.study.plan import START
from rung.study.referee import Difference
from rung.study.system import Decision, Reported, System
from rung.study.system_rows import Name, Place, reported_counts
from rung.words import listing, plural

Answers = npt.NDArray[np.unsignedinteger[Any]]
Budget = Literal["whole", "small"]
Verdict = Literal["confirmed", "in the noise", "wrong", "cannot tell", "not run"]
Scores = Mapping[str, Mapping[str, Mapping[str, float | None]]]

LEVEL: Final = 0.95  # of the interval of a row over its seeds
_SCORES: Final = re.compile(r"\d\s?%|\b\d\d\.\d|\b0\.[1-9]\d|\bpoints\b")  # how scores are written in a text


@dataclass(frozen=True, eq=False)
class RunRecord:
    """What is kept of one finished run: everything that tables, pages and notebooks show, no weights and no path.

    ladder, step, candidate: the row it was trained for. settings: all it changes of `recipe`, which the ladder names. run: the name of its run folder; two
    records with the same are one training. epochs: that ran; kept_epoch: whose weights were scored; stopped: why it ended. seconds: its epochs took, their
    validations too. scores: {"train" | "validation" | "test": {metric: {"value", "low", "high"}}}. curves: one value an epoch, by the columns of
    metrics.jsonl. answers, labels: uint8 (N,), from 257 classes on uint16, of "validation", and of "test" where it was opened, in the order of the rows of
    the data. environment: what it ran on. content: SHA-256 of its images with their labels, "" where it is not known. failed: why its training diverged; then
    there are no scores.
    """

    ladder: str
    step: str
    candidate: str
    seed: int
    recipe: str
    settings: Mapping[str, Any]
    run: str
    classes: tuple[str, ...] = ()
    parameters: int | None = None
    epochs: int = 0
    kept_epoch: int | None = None
    stopped: str = ""
    seconds: float = 0.0
    scores: Scores = field(default_factory=dict)
    curves: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    answers: Mapping[str, Answers] = field(default_factory=dict)
    labels: Mapping[str, Answers] = field(default_factory=dict)
    environment: Mapping[str, Any] = field(default_factory=dict)
    content: str = ""
    failed: str = ""

    @property
    def name(self) -> Name:
        return self.ladder, self.step, self.candidate

    def value(self, part: str, metric: str) -> float | None:
        """Return a score of a part, None where it has none."""
        return self.scores.get(part, {}).get(metric, {}).get("value")


@dataclass(frozen=True)
class Estimate:
    """The mean of a score over seeds with its 95 % interval (Student's t over seeds, these images held fixed), None where there is one seed."""

    mean: float
    low: float | None
    high: float | None
    seeds: int


@dataclass(frozen=True, eq=False)
class Row:
    """One row: what the author called it, what he reported of it, and what ran.

    place: its name, its settings, and the seeds it is to have. reported: at the whole budget only. same_as: the name of an earlier row that is the very same
    training, None where there is none. runs: those that ended, by seed, of all rows that are the same training. counted: the parameters of its network as
    another row of the same network has them that ran, or that the author reported; None where there is none.
    """

    place: Place
    reported: Reported | None
    same_as: Name | None
    runs: tuple[RunRecord, ...]
    counted: int | None = None

    @property
    def name(self) -> Name:
        return self.place.name

    @property
    def ladder(self) -> str:
        return self.place.ladder

    @property
    def step(self) -> str:
        return self.place.step

    @property
    def candidate(self) -> str:
        return self.place.candidate

    @property
    def label(self) -> str:
        return self.place.label

    @property
    def keep(self) -> bool:
        return self.place.keep

    @property
    def scored(self) -> tuple[RunRecord, ...]:
        """The runs that have scores: those that did not diverge."""
        return tuple(run for run in self.runs if not run.failed)

    @property
    def failed(self) -> int:
        """How many runs diverged."""
        return len(self.runs) - len(self.scored)

    @property
    def diverged(self) -> bool:
        """Whether every seed that it is to have has run and diverged."""
        return bool(self.runs) and not self.scored and not self.missing

    @property
    def missing(self) -> tuple[int, ...]:
        """The seeds that have not run."""
        return tuple(seed for seed in self.place.seeds if seed not in {run.seed for run in self.runs})

    @property
    def parameters(self) -> int | None:
        """Those that the network had that ran."""
        return next((run.parameters for run in self.scored), None)

    @property
    def known_parameters(self) -> int | None:
        """Those that are known of its network also where it has not run."""
        return self.parameters or (self.reported.parameters if self.reported else None) or self.counted

    @property
    def seconds(self) -> float | None:
        """What one training takes, the mean over its runs; None where there is none. What was lost with the row it begins from took no time."""
        known = [run.seconds for run in self.runs if run.seconds or not run.failed]
        return sum(known) / len(known) if known else None

    @property
    def epochs(self) -> float | None:
        """How many epochs ran, the mean over its runs; None where there is none."""
        return sum(run.epochs for run in self.scored) / len(self.scored) if self.scored else None

    def score(self, part: str = "validation", metric: str = "accuracy") -> Estimate | None:
        """Return the mean of a score over the seeds that have it, as in scores.json; None where none has it."""
        return _estimate([value for run in self.scored if (value := run.value(part, metric)) is not None], share=metric != "log_loss")

    def gap(self) -> Estimate | None:
        """Return how much higher the accuracy is on the training part than on validation; None where nothing ran."""
        pairs = [(run.value("train", "accuracy"), run.value("validation", "accuracy")) for run in self.scored]
        return _estimate([train - validation for train, validation in pairs if train is not None and validation is not None], share=False)


def _estimate(values: Sequence[float], share: bool) -> Estimate | None:
    if not values:
        return None
    found = t_interval(np.array(values), LEVEL, *((0.0, 1.0) if share else ()))
    if found.low == found.high:  # a few seeds with the same figure by chance: no spread was seen, which is no interval of width 0
        return Estimate(float(np.mean(values)), None, None, len(values))
    return Estimate(float(np.mean(values)), found.low, found.high, len(values))


@dataclass(frozen=True)
class Judgement:
    """What a decision of the author is worth.

    kept: what he carried on, or what is kept here by his text (`decision.by`); over: those it was compared with, without those that are the same training.
    verdict: at the budget of the replay.
    differences: each of `over` minus kept, validation accuracy on the same seeds and images; the error of 5 % is shared by all decisions of the system.
    noise: by how much two single runs of one network differ, 1.96 times the deviation of their difference, of what was kept and of the one it is held
    against; None with fewer than two seeds. acted_on: the difference that is held against it: at the whole budget the one that the author reported, else the
    one measured here; None where there is none. metric: of noise and acted_on, "accuracy" or "macro_f1". sentence: all of it in words.
    """

    decision: Decision
    kept: str
    over: tuple[str, ...]
    verdict: Verdict
    sentence: str
    differences: tuple[Difference, ...] = ()
    noise: float | None = None
    acted_on: float | None = None
    metric: str = "accuracy"


@dataclass(frozen=True)
class Gain:
    """What a stage is worth. difference: the stage minus the row whose kept weights it begins from, None without two seeds in common; sentence: in words."""

    ladder: str
    stage: str
    difference: Difference | None
    sentence: str


@dataclass(frozen=True)
class AtSmall:
    """How many trainings are there at the small budget, and of how many; command: that shows them."""

    there: int
    trainings: int
    command: str


@dataclass(frozen=True, eq=False)
class Replay:
    """A system as far as it was replayed.

    budget: "whole", or "small": other data and epochs, whose scores never stand beside what was reported. costs: about what a training of a row costs beside
    others, by its identity, as far as that is known. at_small: of the whole budget that has not run in full, what is there at the small one.
    """

    system: System
    budget: Budget
    rows: tuple[Row, ...]
    judgements: tuple[Judgement, ...] = ()
    gains: tuple[Gain, ...] = ()
    told: tuple[str, ...] = ()
    costs: Mapping[str, float] = field(default_factory=dict)
    at_small: AtSmall | None = None

    def row(self, ladder: str, step: str, candidate: str = START) -> Row:
        """Return a row by its name; the starts that a table leaves out are there too. Raises StopIteration for one there is not."""
        return next(row for row in self.rows if row.name == (ladder, step, candidate))

    def his_words(self, text: str) -> str:
        """Return a text about the author's work; "" where it gives scores of his at the small budget: they do not belong beside those of another."""
        return "" if self.budget == "small" and _SCORES.search(text) else text

    def said(self, one: Judgement) -> str:
        """Return the author's reason for a decision; "" at the small budget, for it was seen in scores of another."""
        return one.decision.said if self.budget == "whole" else ""

    @property
    def shown(self) -> tuple[Row, ...]:
        """The rows of a table: of the starts only the first of a ladder, stages, and those that the author reported."""
        first = {ladder: next(row.name for row in self.rows if row.ladder == ladder) for ladder in self.system.plans}
        starts = {(ladder, step.name, START) for ladder, plan in self.system.plans.items() for step in plan.steps}
        left_out = starts - set(first.values()) - set(_reported(self.system))
        return tuple(row for row in self.rows if row.name not in left_out)

    @property
    def trainings(self) -> tuple[tuple[Row, int], ...]:
        """Every training that the replay is to have, once: the first row that is it, and its seed."""
        return tuple((row, seed) for row in self.rows if row.same_as is None for seed in row.place.seeds)

    @property
    def missing(self) -> tuple[tuple[Row, int], ...]:
        """Of `trainings`, those that have not run."""
        return tuple((row, seed) for row in self.rows if row.same_as is None for seed in row.missing)

    @property
    def provisional(self) -> bool:
        """Whether verdicts may still change: not every row has run with the seeds that the system names. Their error of 5 % holds for one look."""
        small = tuple(range(self.system.small.seeds))
        named = {ladder: small if self.budget == "small" else plan.seeds for ladder, plan in self.system.plans.items()}
        return bool(self.missing) or any(row.place.seeds != named[row.ladder] for row in self.rows)

    def hours_left(self) -> float | None:
        """Return about how many hours of training are left, one after the other, by what runs took; None where nothing ran."""
        known = {row.place.identity: row.seconds for row in self.rows if row.seconds is not None}
        if not known:
            return None
        usual = sum(known.values()) / len(known)
        priced = {identity: cost for identity in known if (cost := self.costs.get(identity))}
        rate = sum(known[identity] for identity in priced) / sum(priced.values()) if priced else 0.0
        guessed = {row.place.identity: self.costs.get(row.place.identity, 0.0) * rate or usual for row in self.rows}
        return sum({**guessed, **known}[row.place.identity] for row, _ in self.missing) / 3600

    def to_json(self) -> dict[str, Any]:
        """Return what the table and the judgements hold as plain values, without curves and answers."""
        return {
            "system": self.system.name,
            "title": self.system.title,
            "budget": self.budget,
            "trainings": len(self.trainings),
            "missing": len(self.missing),
            "provisional": self.provisional,
            "hours_left": self.hours_left(),
            "at_small": self.at_small and asdict(self.at_small),
            "rows": [_row_json(row) for row in self.shown],
            "decisions": [_judgement_json(one, self.said(one)) for one in self.judgements],
            "stages": [asdict(one) for one in self.gains],
            "told": list(self.told),
        }


def replayed(system: System, budget: Budget, wanted: Sequence[Place], records: Iterable[RunRecord], costs: Mapping[str, float] | None = None) -> Replay:
    """Put the records of runs beside the rows they are of; what a row no longer trains is left out, and said. Nothing is judged yet."""
    keys = {place.key(seed): place.identity for place in wanted for seed in place.seeds}
    places = {place.name: place for place in wanted}
    runs: dict[str, dict[int, RunRecord]] = {}
    stale: dict[str, RunRecord] = {}
    for record in records:
        if record.run in keys:
            runs.setdefault(keys[record.run], {}).setdefault(record.seed, record)
        elif record.name not in places or places[record.name].key(record.seed) != record.run:  # else its seed is not asked for
            stale.setdefault(record.run, record)
    reported = {} if budget == "small" else _reported(system)
    rows = []
    for place in wanted:
        found = runs.setdefault(place.identity, {})
        found |= _lost_with(place, found, runs)
        mine = tuple(found[seed] for seed in place.seeds if seed in found)
        rows.append(Row(place, reported.get(place.name), place.first if place.first != place.name else None, mine))
    counts = reported_counts(system) | {row.place.network: row.parameters for row in rows if row.parameters is not None}
    rows = [replace(row, counted=counts.get(row.place.network)) for row in rows]
    return Replay(system, budget, tuple(rows), told=tuple(_left_out(list(stale.values()))), costs=costs or {})


def _lost_with(place: Place, found: Mapping[int, RunRecord], runs: Mapping[str, Mapping[int, RunRecord]]) -> dict[int, RunRecord]:
    """Return, by seed, what a stage that has not run is where the row that it begins from diverged: it diverged with it."""
    if place.after is None:
        return {}
    before = runs.get(place.after.identity, {})
    lost = {seed: before[seed] for seed in place.seeds if seed not in found and seed in before and before[seed].failed}
    return {
        seed: replace(record, step=place.step, candidate=place.candidate, settings=dict(place.settings), run=place.key(seed), seconds=0.0, failed=why)
        for seed, record in lost.items()
        for why in [f"{row_name(record.name)}, from which it begins, diverged"]
    }


def _reported(system: System) -> dict[Name, Reported]:
    return {(one.ladder, one.step, one.candidate): one for one in system.reported}


def _left_out(stale: Sequence[RunRecord]) -> list[str]:
    if not stale:
        return []
    return [f"{records_are(len(stale))} left out, for the files now say something else to train: {rows_of(stale)}."]


def records_are(number: int) -> str:
    """Begin a sentence about so many records: "1 record of runs is"."""
    return f"{plural(number, 'record')} of runs {'is' if number == 1 else 'are'}"


def rows_of(records: Iterable[RunRecord]) -> str:
    """Name the rows of records, each once, three of them where they are many."""
    names = list(dict.fromkeys(row_name(record.name) for record in records))
    return listing(names) if len(names) <= 4 else f"{', '.join(names[:3])} and {len(names) - 3} more"


def hours_text(hours: float) -> str:
    """Write hours in a sentence: "45 min", "4 h"."""
    return f"{max(1, round(60 * hours))} min" if hours < 1.5 else f"{hours:.0f} h"


def row_name(name: Name) -> str:
    """Write a row's name in a sentence: "grey, CNN 2, start"."""
    return ", ".join(name)


def _row_json(row: Row) -> dict[str, Any]:
    scores = {
        part: {metric: asdict(found) for metric in ("accuracy", "macro_f1", "log_loss") if (found := row.score(part, metric))}
        for part in ("train", "validation", "test")
    }
    gap = row.gap()
    return {
        "ladder": row.ladder,
        "step": row.step,
        "candidate": row.candidate,
        "kept": row.keep,
        "same_as": list(row.same_as) if row.same_as else None,
        "settings": dict(row.place.settings),
        "seeds": [run.seed for run in row.runs],
        "diverged": [run.seed for run in row.runs if run.failed],
        "parameters": row.known_parameters,
        "epochs": row.epochs,
        "seconds": row.seconds,
        "gap": gap and asdict(gap),
        **{part: found for part, found in scores.items() if found},
        "reported": row.reported and row.reported.model_dump(include={"parameters", "accuracy", "macro_f1", "note"}),
    }


def _judgement_json(one: Judgement, said: str) -> dict[str, Any]:
    plain = {name: getattr(one, name) for name in ("kept", "over", "verdict", "sentence", "noise", "acted_on", "metric")}
    decided = {"ladder": one.decision.ladder, "step": one.decision.step, "said": said, "by": one.decision.by}
    return {**decided, **plain, "over": list(one.over), "differences": [asdict(found) for found in one.differences]}
