"""Mistakes planted in real CIFAR-10 images, as arrays: each function takes a Sample and returns the same with one mistake in it.

What is drawn is drawn from DRAWS anew in each function, so that a mistake is the same whatever was planted before it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

import rung
from benchmarks.planted import KINDS, Change
from rung.data.imageset import TEST, TRAIN

Rows = npt.NDArray[np.int64]
Images = npt.NDArray[Any]  # uint8 (n,32,32,3) in a Sample
CLASSES: Final = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
DRAWS: Final = 2026


@dataclass(frozen=True)
class Sample:
    """Images of CIFAR-10, uint8 (N,32,32,3), training images first, their labels int64 (N,), and which are test images, bool (N,)."""

    images: Images
    labels: Rows
    tested: npt.NDArray[np.bool_]
    classes: Sequence[str] = CLASSES

    @property
    def train(self) -> Rows:
        return np.flatnonzero(~self.tested)

    @property
    def test(self) -> Rows:
        return np.flatnonzero(self.tested)

    def take(self, rows: Rows) -> Sample:
        return replace(self, images=self.images[rows], labels=self.labels[rows], tested=self.tested[rows])

    def without(self, rows: Rows) -> Sample:
        return self.take(np.setdiff1d(np.arange(len(self.labels)), rows))

    def put(self, rows: Rows, *, images: Images | None = None, labels: Rows | None = None) -> Sample:
        """Put other images, or other labels, into some rows."""
        own, named = self.images.copy(), self.labels.copy()
        if images is not None:
            own[rows] = images
        if labels is not None:
            named[rows] = labels
        return replace(self, images=own, labels=named)


Mistake = Callable[[Sample], Sample]


def sample(train: int, test: int) -> Sample:
    """Return the first training and test rows of CIFAR-10, as $RUNG_DATA has it."""
    found = rung.load("cifar10")
    rows = np.concatenate([np.flatnonzero(found.parts == TRAIN)[:train], np.flatnonzero(found.parts == TEST)[:test]])
    return Sample(found.images[rows], found.labels[rows], found.parts[rows] == TEST)


def as_npz(given: Sample, folder: Path, name: str = "data.npz") -> Path:
    """Write a sample as a file of arrays and return its path."""
    parts = {"train": given.train, "test": given.test}
    arrays = {f"x_{part}": given.images[rows] for part, rows in parts.items()} | {f"y_{part}": given.labels[rows] for part, rows in parts.items()}
    if given.classes:
        arrays["classes"] = np.array(given.classes)
    np.savez(folder / name, allow_pickle=False, **arrays)
    return folder / name


def some(rows: Rows, count: int) -> Rows:
    """Return so many of the rows, drawn, in their order."""
    return np.sort(np.random.default_rng(DRAWS).permutation(rows)[:count])


def named(given: Sample, *names: str) -> Rows:
    """Return the rows of some classes."""
    return np.flatnonzero(np.isin(given.labels, [given.classes.index(name) for name in names]))


# Copies


def copied_to_test(given: Sample, count: int) -> Sample:
    """Training images stand in the test part too."""
    return given.put(given.test[:count], images=given.images[:count], labels=given.labels[:count])


def copied_inside(given: Sample, count: int) -> Sample:
    """Some training images are there twice."""
    return given.put(given.train[-count:], images=given.images[:count], labels=given.labels[:count])


def changed_to_test(given: Sample, kind: str, count: int) -> Sample:
    """Training images stand in the test part too, changed as KINDS says."""
    return given.put(given.test[:count], images=changed(given.images[:count], KINDS[kind]), labels=given.labels[:count])


def changed_to_another_class(given: Sample, kind: str, count: int) -> Sample:
    """Some training images are there again, changed, and of another class."""
    labels = (given.labels[:count] + 1) % len(given.classes)
    return given.put(given.train[-count:], images=changed(given.images[:count], KINDS[kind]), labels=labels)


def changed(images: Images, change: Change) -> Images:
    draws = np.random.default_rng(DRAWS)
    return np.stack([change(image, draws) for image in images])


# Classes and labels


def few_of(given: Sample, name: str, count: int) -> Sample:
    """One class has only so many training images."""
    return given.without(np.intersect1d(named(given, name), given.train)[count:])


def none_in(given: Sample, name: str, *, test: bool) -> Sample:
    """One class has no image in the test part, or none in the training part."""
    return given.without(np.intersect1d(named(given, name), given.test if test else given.train))


def fewer_in_test(given: Sample, *names: str) -> Sample:
    """Of some classes the test part holds a fifth of what the training part would lead one to expect."""
    rows = np.intersect1d(named(given, *names), given.test)
    return given.without(rows[np.arange(len(rows)) % 5 > 0])


def renumbered_test(given: Sample, order: Sequence[int]) -> Sample:
    """The numbers of the test part's classes follow another list than those of the training part."""
    return given.put(given.test, labels=np.array(order)[given.labels[given.test]])


def wrong_labels(given: Sample, share: float) -> Sample:
    """A share of all labels is drawn anew from the other classes."""
    draws = np.random.default_rng(DRAWS)
    rows = some(np.arange(len(given.labels)), round(share * len(given.labels)))
    return given.put(rows, labels=(given.labels[rows] + draws.integers(1, len(given.classes), len(rows))) % len(given.classes))


def mixed_up(given: Sample, one: str, other: str, share: float, *, both: bool) -> Sample:
    """A share of the images of a class, or of both classes, carries the label of the other one."""
    rows = named(given, *((one, other) if both else (one,)))
    rows = some(rows, round(share * len(rows)))
    return given.put(rows, labels=given.classes.index(one) + given.classes.index(other) - given.labels[rows])


def dealt_anew(given: Sample, rows: Rows) -> Sample:
    """The labels of some rows are shuffled among them."""
    return given.put(rows, labels=given.labels[np.random.default_rng(DRAWS).permutation(rows)])


def slipped(given: Sample, rows: Rows) -> Sample:
    """The labels of some rows are one row too late."""
    return given.put(rows, labels=np.roll(given.labels[rows], 1))


def numbered_from_one(given: Sample) -> Sample:
    """Labels run from 1 to 10, and no names are given."""
    return replace(given, labels=given.labels + 1, classes=())


def beyond_the_classes(given: Sample) -> Sample:
    """Three labels are 10, which names no class."""
    return given.put(given.train[:3], labels=np.full(3, 10))


# Pixels


def through(given: Sample, rows: Rows, change: Callable[[Images], Images]) -> Sample:
    """Change the images of some rows."""
    return given.put(rows, images=change(given.images[rows]))


def blank(images: Images) -> Images:
    return np.full_like(images, 128)


def inverted(images: Images) -> Images:
    return 255 - images


def to_one(images: Images) -> Images:
    """Values 0..1, stored as whole numbers."""
    return np.rint(images / 255).astype(np.uint8)


def to_fifteen(images: Images) -> Images:
    """Values 0..15."""
    return images // 16


def planes_as_pixels(images: Images) -> Images:
    """Rows of red, green and blue planes that are read as red, green and blue of each pixel."""
    return np.ascontiguousarray(images.transpose(0, 3, 1, 2)).reshape(images.shape)


def pixels_as_planes(images: Images) -> Images:
    """Rows of red, green and blue of each pixel that are read as planes."""
    return np.ascontiguousarray(images.reshape(len(images), 3, *images.shape[1:3]).transpose(0, 2, 3, 1))


def blue_first(images: Images) -> Images:
    return images[..., ::-1]


def on_their_side(images: Images) -> Images:
    return images.swapaxes(1, 2)


def upside_down(images: Images) -> Images:
    return images[:, ::-1]


def brighter(images: Images, by: int) -> Images:
    return np.clip(images.astype(int) + by, 0, 255).astype(np.uint8)


def blurred(images: Images, radius: float) -> Images:
    return np.rint(gaussian_filter(images.astype(np.float32), (0, radius, radius, 0))).astype(np.uint8)


def redder(images: Images, by: int) -> Images:
    return np.clip(images.astype(int) + np.array([by, 0, -by]), 0, 255).astype(np.uint8)


def own_cast(given: Sample) -> Sample:
    """Each class has a cast of colour of its own, up to 60 grey levels a channel."""
    casts = np.random.default_rng(DRAWS).uniform(-60, 60, (len(given.classes), 3))
    moved = given.images + casts[given.labels][:, None, None, :]
    return replace(given, images=np.clip(np.rint(moved), 0, 255).astype(np.uint8))


def framed(images: Images) -> Images:
    """A black line of one pixel along the edge."""
    out = np.zeros_like(images)
    out[:, 1:-1, 1:-1] = images[:, 1:-1, 1:-1]
    return out


def in_test(change: Callable[[Images], Images]) -> Mistake:
    return lambda given: through(given, given.test, change)


def everywhere(change: Callable[[Images], Images]) -> Mistake:
    return lambda given: through(given, np.arange(len(given.labels)), change)


def in_some(change: Callable[[Images], Images], count: int) -> Mistake:
    """Change so many training images, drawn."""
    return lambda given: through(given, some(given.train, count), change)


def in_class(change: Callable[[Images], Images], *names: str) -> Mistake:
    return lambda given: through(given, named(given, *names), change)


LISTED_ORDER: Final = (3, 8, 0, 6, 1, 9, 2, 7, 5, 4)  # an order that a listing of folders may give
