"""Decoded images as they come in: blocks of rows, with all that is known of each row's file, and how they become one array."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from rung.data.pixels import AUTO_SIZE, fit_all
from rung.recipe import Pixels

# What is known of a row. name: a digest of where it lies; size, modified, changed, inode: its stamp, settled: whether that says that its bytes
# are the same (see known.py); content: a digest of its bytes; digest, bytes, height, width, format, quality: as in ImageSet; side, channels: of
# the image; grey: whether it is grey as it lies there; odd: bits of what is strange; note: 0, or the number of its texts, from 1.
RECORD: Final = np.dtype(
    [(name, "<i8") for name in ("size", "modified", "changed", "inode", "digest", "bytes")]
    + [("name", "<u8"), ("content", "<u8", (2,)), ("height", "<i4"), ("width", "<i4"), ("note", "<u4"), ("side", "<u2")]
    + [(name, "u1") for name in ("format", "quality", "state", "channels", "grey", "odd", "settled")]
)
UNREAD: Final = 0  # its bytes could not be read: no other time may take this as known
REFUSED: Final = 1
IMAGE: Final = 2

ODD: Final = ("extension", "trailing", "frames", "small", "strip")

Records = npt.NDArray[np.void]
Texts = tuple[tuple[str, ...], ...]


def odd_bit(kind: str) -> int:
    """Return the bit of one of ODD."""
    return 1 << ODD.index(kind)


@dataclass(frozen=True)
class Block:
    """Some rows of a source: records RECORD (n,); pixels: uint8, the images of state IMAGE one after the other; texts: what notes stand for.

    The texts of a refused row are its one reason, those of an image what was repaired.
    """

    records: Records
    pixels: npt.NDArray[np.uint8]
    texts: Texts

    def images(self) -> Iterator[tuple[int, npt.NDArray[np.uint8]]]:
        """Yield the number of each row that is an image, and its image (S,S,C)."""
        start = 0
        for row in np.flatnonzero(self.records["state"] == IMAGE).tolist():
            side, channels = int(self.records["side"][row]), int(self.records["channels"][row])
            end = start + side * side * channels
            yield row, self.pixels[start:end].reshape(side, side, channels)
            start = end


@dataclass(frozen=True, slots=True)
class Row:
    """One row on its way into a block: record RECORD (), its note not set yet; image: uint8 (S,S,C) or None; texts: as in Block."""

    record: np.void
    image: npt.NDArray[np.uint8] | None
    texts: tuple[str, ...]
    is_known: bool = False  # taken from the cache, not decoded now


def block_of(rows: Iterable[Row]) -> Block:
    """Put rows into one block, in their order."""
    numbers: dict[tuple[str, ...], int] = {(): 0}
    records, pixels = [], []
    for row in rows:
        row.record["note"] = numbers.setdefault(row.texts, len(numbers))
        records.append(row.record)
        if row.image is not None:
            pixels.append(row.image.reshape(-1))
    return Block(np.array(records, RECORD), np.concatenate(pixels) if pixels else np.empty(0, np.uint8), tuple(numbers)[1:])


def shape_of(records: Records) -> tuple[int, int]:
    """Return side and channels that the images of these rows take together: as they are if alike, else AUTO_SIZE and the most channels."""
    images = records[records["state"] == IMAGE]
    if not len(images):
        return AUTO_SIZE, 1
    sides = np.unique(images["side"])
    return int(sides[0]) if len(sides) == 1 else AUTO_SIZE, int(images["channels"].max())


def alike(block: Block, side: int, channels: int, pixels: Pixels) -> npt.NDArray[np.uint8]:
    """Return the images of a block as uint8 (n,side,side,channels), each as if it had been fitted so at once."""
    images = block.records[block.records["state"] == IMAGE]
    if (images["side"] == side).all() and (images["channels"] == channels).all():
        return block.pixels.reshape(len(images), side, side, channels)
    out = np.empty((len(images), side, side, channels), np.uint8)
    for place, (_, image) in enumerate(block.images()):
        out[place] = fit_all(image[None], side, channels, pixels)[0]
    return out


def join_notes(records: Records, texts: Texts, known: dict[tuple[str, ...], int]) -> Records:
    """Return a block's records with their notes numbered as in `known`, which grows; it begins as {(): 0}."""
    numbers = np.array([0] + [known.setdefault(own, len(known)) for own in texts], np.uint32)
    records = records.copy()
    records["note"] = numbers[records["note"]]
    return records
