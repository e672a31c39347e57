"""What the replay of one mistake shows: the number that it gave, the number without it, and what rung says to whoever makes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any, Final, Literal

from rung.errors import RunError
from rung.store import atomic
from rung.words import count, decimal, percent, plural, points

RECORDS: Final = Path(__file__).parents[1] / "records" / "mistakes.json"

Unit = Literal["share", "points", "number", "count", "exact"]


@dataclass(frozen=True)
class Figure:
    """A number that was measured, or that the author reported: what it is, in words, and its values, one a seed, or one where no seed plays a part.

    unit: share (0..1, written as percent), points (a difference of shares), number, count, or exact: a share whose percent has two digits.
    """

    what: str
    values: tuple[float, ...]
    unit: Unit = "share"

    @property
    def mean(self) -> float:
        return sum(self.values) / len(self.values)

    @property
    def text(self) -> str:
        """The mean, and the range over seeds where there are several values: "31.2 % (30.4 to 32.0 %)"."""
        low, high = (self._written(end) for end in (min(self.values), max(self.values)))
        if low == high:
            return self._written(self.mean)
        return f"{self._written(self.mean)} ({low.split()[0]} to {high})"

    def _written(self, value: float) -> str:
        if self.unit == "share":
            return percent(value)
        if self.unit == "points":
            return points(value).replace("-", "−")
        if self.unit == "exact":
            return percent(value, 2)
        return count(value) if self.unit == "count" and value == int(value) else decimal(value)


@dataclass(frozen=True)
class Said:
    """A sentence of rung's own, as it came out of the check or refusal; where: the command that prints it, such as "rung train"."""

    where: str
    sentence: str


@dataclass(frozen=True)
class Size:
    """How much a replay trains. images: training images; author: the author's network, else one with a quarter of its filters."""

    images: int
    epochs: int
    seeds: int
    author: bool = False

    @property
    def words(self) -> str:
        """What was run, in words."""
        network = "the author's network" if self.author else "a quarter of the author's filters"
        return f"{plural(self.images, 'training image')}, {plural(self.epochs, 'epoch')}, {plural(self.seeds, 'seed')}, {network}"


@dataclass(frozen=True)
class Leads:
    """Which way a mistake leads: its figure at a place among the wrong ones is higher, or lower, than that among the right ones.

    same: both are of one training, so that they are compared seed by seed; else the ranges over seeds are.
    """

    way: Literal["higher", "lower"]
    at: int = 0
    same: bool = False

    def sentence(self, wrong: Sequence[Figure], right: Sequence[Figure]) -> str:
        """Say where the values do not show the lesson: the seeds do not agree, or point the other way; "" where they show it."""
        one, other = wrong[self.at].values, right[self.at].values
        what = {"share": "score", "number": "loss", "points": "difference"}.get(right[self.at].unit, "number")
        if len(one) == 1 or len(other) == 1:
            return f"One seed does not tell a difference of the {what} from chance."
        sign = 1 if self.way == "higher" else -1
        gains = [sign * (a - b) for a, b in (zip(one, other, strict=True) if self.same else product(one, other))]
        if min(gains) >= 0 and max(gains) > 0:
            return ""
        if max(gains) <= 0 and min(gains) < 0:
            return f"Here the {what} points the other way, with every seed: at this size the lesson is not shown."
        why = "the seeds do not agree" if self.same else "the seeds with the mistake and those without it overlap"
        return f"At this size it cannot be seen in the {what}: {why}."


@dataclass(frozen=True)
class Found:
    """What was measured with the mistake (wrong) and without it (right), and what rung says to it.

    reported: numbers of the author's own, which stand apart from those that were measured; leads: which way it leads, None where it is not one of more or less.
    """

    wrong: tuple[Figure, ...]
    right: tuple[Figure, ...]
    said: tuple[Said, ...]
    reported: tuple[Figure, ...] = ()
    leads: Leads | None = None


@dataclass(frozen=True)
class MistakeShown:
    """The replay of one mistake, as it ran.

    system, name: its key; text: what the author's code did; size, budget: how much was trained, as numbers and in words; environment: where it ran.
    The figures are of this budget alone: only one of the author's own size may stand beside what he reported.
    """

    system: str
    name: str
    text: str
    wrong: tuple[Figure, ...]
    right: tuple[Figure, ...]
    said: tuple[Said, ...]
    size: Size
    budget: str
    environment: Mapping[str, Any]
    reported: tuple[Figure, ...] = ()
    leads: Leads | None = None

    @property
    def seen(self) -> str:
        """Say where the values do not show the lesson; "" where they do, or the lesson is not one of more or less."""
        return self.leads.sentence(self.wrong, self.right) if self.leads else ""

    @property
    def line(self) -> str:
        """The first figure with the mistake and the first without, and how much was trained, in one line."""
        first = "; ".join(f"{figure.what}: {figure.text}" for figure in (*self.wrong[:1], *self.right[:1]))
        return f"{self.name}: {first} ({self.budget}){f'. {self.seen}' if self.seen else ''}"

    def alone(self, text: str = "") -> MistakeShown:
        """Return it for the small budget of its system, without what the author reported. text: in place of its own, which may give scores of his."""
        return replace(self, text=text, reported=())

    def lines(self) -> list[str]:
        """Return the replay for a terminal, one line a fact."""
        sides = (("reported, at the author's own size", self.reported), ("wrong", self.wrong), ("right", self.right))
        figures = [f"{word}: {figure.what}: {figure.text}" for word, several in sides for figure in several]
        said = [f"rung says ({one.where}): {one.sentence}" for one in self.said]
        return [f"{self.name}: {self.text}", *figures, *([self.seen] if self.seen else []), *said, f"budget: {self.budget}"]

    def to_json(self) -> dict[str, Any]:
        """Return plain values; `from_json` gives an equal record back."""
        return asdict(self) | {"environment": dict(self.environment)}

    @staticmethod
    def from_json(values: Mapping[str, Any]) -> MistakeShown:
        """Return the record that `to_json` wrote; raises RunError for other values."""
        try:
            sides = ("wrong", "right", "reported")
            figures = {side: tuple(Figure(**{**one, "values": tuple(one["values"])}) for one in values[side]) for side in sides}
            said, leads = tuple(Said(**one) for one in values["said"]), values["leads"]
            return MistakeShown(**{**values, **figures, "said": said, "size": Size(**values["size"]), "leads": Leads(**leads) if leads else None})
        except (KeyError, TypeError, AttributeError) as error:
            raise RunError(f"this is no replay of a mistake that rung wrote ({error}): run it again") from None


def read_records(path: Path = RECORDS) -> tuple[MistakeShown, ...]:
    """Return the replays that a file holds, none where there is no file; raises RunError if it is damaged."""
    return tuple(map(MistakeShown.from_json, atomic.read_json(path))) if atomic.exists(path) else ()


def keep_records(made: Sequence[MistakeShown], order: Sequence[tuple[str, str]], path: Path = RECORDS) -> None:
    """Put replays into a file, each in place of one of the same mistake and size; order: (system, name) of all there are, as they are to stand."""
    new = {(one.system, one.name, one.size): one for one in made}
    old = {(one.system, one.name, one.size): one for one in read_records(path)}
    kept = sorted((old | new).values(), key=lambda one: (order.index((one.system, one.name)), one.size.author, one.size.images, one.size.epochs))
    atomic.make_folder(path.parent)
    atomic.write_json(path, [one.to_json() for one in kept])
