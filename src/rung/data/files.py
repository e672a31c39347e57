"""Decoding many image files at once, and what to do with those that cannot be."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from rung.data.decode import UnreadableImage, decode, header_size, read_file
from rung.data.found import Files, Found, Refused
from rung.data.imageset import FileNote, grey_rows, pixel_digest, pixel_digests
from rung.data.pixels import AUTO_SIZE, fit, fit_all
from rung.data.sniff import extension_fits
from rung.errors import DataError
from rung.recipe import Pixels

Progress = Callable[[int, int], None]
MAX_LEFT_OUT_FRACTION = 0.05
_CHUNK_FILES = 512

_ODD = {
    "extension": "{n} files are not what their names say (such as {example}): they were read by content",
    "trailing": "{n} files have bytes after the end of the image (such as {example}): the image was read, the rest was not",
    "frames": "{n} files hold several images (such as {example}): the first of each was read",
    "small": "{n} images are less than 8 pixels wide or high (such as {example})",
    "strip": "{n} images are more than 20 times as long as wide (such as {example})",
}


@dataclass(frozen=True)
class Decoded:
    """Images of one source, ready: uint8 (n,S,S,C), the rows they are of the source (int64), their digests (int64).

    grey: how many are grey as they lie there.
    """

    images: npt.NDArray[np.uint8]
    rows: npt.NDArray[np.int64]
    digests: npt.NDArray[np.int64]
    grey: int
    refused: tuple[Refused, ...] = ()
    repaired: tuple[FileNote, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _One:
    image: npt.NDArray[np.uint8]
    digest: int
    grey: bool
    repairs: tuple[str, ...]
    odd: tuple[str, ...]


def common_size(files: Files) -> int | None:
    """Return the side of the images if all are square, of one size and AUTO_SIZE at most, by their headers; else None."""
    sizes: set[tuple[int, int]] = set()
    with _pool() as pool:
        for start in range(0, len(files), _CHUNK_FILES):
            paths = (os.path.join(files.base, p) for p in files.paths[start : start + _CHUNK_FILES])
            sizes |= {size for size in pool.map(header_size, paths) if size}
            if len(sizes) > 1 or any(width != height or width > AUTO_SIZE for width, height in sizes):
                return None
    return next(iter(sizes))[0] if sizes else None


def decode_files(found: Found, size: int, pixels: Pixels, progress: Progress | None = None) -> Decoded:
    """Decode and fit every file of a source, in its order whatever the number of threads.

    The images have one channel where all are grey or grey is asked for, else three.
    """
    assert isinstance(found.images, Files)
    channels = {"grey": 1, "rgb": 3, "auto": None}[pixels.colour]
    images = np.empty((len(found), size, size, channels or 1), np.uint8)
    digests = np.empty(len(found), np.int64)
    keep = np.ones(len(found), dtype=bool)
    grey = 0
    refused: list[Refused] = []
    repaired: list[FileNote] = []
    odd: dict[str, list[int]] = defaultdict(list)
    one = partial(_decode_one, found.images.base, size, channels, pixels)
    with _pool() as pool:
        for start in range(0, len(found), _CHUNK_FILES):
            for row, result in enumerate(pool.map(one, found.images.paths[start : start + _CHUNK_FILES]), start):
                if isinstance(result, str):
                    keep[row] = False
                    refused.append(Refused(found.sources[row], result, int(found.labels[row])))
                    continue
                if result.image.shape[2] > images.shape[3]:
                    images = np.repeat(images, 3, axis=3)
                images[row], digests[row] = result.image, result.digest
                grey += result.grey
                repaired.extend(FileNote(found.sources[row], reason) for reason in result.repairs)
                for kind in result.odd:
                    odd[kind].append(row)
            if progress:
                progress(min(start + _CHUNK_FILES, len(found)), len(found))
    rows = np.flatnonzero(keep)
    if len(rows) < len(found):
        images, digests = images[rows], digests[rows]
    notes = tuple(_ODD[kind].format(n=len(at), example=found.sources[at[0]]) for kind, at in sorted(odd.items()))
    return Decoded(images, rows, digests, grey, tuple(refused), tuple(repaired), notes)


def fit_array(found: Found, size: int, pixels: Pixels) -> Decoded:
    """Fit every image of a source that is an array, by the same rules as files."""
    assert not isinstance(found.images, Files)
    are_grey = grey_rows(found.images)
    grey_only = pixels.colour == "grey" or (pixels.colour == "auto" and bool(are_grey.all()))
    images = fit_all(found.images, size, 1 if grey_only else 3, pixels)
    return Decoded(images, np.arange(len(found)), pixel_digests(found.images), int(are_grey.sum()))


def check_left_out(refused: Sequence[Refused], labels: npt.NDArray[np.int64], classes: Sequence[str], strict: bool) -> None:
    """Let files be left out only where they are few; `labels` (int64) are those of the rows that remain.

    Raises: DataError above 5 % of a class, when a class has nothing left, and for any such file when strict.
    """
    if strict and refused:
        raise DataError(f"{_listed(refused)}; data.strict allows none")
    remain = np.bincount(labels, minlength=len(classes))
    for label, count in sorted(Counter(r.label for r in refused).items()):
        of_class = [r for r in refused if r.label == label]
        if remain[label] == 0:
            raise DataError(f"no image of class '{classes[label]}' can be used: {_listed(of_class)}")
        if count > MAX_LEFT_OUT_FRACTION * (count + remain[label]):
            raise DataError(
                f"class '{classes[label]}' would lose {count} of {count + remain[label]} images, more than {MAX_LEFT_OUT_FRACTION:.0%}: {_listed(of_class)}; "
                f"mend or remove them"
            )


def _listed(refused: Sequence[Refused]) -> str:
    more = f", and {len(refused) - 3} more" if len(refused) > 3 else ""
    return ", ".join(f"{r.path} {r.reason}" for r in refused[:3]) + more


def _decode_one(base: str, size: int, channels: int | None, pixels: Pixels, path: str) -> _One | str:
    """Return the image fitted to `channels`, or to as many as it has; or the reason why there is none."""
    try:
        decoded = decode(read_file(os.path.join(base, path)), pixels)
    except UnreadableImage as error:
        return str(error)
    height, width, own = decoded.image.shape
    odd = (
        ("extension", not extension_fits(os.path.splitext(path)[1], decoded.format)),
        ("trailing", decoded.trailing > 0),
        ("frames", decoded.frames),
        ("small", min(height, width) < 8),
        ("strip", max(height, width) > 20 * min(height, width)),
    )
    image = fit(decoded.image, size, channels or own, pixels)
    return _One(image, pixel_digest(decoded.image), own == 1, decoded.repairs, tuple(kind for kind, is_so in odd if is_so))


def _pool() -> ThreadPoolExecutor:
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return ThreadPoolExecutor(max_workers=min(16, available))
