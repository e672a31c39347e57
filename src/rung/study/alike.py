"""Whether runs may be set beside each other: the same data, the same rows in the same parts, the same preprocessing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from rung.recipe import flat
from rung.study.entry import Entry

_FROM_ROWS: Final = ("pixels.mean", "pixels.deviation")  # measured on the training rows: they follow from these


@dataclass(frozen=True)
class Differing:
    """A field in which a run differs from the first. field: of the recipe, or "classes", "train rows" ..; values: the first run's and the other's, as text."""

    field: str
    runs: tuple[str, str]
    values: tuple[str, str]

    @property
    def sentence(self) -> str:
        """The field and both values."""
        return f"{self.field}: {self.values[0]} in {self.runs[0]}, {self.values[1]} in {self.runs[1]}"


def differing(entries: Sequence[Entry], parts: Sequence[str]) -> tuple[Differing, ...]:
    """Return in which fields runs differ from the first, each field once, with the first run that does; parts: whose rows must be equal."""
    found: dict[str, Differing] = {}
    for other in entries[1:]:
        for field, values in _between(entries[0], other, parts):
            found.setdefault(field, Differing(field, (entries[0].id, other.id), values))
    return tuple(found.values())


def same_rows_in_all(entries: Sequence[Entry], part: str) -> bool:
    """Return whether all runs answered the same images of a part with the same labels, in the same order."""
    first, *others = (entry.asked(part) for entry in entries)
    return all(np.array_equal(first[0], other[0]) and np.array_equal(first[1], other[1]) for other in others)


def _between(first: Entry, other: Entry, parts: Sequence[str]) -> Iterator[tuple[str, tuple[str, str]]]:
    classes = [", ".join(entry.data["classes"]) for entry in (first, other)]
    if classes[0] != classes[1]:
        yield "classes", (classes[0], classes[1])
    rows = [found for part in parts for found in _rows(first, other, part)]
    if rows:
        yield from _fields(first, other, lambda name: name.startswith("split.") or (name.startswith("data.") and name != "data.sources"))
    yield from rows
    yield from _fields(first, other, lambda name: name.startswith("pixels.") and not (rows and name in _FROM_ROWS))


def _rows(first: Entry, other: Entry, part: str) -> Iterator[tuple[str, tuple[str, str]]]:
    """Compare the images of a part: those that were answered by their digests and labels, a sealed part by its row numbers."""
    if part in first.scores and part in other.scores:
        (a, a_labels), (b, b_labels) = first.asked(part), other.asked(part)
        if not np.array_equal(a, b):
            shared = len(np.intersect1d(a, b))
            yield f"{part} rows", (f"{len(a):,} images", f"{len(b):,} images, {shared:,} of them the same")
        elif not np.array_equal(a_labels, b_labels):
            yield f"labels of {part}", ("its own", f"others for {int((a_labels != b_labels).sum()):,} images")
    elif not np.array_equal(first.splits[part], other.splits[part]):
        yield f"{part} rows", (f"{len(first.splits[part]):,} rows", f"{len(other.splits[part]):,} rows")


def _fields(first: Entry, other: Entry, wanted: Callable[[str], bool]) -> Iterator[tuple[str, tuple[str, str]]]:
    a, b = flat(first.recipe), flat(other.recipe)
    yield from ((name, (_text(a[name]), _text(b[name]))) for name in a if wanted(name) and a[name] != b[name])


def _text(value: Any) -> str:
    if value is None:
        return "not set"
    return ", ".join(f"{item:.4g}" if isinstance(item, float) else str(item) for item in value) if isinstance(value, tuple) else str(value)
