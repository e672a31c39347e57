"""Decoding many image files at once, and what to do with those that cannot be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from rung.data.blocks import IMAGE, ODD, RECORD, REFUSED, Row, odd_bit
from rung.data.cache import Cache
from rung.data.decode import UnreadableImage, decode
from rung.data.found import Found, Progress, Refused, Stored
from rung.data.gather import Gathered, Job, gather
from rung.data.imageset import FACTS, FORMATS, FileNote, Reading, file_digest, grey_rows, pixel_digest, pixel_digests
from rung.data.pixels import AUTO_SIZE, fit, fit_all
from rung.errors import DataError, ResourceError
from rung.recipe import Pixels

MAX_LEFT_OUT_FRACTION = 0.05

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

    grey: how many are grey as they lie there; facts: as in ImageSet; reading: how files were read.
    """

    images: npt.NDArray[np.uint8]
    rows: npt.NDArray[np.int64]
    digests: npt.NDArray[np.int64]
    grey: int
    facts: npt.NDArray[np.void] | None = None
    refused: tuple[Refused, ...] = ()
    repaired: tuple[FileNote, ...] = ()
    warnings: tuple[str, ...] = ()
    reading: Reading | None = None


def decode_files(found: Found, pixels: Pixels, progress: Progress | None = None, cache: Cache | None = None) -> Fitted:
    """Decode and fit every file of a source, in its order whatever the number of threads; what the cache holds is taken from there.

    The images have one channel where all are grey or grey is asked for, else three. With pixels.size "auto" they keep
    their size where all are square, of one size and AUTO_SIZE at most.
    """
    assert isinstance(found.images, Stored)
    draft = pixels if isinstance(pixels.size, int) else pixels.model_copy(update={"size": AUTO_SIZE})  # how far a JPEG may be reduced
    make = partial(_decode_one, found.images, pixels, draft)
    gathered = gather(Job(found.name, found.images, make, pixels, progress or (lambda done, total: None)), cache)
    return _fitted(found, gathered)


def _fitted(found: Found, gathered: Gathered) -> Fitted:
    records, texts = gathered.records, ((), *gathered.texts)
    is_image = records["state"] == IMAGE
    rows = np.flatnonzero(is_image)
    refused = [Refused(found.sources[row], texts[records["note"][row]][0], int(found.labels[row])) for row in np.flatnonzero(~is_image).tolist()]
    noted = rows[records["note"][rows] > 0].tolist()
    repaired = [FileNote(found.sources[row], reason) for row in noted for reason in texts[records["note"][row]]]
    odd = []
    for kind in sorted(ODD):
        at = rows[records["odd"][rows] & odd_bit(kind) > 0]
        if len(at):
            odd.append(_ODD[kind].format(n=len(at), example=found.sources[at[0]]))
    facts = np.zeros(len(rows), FACTS)
    for name in FACTS.names or ():
        facts[name] = records[name][rows]
    grey = int(records["grey"][rows].sum())
    return Fitted(gathered.images, rows, records["digest"][rows], grey, facts, tuple(refused), tuple(repaired), tuple(odd), gathered.reading)


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
            raise DataError(f"no image of class '{classes[label]}' can be used: {_listed(of_class)}", "files")
        if count > MAX_LEFT_OUT_FRACTION * (count + remain[label]):
            raise DataError(
                f"class '{classes[label]}' would lose {count} of {count + remain[label]} images, more than {MAX_LEFT_OUT_FRACTION:.0%}: {_listed(of_class)}; "
                f"mend or remove them",
                "files",
            )


def _listed(refused: Sequence[Refused]) -> str:
    more = f", and {len(refused) - 3} more" if len(refused) > 3 else ""
    return ", ".join(f"{r.path} {r.reason}" for r in refused[:3]) + more


def _decode_one(stored: Stored, pixels: Pixels, draft: Pixels, row: int, data: bytes) -> Row:
    """Return one image, fitted, with as many channels as it has or the recipe asks for; or the reason why there is none."""
    record = np.zeros(1, RECORD)[0]
    record["bytes"] = len(data)
    try:
        decoded = decode(data, draft)
    except UnreadableImage as error:
        record["state"] = REFUSED
        return Row(record, None, (str(error),))
    except MemoryError as error:
        raise ResourceError(f"out of memory while reading {stored.address(row)} ({error}): close other programs, or remove this file") from None
    height, width, own = decoded.image.shape
    odd = {"trailing": decoded.trailing > 0, "frames": decoded.frames, "small": min(height, width) < 8, "strip": max(height, width) > 20 * min(height, width)}
    image = fit(decoded.image, _own_size(decoded.image.shape, pixels), {"grey": 1, "rgb": 3, "auto": own}[pixels.colour], pixels)
    record["state"], record["grey"], record["quality"] = IMAGE, own == 1, decoded.quality
    record["format"] = FORMATS.index("JPEG" if decoded.format == "MPO" else decoded.format)
    record["height"], record["width"] = decoded.stored
    record["side"], record["channels"] = image.shape[1:]
    record["odd"] = sum(odd_bit(kind) for kind, is_so in odd.items() if is_so)
    record["digest"] = file_digest(data) if decoded.reduced else pixel_digest(decoded.image)
    return Row(record, image, decoded.repairs)
