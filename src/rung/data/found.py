"""What a reader found in one source, before classes are picked and pixels prepared: what every format returns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from rung.data.imageset import TRAIN, FileNote

Progress = Callable[[int, int], None]  # is told how many images or bytes are done, and how many there are in all


@dataclass(frozen=True)
class Files:
    """Image files not read yet: paths below a folder, as the file system spells them."""

    base: str
    paths: Sequence[str]

    def __len__(self) -> int:
        return len(self.paths)


@dataclass(frozen=True, slots=True)
class Refused:
    """A file that cannot be an image of its class; label is an index into the classes of its source."""

    path: str
    reason: str
    label: int


@dataclass(frozen=True)
class Found:
    """The rows of one source; the fields that ImageSet has too mean the same.

    images: uint8 (N,H,W,C) of one size, or the files to decode.
    coarse: for each class the name of its group or None.
    """

    name: str
    images: npt.NDArray[np.uint8] | Files
    labels: npt.NDArray[np.int64]
    classes: tuple[str, ...]
    sources: Sequence[str]
    parts: npt.NDArray[np.int8]
    roots: npt.NDArray[np.int64]
    root_names: tuple[str, ...]
    coarse: tuple[str | None, ...] | None = None
    refused: tuple[Refused, ...] = ()
    repaired: tuple[FileNote, ...] = ()
    warnings: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    validation_rule: Literal["fraction", "last_10000"] = "fraction"

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: npt.NDArray[np.int64]) -> Found:
        """Return these rows only, in their order; classes stay."""
        if len(rows) == len(self) and (rows == np.arange(len(rows))).all():
            return self
        images = Files(self.images.base, [self.images.paths[r] for r in rows]) if isinstance(self.images, Files) else self.images[rows]
        return replace(
            self,
            images=images,
            labels=self.labels[rows],
            sources=[self.sources[r] for r in rows],
            parts=self.parts[rows],
            roots=self.roots[rows],
        )

    def relabel(self, mapping: npt.NDArray[np.int64], classes: tuple[str, ...], coarse: tuple[str | None, ...] | None) -> Found:
        """Return the rows with labels mapping[label] into `classes`; rows and refusals mapped to -1 are gone."""
        labels = mapping[self.labels]
        kept = self.take(np.flatnonzero(labels >= 0))
        refused = tuple(replace(r, label=int(mapping[r.label])) for r in self.refused if mapping[r.label] >= 0)
        return replace(kept, labels=mapping[kept.labels], classes=classes, coarse=coarse, refused=refused)

    @property
    def flat(self) -> bool:
        """Whether the source itself names no parts and no roots."""
        return len(self.root_names) == 1 and bool((self.parts == TRAIN).all())
