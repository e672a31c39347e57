"""A race of trainings for so many seconds: recipes and stand-alone peers, each with every seed; what each reached, and how fast."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from rung.errors import RunError
from rung.store import atomic
from rung.store.run import Run


@dataclass(frozen=True)
class Epoch:
    """The end of an epoch. seconds: of training so far, without validation; images: trained on so far; accuracy: 0..1, on the validation images."""

    seconds: float
    images: int
    accuracy: float
    validation_seconds: float


@dataclass(frozen=True)
class Trial:
    """One training. system: the recipe or peer; problem: why it has no epochs, a sentence; "" where it has."""

    system: str
    seed: int
    epochs: tuple[Epoch, ...]
    versions: Mapping[str, str] = field(default_factory=dict)
    problem: str = ""

    def images_per_s(self) -> float:
        """Return the images of training a second, from its begin to its last epoch."""
        return self.epochs[-1].images / self.epochs[-1].seconds

    def accuracy_within(self, seconds: float) -> float | None:
        """Return the accuracy of the last epoch that ended in time, None if none did."""
        in_time = [epoch.accuracy for epoch in self.epochs if epoch.seconds <= seconds]
        return in_time[-1] if in_time else None


@dataclass(frozen=True)
class Spread:
    """The median of some values, the lowest and the highest."""

    median: float
    low: float
    high: float


@dataclass(frozen=True)
class Standing:
    """What one system reached over its seeds; None where no seed has a value.

    seconds: of training in all; times: the first system's images/s as a multiple of this one's, seed by seed; problem: of its first trial that failed.
    """

    system: str
    seeds: int
    images_per_s: Spread | None
    accuracy_in_time: Spread | None
    accuracy: Spread | None
    seconds: Spread | None
    times: Spread | None
    problem: str


@dataclass(frozen=True)
class Bench:
    """A finished race. rows: images of "train" and "validation"; seconds: that each training was given; peers: the names of those that are no recipes.

    facts: date and processor, in words.
    """

    data: str
    rows: Mapping[str, int]
    seconds: float
    threads: int
    peers: tuple[str, ...]
    trials: tuple[Trial, ...]
    facts: Mapping[str, str]

    def systems(self) -> list[str]:
        """Return the names of all systems, in the order of their first trial."""
        return list(dict.fromkeys(trial.system for trial in self.trials))

    def finished(self, system: str) -> list[Trial]:
        """Return the trials of a system that have epochs."""
        return [trial for trial in self.trials if trial.system == system and trial.epochs and not trial.problem]

    def standings(self) -> list[Standing]:
        """Return what each system reached, in their order."""
        return [self._standing(system) for system in self.systems()]

    def _standing(self, system: str) -> Standing:
        mine, first = self.finished(system), self.finished(self.systems()[0])
        in_time = [trial.accuracy_within(self.seconds) for trial in mine]
        times = [one.images_per_s() / other.images_per_s() for one, other in itertools.product(first, mine) if one.seed == other.seed and one is not other]
        return Standing(
            system,
            len(mine),
            _spread([trial.images_per_s() for trial in mine]),
            _spread([value for value in in_time if value is not None]),
            _spread([trial.epochs[-1].accuracy for trial in mine]),
            _spread([trial.epochs[-1].seconds for trial in mine]),
            _spread(times),
            next((trial.problem for trial in self.trials if trial.system == system and trial.problem), ""),
        )

    def to_json(self) -> dict[str, Any]:
        """Return all of it as plain values, what each system reached included."""
        return {**asdict(self), "standings": [asdict(standing) for standing in self.standings()]}


def from_json(values: Mapping[str, Any]) -> Bench:
    """Return the race that `Bench.to_json` wrote. Raises: RunError if it is none."""
    try:
        trials = tuple(Trial(**{**trial, "epochs": tuple(Epoch(**epoch) for epoch in trial["epochs"])}) for trial in values["trials"])
        return Bench(values["data"], values["rows"], values["seconds"], values["threads"], tuple(values["peers"]), trials, values["facts"])
    except (KeyError, TypeError) as error:
        raise RunError(f"this is no bench.json: {error}") from error


def of_run(run: Run, system: str, seed: int) -> Trial:
    """Return a finished run as a trial. What it did before its first step, and between epochs, is charged to its first epoch."""
    times, rows, kept = atomic.read_lines(run.times).rows, run.read_rows(), atomic.read_json(run.kept)
    besides = max(0.0, kept["fit_s"] - sum(time["train_s"] + time["evaluate_s"] for time in times))
    seconds, images = itertools.accumulate((time["train_s"] for time in times), initial=besides), itertools.accumulate(time["images"] for time in times)
    next(seconds)
    epochs = [
        Epoch(trained, seen, row["validation_accuracy"], time["evaluate_s"]) for trained, seen, row, time in zip(seconds, images, rows, times, strict=True)
    ]
    found = atomic.read_json(run.environment)
    return Trial(system, seed, tuple(epochs), {name: found[name] for name in ("rung", "torch", "python")})


def _spread(values: Sequence[float]) -> Spread | None:
    return Spread(statistics.median(values), min(values), max(values)) if values else None
