"""The images of one data set, decoded: the record that everything after loading works on."""

from __future__ import annotations

import hashlib
import zlib
from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from rung.errors import DataError

TRAIN: Final = 0
VALIDATION: Final = 1
TEST: Final = 2
PARTS: Final = ("train", "validation", "test")

_SAMPLED_ROWS: Final = 2**14
_LARGE: Final = 2**18  # values of an image above which a digest does not read all with its slower function
_SAMPLED_VALUES: Final = 2**16
FORMATS: Final = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")
FACTS: Final = np.dtype([("bytes", "<i8"), ("height", "<i4"), ("width", "<i4"), ("format", "u1"), ("quality", "u1")])


@dataclass(frozen=True, slots=True)
class FileNote:
    """One file that was left out or repaired."""

    path: str
    reason: str


@dataclass(frozen=True)
class Reading:
    """How files were read, which changes nothing of the images: files found in the cache, files decoded, seconds it took in all.

    cache: the folder that the images are mapped from, "" if they are in memory; trouble: why the cache was not used to the end, "" if it was.
    """

    known: int
    decoded: int
    seconds_s: float
    cache: str = ""
    trouble: str = ""


@dataclass(frozen=True)
class ImageSet:
    """Labelled images of one size.

    images: uint8 (N,H,W,C), C is 1 (grey) or 3 (red, green, blue); resident or memory-mapped.
    labels: int64 (N,), 0..K-1, indices into `classes`; names rule, positions are this record's own.
    sources: N texts, where each row came from: a path below its root, or `file#row`; unique, the row's identity.
    parts: int8 (N,), TRAIN, VALIDATION or TEST as the data give it; all TRAIN where they give none.
    roots: N small integers, indices into `root_names`: the root or split folder of each row (train5, or the source's name).
    digests: int64 (N,), of each row's decoded pixels before resizing and colour change (of the bytes of a JPEG that was decoded at a reduced
    scale); equal images have equal digests.
    facts: FACTS (N,), what each row's file is beside its pixels; None where no row comes from a file. bytes: its size, 0 for a row
    that comes from no file (then the rest is 0 too); height, width: pixels as stored, before any turn; format: index into FORMATS;
    quality: of a JPEG 1..100, estimated from its quantisation table, 0 if unknown.
    coarse: for each class the name of its group, or None.
    groups: int64 (N,), rows of one group (same subject) must stay in one part; None: no groups known.
    dropped, repaired: every file that was left out, or read otherwise than it lies there; warnings: what may be wrong;
    remarks: what was decided while reading, in words.
    validation_rule: last_10000: the last 10,000 training rows are the customary validation part.
    readings: how each source of files was read.
    """

    name: str
    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64]
    classes: tuple[str, ...]
    sources: tuple[str, ...]
    parts: npt.NDArray[np.int8]
    roots: npt.NDArray[np.int64]
    root_names: tuple[str, ...]
    digests: npt.NDArray[np.int64]
    facts: npt.NDArray[np.void] | None = None
    coarse: tuple[str, ...] | None = None
    groups: npt.NDArray[np.int64] | None = None
    dropped: tuple[FileNote, ...] = ()
    repaired: tuple[FileNote, ...] = ()
    warnings: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    validation_rule: Literal["fraction", "last_10000"] = "fraction"
    readings: tuple[Reading, ...] = ()

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: npt.NDArray[np.int64]) -> ImageSet:
        """Return the set of these rows only, in their order; classes stay."""
        return replace(
            self,
            images=self.images[rows],
            labels=self.labels[rows],
            sources=tuple(self.sources[r] for r in rows),
            parts=self.parts[rows],
            roots=self.roots[rows],
            digests=self.digests[rows],
            facts=None if self.facts is None else self.facts[rows],
            groups=None if self.groups is None else self.groups[rows],
        )

    def hash(self) -> str:
        """Return the SHA-256 of pixels as prepared, labels, class names and parts, in their order."""
        digest = hashlib.sha256(repr((self.images.shape, self.classes)).encode())
        digest.update(np.ascontiguousarray(self.images).data)
        digest.update(np.ascontiguousarray(self.labels).data)
        digest.update(np.ascontiguousarray(self.parts).data)
        return digest.hexdigest()

    def content_hash(self) -> str:
        """Return the SHA-256 of images with labels and parts whatever their order: it tells another order from other content."""
        rows = np.stack([self.digests, self.labels, self.parts.astype(np.int64)], axis=1)
        return hashlib.sha256(rows[np.lexsort(rows.T)].astype("<i8").tobytes()).hexdigest()


def pixel_digest(image: npt.NDArray[np.uint8]) -> int:
    """Return an int64 digest of one decoded image, uint8 (H,W,C); grey stored thrice counts as grey.

    It is the BLAKE2b of shape and values; of a large image that of every n-th row and of the CRC-32 of all, which takes a fifth of the time:
    two large images that agree in all those rows and differ in others are taken for equal once in four thousand million.
    """
    image = np.ascontiguousarray(image[..., :1] if image.shape[2] == 3 and is_grey(image) else image)
    digest = hashlib.blake2b(repr(image.shape).encode(), digest_size=8)
    if image.size > _LARGE:
        digest.update(zlib.crc32(image.data).to_bytes(4, "little"))
        image = np.ascontiguousarray(image[:: -(-image.size // _SAMPLED_VALUES)])
    digest.update(image.data)
    return int.from_bytes(digest.digest(), "little", signed=True)


def is_grey(image: npt.NDArray[np.uint8]) -> bool:
    """Return whether the three channels of uint8 (H,W,3) are equal throughout."""
    sample = image[::16, ::16]  # rules out most images, which are in colour
    return all(bool((part[..., 0] == part[..., 1]).all() and (part[..., 0] == part[..., 2]).all()) for part in (sample, image))


def file_digest(data: bytes) -> int:
    """Return an int64 digest (BLAKE2b) of a file's bytes, for images that are decoded at a scale that the recipe chooses."""
    return int.from_bytes(hashlib.blake2b(data, digest_size=8, person=b"file").digest(), "little", signed=True)


def pixel_digests(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """Return `pixel_digest` of each image of uint8 (N,H,W,C), int64 (N,), in one pass."""
    count, height, width, channels = images.shape
    if height * width * channels > _LARGE:
        return np.array([pixel_digest(image) for image in images], np.int64)
    grey = grey_rows(images)
    fresh = {c: hashlib.blake2b(repr((height, width, c)).encode(), digest_size=8) for c in (1, channels)}
    rows = np.ascontiguousarray(images).reshape(count, -1)
    digests = []
    for row, row_is_grey in zip(rows, grey, strict=True):
        digest = fresh[1 if row_is_grey else channels].copy()
        digest.update(row[::channels].tobytes() if row_is_grey else row.data)
        digests.append(digest.digest())
    return np.frombuffer(b"".join(digests), dtype="<i8").astype(np.int64)


def grey_rows(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    """Return for each image of uint8 (N,H,W,C) whether its channels are equal throughout, bool (N,)."""
    if images.shape[3] == 1:
        return np.ones(len(images), dtype=bool)
    grey = np.empty(len(images), dtype=bool)
    for start in range(0, len(images), _SAMPLED_ROWS):
        sample = images[start : start + _SAMPLED_ROWS, ::8, ::8]  # rules out nearly every coloured image at a sixty-fourth of the cost
        grey[start : start + _SAMPLED_ROWS] = (sample == sample[..., :1]).all(axis=(1, 2, 3))
    for row in np.flatnonzero(grey):
        grey[row] = bool((images[row] == images[row, ..., :1]).all())
    return grey


def test_set_key(images: ImageSet, rows: npt.NDArray[np.int64]) -> str:
    """Return the SHA-256 of the images of these rows, whatever their order, size or colour in this run."""
    if not len(rows):
        raise DataError("there are no test images: nothing to seal")
    return hashlib.sha256(np.sort(images.digests[rows]).astype("<i8").tobytes()).hexdigest()
