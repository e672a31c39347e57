"""Decoding many image files at once, and what to do with those that cannot be."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from rung.data.decode import UnreadableImage, decode
from rung.data.found import Found, Progress, Refused, Stored
from rung.data.imageset import FACTS, FORMATS, FileNote, grey_rows, pixel_digest, pixel_digests
from rung.data.pixels import AUTO_SIZE, fit, fit_all
from rung.data.sniff import extension_fits
from rung.errors import DataError
from rung.recipe import Pixels

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
class Fitted:
    """Images of one source, ready: uint8 (n,S,S,C), the rows they are of the source (int64), their digests (int64).

    grey: how many are grey as they lie there; facts: as in ImageSet.
    """

    images: npt.NDArray[np.uint8]
    rows: npt.NDArray[np.int64]
    digests: npt.NDArray[np.int64]
    grey: int
    facts: npt.NDArray[np.void] | None = None
    refused: tuple[Refused, ...] = ()
    repaired: tuple[FileNote, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _One:
    image: npt.NDArray[np.uint8]
    digest: int
    grey: bool
    facts: tuple[int, int, int, int, int]
    repairs: tuple[str, ...]
    odd: tuple[str, ...]


class _Shelf:
    """The images of one source as they come in.

    It is widened to three channels when the first coloured image comes, and, where the size is left to the images,
    brought to AUTO_SIZE when the first of another size comes; both give what fitting each file so at once gives.
    """

    def __init__(self, count: int, pixels: Pixels) -> None:
        self.pixels = pixels
        self.images: npt.NDArray[np.uint8] = np.empty((count, 0, 0, 1), np.uint8)

    def put(self, row: int, image: npt.NDArray[np.uint8]) -> None:
        """Store an image that `_decode_one` made, uint8 (S,S,C); rows come in ascending order."""
        if not self.images.size:
            self.images = np.empty((len(self.images), *image.shape), np.uint8)
        side, channels = self.images.shape[1], self.images.shape[3]
        if image.shape[0] != side:
            if side != AUTO_SIZE:
                whole = np.empty((len(self.images), AUTO_SIZE, AUTO_SIZE, channels), np.uint8)
                whole[:row] = fit_all(self.images[:row], AUTO_SIZE, channels, self.pixels)
                self.images = whole
            image = fit(image, AUTO_SIZE, image.shape[2], self.pixels)
        if image.shape[2] > channels:
            self.images = np.repeat(self.images, 3, axis=3)
        self.images[row] = image


def decode_files(found: Found, pixels: Pixels, progress: Progress | None = None) -> Fitted:
    """Decode and fit every file of a source, in its order whatever the number of threads.

    The images have one channel where all are grey or grey is asked for, else three. With pixels.size "auto" they keep
    their size where all are square, of one size and AUTO_SIZE at most.
    """
    assert isinstance(found.images, Stored)
    shelf = _Shelf(len(found), pixels)
    digests = np.empty(len(found), np.int64)
    facts = np.zeros(len(found), FACTS)
    keep = np.ones(len(found), dtype=bool)
    grey = 0
    refused: list[Refused] = []
    repaired: list[FileNote] = []
    odd: dict[str, list[int]] = defaultdict(list)
    draft = pixels if isinstance(pixels.size, int) else pixels.model_copy(update={"size": AUTO_SIZE})  # how far a JPEG may be reduced
    one = partial(_decode_one, found.images, pixels, draft)
    with _pool() as pool:
        for start in range(0, len(found), _CHUNK_FILES):
            for row, result in enumerate(pool.map(one, range(start, min(start + _CHUNK_FILES, len(found)))), start):
                if isinstance(result, str):
                    keep[row] = False
                    refused.append(Refused(found.sources[row], result, int(found.labels[row])))
                    continue
                shelf.put(row, result.image)
                digests[row], facts[row] = result.digest, result.facts
                grey += result.grey
                repaired.extend(FileNote(found.sources[row], reason) for reason in result.repairs)
                for kind in result.odd:
                    odd[kind].append(row)
            if progress:
                progress(min(start + _CHUNK_FILES, len(found)), len(found))
    rows, images = np.flatnonzero(keep), shelf.images
    if len(rows) < len(found):
        images, digests, facts = images[rows], digests[rows], facts[rows]
    notes = tuple(_ODD[kind].format(n=len(at), example=found.sources[at[0]]) for kind, at in sorted(odd.items()))
    return Fitted(images, rows, digests, grey, facts, tuple(refused), tuple(repaired), notes)


def fit_array(found: Found, pixels: Pixels) -> Fitted:
    """Fit every image of a source that is an array, by the same rules as files."""
    assert not isinstance(found.images, Stored)
    are_grey = grey_rows(found.images)
    grey_only = pixels.colour == "grey" or (pixels.colour == "auto" and bool(are_grey.all()))
    size = _own_size(found.images.shape[1:3], pixels)
    images = fit_all(found.images, size, 1 if grey_only else 3, pixels)
    return Fitted(images, np.arange(len(found)), pixel_digests(found.images), int(are_grey.sum()))


def together(decoded: Sequence[Fitted], pixels: Pixels) -> npt.NDArray[np.uint8]:
    """Return the images of all sources as one array (N,S,S,C), of one size and as many channels as any needs."""
    used = [d.images for d in decoded if len(d.images)]
    channels = max(images.shape[3] for images in used)
    size = used[0].shape[1] if len({images.shape[1] for images in used}) == 1 else AUTO_SIZE
    fitted = [fit_all(images, size, channels, pixels) for images in used]
    return fitted[0] if len(fitted) == 1 else np.concatenate(fitted)


def _own_size(shape: Sequence[int], pixels: Pixels) -> int:
    """Return the size asked for, or the image's own where it is square and AUTO_SIZE at most, else AUTO_SIZE."""
    if isinstance(pixels.size, int):
        return pixels.size
    return shape[0] if shape[0] == shape[1] <= AUTO_SIZE else AUTO_SIZE


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


def _decode_one(stored: Stored, pixels: Pixels, draft: Pixels, row: int) -> _One | str:
    """Return one image, fitted, with as many channels as it has or the recipe asks for; or the reason why there is none."""
    try:
        data = stored.read(row)
        decoded = decode(data, draft)
    except UnreadableImage as error:
        return str(error)
    height, width, own = decoded.image.shape
    suffix = stored.suffix(row)
    odd = (
        ("extension", suffix is not None and not extension_fits(suffix, decoded.format)),
        ("trailing", decoded.trailing > 0),
        ("frames", decoded.frames),
        ("small", min(height, width) < 8),
        ("strip", max(height, width) > 20 * min(height, width)),
    )
    channels = {"grey": 1, "rgb": 3, "auto": own}[pixels.colour]
    image = fit(decoded.image, _own_size(decoded.image.shape, pixels), channels, pixels)
    facts = (len(data), *decoded.stored, FORMATS.index("JPEG" if decoded.format == "MPO" else decoded.format), decoded.quality)
    return _One(image, pixel_digest(decoded.image), own == 1, facts, decoded.repairs, tuple(kind for kind, is_so in odd if is_so))


def _pool() -> ThreadPoolExecutor:
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return ThreadPoolExecutor(max_workers=min(16, available))
