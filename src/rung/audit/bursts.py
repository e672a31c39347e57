"""Bursts of photographs that cross parts, found without group names: file names with running numbers, and neighbours in number that look alike.

Numbers alone prove nothing, nor does likeness within a class. So an image is held against its neighbour in number in the other part, and against
images of the same name and class somewhat further off in number: in a burst the neighbour is the most alike, elsewhere it is so by chance.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from rung import keys
from rung.audit.material import SHOWN, Material, shown
from rung.audit.problem import Problem
from rung.data.imageset import PARTS, TRAIN
from rung.data.sketch import PLAIN, SMALLEST_SIDE, Sketcher, one_thread, small_copies
from rung.data.sniff import IMAGE_SUFFIXES
from rung.words import count, percent

_NEAR: Final = 3  # numbers that neighbours are apart, at most
_FAR: Final = 10  # numbers that images to compare with are off, at least
_COMPARED: Final = 10  # such images on either side, the nearest
_ASKED: Final = 1_000  # images of a part, of larger ones a random sample
_NUMBERED: Final = re.compile(r"(.*?)(?<![0-9])([0-9]{1,12})([^0-9]*)")  # longer numbers are dates or hashes
_SURE: Final = 6.0  # standard deviations
_LEAST: Final = 0.05  # share of images whose neighbour is the most alike, beyond chance
_THUMB: Final = 4  # places a side whose colours are compared

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class _Series:
    """Rows whose files are numbered, sorted by series and number, int64 (n,) each; one series: the same name beside the number, the same class."""

    rows: Ints
    series: Ints
    numbers: Ints

    def take(self, which: npt.NDArray[np.bool_] | Ints) -> _Series:
        """Return some of them, in their order."""
        return _Series(self.rows[which], self.series[which], self.numbers[which])


@dataclass(frozen=True)
class _Neighbours:
    """Rows of one part, their neighbours in number in another part, and for each the rows there that it is compared with, int64."""

    rows: Ints
    neighbours: Ints
    compared: list[Ints]


def crossing(material: Material) -> Iterator[Problem]:
    """Name the parts between which bursts cross."""
    images, part = material.images, material.part_of()
    named = _numbered(material)
    if min(images.images.shape[1:3]) < SMALLEST_SIDE:
        return
    for low, high in ((0, 2), (1, 2), (0, 1)):
        there = part[named.rows]
        found = _beside(named.take(there == high), named.take(there == low), material)
        if len(found.rows):
            yield from _judged(material, found, low, high)


def _numbered(material: Material) -> _Series:
    """Return the rows of image files with a number in their names; the last number counts."""
    rows, numbers, names = [], [], []
    for row, source in enumerate(material.images.sources):
        stem, dot, suffix = source.rpartition("/")[2].rpartition(".")
        parsed = _NUMBERED.fullmatch(stem) if dot + suffix.lower() in IMAGE_SUFFIXES else None
        if parsed:
            rows.append(row)
            numbers.append(int(parsed[2]))
            names.append(f"{parsed[1]}/{parsed[3]}/{material.images.labels[row]}")
    series = np.unique(np.array(names, dtype=str), return_inverse=True)[1].astype(np.int64)
    order = np.lexsort((np.array(numbers, np.int64), series))
    return _Series(np.array(rows, np.int64)[order], series[order], np.array(numbers, np.int64)[order])


def _beside(asking: _Series, others: _Series, material: Material) -> _Neighbours:
    """Find the neighbour of each row among others, each neighbour once, and the others that the likeness of the two is compared with."""
    twin = material.twins.components(len(material.images))
    order = keys.permutation(material.seed, "bursts", 0, len(asking.rows))
    rows, neighbours, compared = [], [], []
    used: set[int] = set()
    for at in order.tolist():
        start, stop = np.searchsorted(others.series, asking.series[at], "left"), np.searchsorted(others.series, asking.series[at], "right")
        own, numbers = others.rows[start:stop], others.numbers[start:stop]
        if len(own) <= _COMPARED:
            continue
        number = asking.numbers[at]
        nearest = int(np.abs(numbers - number).argmin())
        if abs(int(numbers[nearest] - number)) > _NEAR or int(own[nearest]) in used or twin[own[nearest]] == twin[asking.rows[at]]:
            continue
        before, after = int(np.searchsorted(numbers, number - _FAR, "right")), int(np.searchsorted(numbers, number + _FAR, "left"))
        far = np.concatenate([own[max(0, before - _COMPARED) : before], own[after : after + _COMPARED]])
        if len(far) < _COMPARED:
            continue
        used.add(int(own[nearest]))
        rows.append(asking.rows[at])
        neighbours.append(own[nearest])
        compared.append(far)
        if len(rows) == _ASKED:
            break
    return _Neighbours(np.array(rows, np.int64), np.array(neighbours, np.int64), compared)


def _judged(material: Material, found: _Neighbours, low: int, high: int) -> Iterator[Problem]:
    """Count the images whose neighbour is more alike than all that they are compared with."""
    looks = _Looks(material, np.unique(np.concatenate([found.rows, found.neighbours, *found.compared])))
    alike = looks.alike(found.rows, found.neighbours)
    best = np.array([float(looks.alike(np.full(len(far), row), far).max()) for row, far in zip(found.rows, found.compared, strict=True)])
    chance = np.array([1 / (1 + len(far)) for far in found.compared])
    first = alike > best
    sure = float((first - chance).sum() / np.sqrt((chance * (1 - chance)).sum()))
    share, expected = float(first.mean()), float(chance.mean())
    if sure < _SURE or share - expected < _LEAST:
        return
    clearest = np.flatnonzero(first)[np.argsort(-alike[first], kind="stable")]
    pairs = np.stack([found.neighbours, found.rows], axis=1)[clearest]
    sources = material.images.sources
    yield Problem(
        "groups",
        "warning",
        f"Bursts of images seem to cross {PARTS[low]} and {PARTS[high]}: of {count(len(first))} {PARTS[high]} images whose file is at most {_NEAR} numbers "
        f"off one in {PARTS[low]} (such as {sources[pairs[0, 1]]} and {sources[pairs[0, 0]]}), {percent(share)} are more like that one than like any of the "
        f"images of their class further off in number, where {percent(expected)} would be chance ({sure:.0f} standard deviations).",
        f"Scores on {PARTS[high]} lean to the optimistic side: if these are one subject or one burst, give each a name in a column of a table and set "
        f"data.group_column, and let {'rung make the parts' if low == TRAIN else 'a whole group be in one part'}.",
        shown(pairs[:SHOWN]),
        int(first.sum()),
        {"images": len(first), "neighbour_most_alike_share": share, "by_chance_share": expected, "deviations": sure},
    )


class _Looks:
    """What some rows look like: the sketches of their shapes beside the colours of a few places, both of length 1."""

    def __init__(self, material: Material, rows: Ints) -> None:
        images = material.images.images[rows]
        self.rows = rows
        with one_thread():
            shapes = Sketcher(small_copies(images)).of_view(PLAIN).numpy()
        height, width = (side // _THUMB * _THUMB for side in images.shape[1:3])
        places = images[:, :height, :width].reshape(len(rows), _THUMB, height // _THUMB, _THUMB, width // _THUMB, -1).mean((2, 4)).reshape(len(rows), -1)
        places = places - places.mean(0)
        self.values = np.hstack([shapes, places / np.maximum(np.linalg.norm(places, axis=1, keepdims=True), 1e-6)])

    def alike(self, one: Ints, other: Ints) -> npt.NDArray[np.float64]:
        """Return how alike rows are, pair by pair, -2..2."""
        first, second = (self.values[np.searchsorted(self.rows, rows)] for rows in (one, other))
        alike: npt.NDArray[np.float64] = np.einsum("nd,nd->n", first, second).astype(np.float64)
        return alike
