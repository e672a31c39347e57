"""What a reader found in one source, before classes are picked and pixels prepared: what every format returns."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from rung.data.decode import read_file
from rung.data.imageset import TRAIN, FileNote

Progress = Callable[[int, int], None]  # is told how many images or bytes are done, and how many there are in all


class Stamp(NamedTuple):
    """What changes where a file changes: its size, its two times in nanoseconds (of its content, of anything), its inode number."""

    size: int
    modified: int
    changed: int
    inode: int


def stamp_of(path: str) -> Stamp | None:
    """Return the stamp of a file, None where it cannot be looked at."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return Stamp(status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)


class Stored(ABC):
    """Encoded images that are read one by one, each when its turn comes; several threads may ask at once."""

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def read(self, row: int) -> bytes:
        """Return the bytes of one image. Raises: UnreadableImage with the reason; DataError where no image is at fault."""

    @abstractmethod
    def suffix(self, row: int) -> str | None:
        """Return the extension of an image's name (".jpg", or "" where it has none), None where there is no name."""

    @abstractmethod
    def address(self, row: int) -> str:
        """Return where an image lies: a path, or a path and a place in that file."""

    @abstractmethod
    def stamp(self, row: int) -> Stamp | None:
        """Return the stamp of the file that holds an image, None where it cannot be had."""

    @abstractmethod
    def take(self, rows: npt.NDArray[np.int64]) -> Stored:
        """Return these rows only, in their order."""


@dataclass(frozen=True)
class Files(Stored):
    """Image files not read yet: paths below a folder, as the file system spells them."""

    base: str
    paths: Sequence[str]

    def __len__(self) -> int:
        return len(self.paths)

    def read(self, row: int) -> bytes:
        return read_file(self.address(row))

    def suffix(self, row: int) -> str | None:
        return os.path.splitext(self.paths[row])[1]

    def address(self, row: int) -> str:
        return os.path.join(self.base, self.paths[row])

    def stamp(self, row: int) -> Stamp | None:
        return stamp_of(self.address(row))

    def take(self, rows: npt.NDArray[np.int64]) -> Files:
        return Files(self.base, [self.paths[r] for r in rows])


@dataclass(frozen=True)
class _Several(Stored):
    """Stored images of several kinds, one after the other; rows: which of them."""

    held: Sequence[Stored]
    rows: npt.NDArray[np.int64]
    ends: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.rows)

    def _at(self, row: int) -> tuple[Stored, int]:
        at = int(self.rows[row])
        k = int(np.searchsorted(self.ends, at, side="right"))
        return self.held[k], at - (int(self.ends[k - 1]) if k else 0)

    def read(self, row: int) -> bytes:
        stored, at = self._at(row)
        return stored.read(at)

    def suffix(self, row: int) -> str | None:
        stored, at = self._at(row)
        return stored.suffix(at)

    def address(self, row: int) -> str:
        stored, at = self._at(row)
        return stored.address(at)

    def stamp(self, row: int) -> Stamp | None:
        stored, at = self._at(row)
        return stored.stamp(at)

    def take(self, rows: npt.NDArray[np.int64]) -> _Several:
        return replace(self, rows=self.rows[rows])


def several(held: Sequence[Stored]) -> Stored:
    """Return stored images of one or several kinds as one."""
    if len(held) == 1:
        return held[0]
    ends = np.cumsum([len(stored) for stored in held])
    return _Several(held, np.arange(ends[-1]), ends)


@dataclass(frozen=True, slots=True)
class Refused:
    """A file that cannot be an image of its class; label is an index into the classes of its source."""

    path: str
    reason: str
    label: int


@dataclass(frozen=True)
class Found:
    """The rows of one source; the fields that ImageSet has too mean the same.

    images: uint8 (N,H,W,C) of one size, or encoded images.
    origin: the real path of the folder or file that was read, "" where there is none. coarse: for each class the name of its group or None.
    groups: for each row the name of its group ("": none), or None. numbered: whether classes are the numbers 0..K-1 that were found as labels.
    official: whether the rows are those of a known benchmark, of which none is left out.
    """

    name: str
    images: npt.NDArray[np.uint8] | Stored
    labels: npt.NDArray[np.int64]
    classes: tuple[str, ...]
    sources: Sequence[str]
    parts: npt.NDArray[np.int8]
    roots: npt.NDArray[np.int64]
    root_names: tuple[str, ...]
    origin: str = ""
    coarse: tuple[str | None, ...] | None = None
    groups: Sequence[str] | None = None
    numbered: bool = False
    official: bool = False
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
        return replace(
            self,
            images=self.images.take(rows) if isinstance(self.images, Stored) else self.images[rows],
            labels=self.labels[rows],
            sources=[self.sources[r] for r in rows],
            parts=self.parts[rows],
            roots=self.roots[rows],
            groups=None if self.groups is None else [self.groups[r] for r in rows],
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
