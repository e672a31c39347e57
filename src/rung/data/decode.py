"""From the bytes of an image file to 8-bit pixels, in one way everywhere: grey or red, green, blue, turned upright."""

from __future__ import annotations

import os
import re
import stat
import struct
import threading
import warnings
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from rung.data.drive import steadily
from rung.data.imageset import FORMATS, is_grey
from rung.data.sniff import bytes_after_end, starts_like, what_it_is
from rung.errors import DataError
from rung.recipe import Pixels

MAX_PIXELS = 178_956_970
MAX_SIDE = 1_000_000
MAX_FILE_BYTES = 512 * 2**20
MAX_METADATA_BYTES = 4 * 2**20

# More pixels than this no byte of the format can hold (one bit each; deflate packs 1,032 to 1): the header lies.
_MAX_PIXELS_PER_BYTE = {"PNG": 8_300, "GIF": 8_300, "JPEG": 2_048, "MPO": 2_048}
_MAX_PIXELS_PER_RAW_BYTE = 8

# What Pillow raises on damaged files; anything else is a mistake of ours and must be seen.
_DAMAGE = (OSError, SyntaxError, ValueError, EOFError, TypeError, KeyError, IndexError, OverflowError, AttributeError, struct.error, zlib.error)
_NO_MEMORY = "out of memory"  # how Pillow says it where a decoder asked for it

# The luminance table that libjpeg scales by a quality of 1..100 (ITU-T T.81, table K.1), row by row.
_LUMINANCE = np.array(
    [16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51, 87, 80, 62,
     18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92, 49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99]
)  # fmt: skip
_SCALES = np.array([5000 // q if q < 50 else 200 - 2 * q for q in range(1, 101)])
_TABLE_SUMS = np.clip((_LUMINANCE * _SCALES[:, None] + 50) // 100, 1, 255).sum(axis=1)  # of quality 1..100, ever smaller

_ORIENTATION = 0x0112
_BROKEN_EXIF = "broken EXIF data ignored"
_BITS_PER_SAMPLE = 258


class UnreadableImage(DataError):
    """An image file that cannot be used; the text is the reason, without the path."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """One image as it is: uint8 (H,W,C), C is 1 where all channels are equal, else 3.

    format: as Pillow names it; repairs: what was changed to read it; frames: whether it holds more than the first
    frame, which is the one read; trailing: bytes after its end; stored: height and width as the file has them, before any
    turn or reduction; reduced: whether a JPEG was decoded at a reduced scale; quality: see ImageSet.facts.
    """

    image: npt.NDArray[np.uint8]
    format: str
    repairs: tuple[str, ...]
    frames: bool
    trailing: int
    stored: tuple[int, int]
    reduced: bool
    quality: int


def decode(source: bytes | Path, pixels: Pixels) -> Decoded:
    """Decode one image fully; its format is found by content, never by name.

    Raises: UnreadableImage with the reason; MemoryError, for then no file is at fault.
    """
    data = source if isinstance(source, bytes) else read_file(source)
    if not data:
        raise UnreadableImage("is empty (0 bytes)")
    repairs: list[str] = []
    with _listening() as heard:
        picture = _opened(data)
        width, height = picture.size
        if pixels.reduced_jpeg and isinstance(pixels.size, int):
            picture.draft(None, (pixels.size, pixels.size))  # None keeps the mode
        reduced = picture.size != (width, height)
        try:
            orientation = _orientation(picture, repairs)
            _load(picture)
            if _has_16_bit_channels(picture, data):
                repairs.append("16 bits a channel brought to 8")
            image = _to_uint8(picture, pixels.background, repairs)
        except MemoryError:
            raise MemoryError(f"{width} x {height} pixels") from None
        frames = _has_more_frames(picture)
        _judge(heard, repairs)
    if picture.format != "TIFF":  # Pillow turns TIFF files itself while loading
        image = _turned(image, orientation)
    if orientation != 1:
        repairs.append(f"turned by its EXIF orientation {orientation}")
    trailing = 0 if frames else bytes_after_end(data, picture.format or "")
    return Decoded(_one_channel_if_grey(image), picture.format or "", tuple(repairs), frames, trailing, (height, width), reduced, _quality(picture))


def decode_picture(picture: Image.Image, pixels: Pixels) -> tuple[npt.NDArray[np.uint8], tuple[str, ...]]:
    """Return a Pillow image as `decode` gives it, uint8 (H,W,C), and what was changed.

    Raises: UnreadableImage with the reason.
    """
    repairs: list[str] = []
    with _listening() as heard:
        orientation = _orientation(picture, repairs)
        _load(picture)
        left = _orientation(picture, [])  # Pillow turns TIFF files itself while loading
        image = _to_uint8(picture, pixels.background, repairs)
        _judge(heard, repairs)
    if orientation != 1:
        repairs.append(f"turned by its EXIF orientation {orientation}")
    return _one_channel_if_grey(_turned(image, left)), tuple(repairs)


def read_file(path: Path | str) -> bytes:
    """Read a regular file without ever waiting on a pipe or device.

    Raises: UnreadableImage with the reason; DriveGone if the drive is gone, for then no file is at fault.
    """
    try:
        return steadily(path, lambda: _read_once(path))
    except OSError as error:
        raise UnreadableImage(f"cannot be read ({error.strerror})") from None


def _read_once(path: Path | str) -> bytes:
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0))
    try:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            raise UnreadableImage("is not a regular file")
        if status.st_size > MAX_FILE_BYTES:
            raise UnreadableImage(f"has {status.st_size / 2**20:,.0f} MB, more than {MAX_FILE_BYTES // 2**20} MB")
        with open(handle, "rb", buffering=0, closefd=False) as file:
            return file.readall()
    finally:
        os.close(handle)


def _opened(data: bytes) -> Image.Image:
    known = what_it_is(data)
    if known:
        raise UnreadableImage(known)
    try:
        picture = Image.open(BytesIO(data), formats=FORMATS)
    except UnidentifiedImageError:
        promised = starts_like(data)
        raise UnreadableImage(f"is a damaged {promised}" if promised else f"is not an image of a known format ({', '.join(FORMATS)})") from None
    except Image.DecompressionBombError:
        raise UnreadableImage(f"has more than {MAX_PIXELS:,} pixels") from None
    except _DAMAGE as error:
        raise UnreadableImage(f"is damaged ({_text(error)})") from None
    width, height = picture.size
    if width * height > MAX_PIXELS:
        raise UnreadableImage(f"has {width} x {height} pixels, more than {MAX_PIXELS:,}")
    most = _MAX_PIXELS_PER_RAW_BYTE if picture.info.get("compression") in (0, "raw") else _MAX_PIXELS_PER_BYTE.get(picture.format or "", MAX_PIXELS)
    if width * height > most * len(data):
        raise UnreadableImage(f"is damaged or cut short ({len(data):,} bytes cannot hold the {width} x {height} pixels it claims)")
    if max(width, height) > MAX_SIDE:
        raise UnreadableImage(f"has {width} x {height} pixels, more than {MAX_SIDE:,} a side")
    metadata = sum(len(v) for v in picture.info.values() if isinstance(v, str | bytes))
    if metadata > MAX_METADATA_BYTES:
        raise UnreadableImage(f"carries {metadata / 2**20:.0f} MB of text or colour profile, more than {MAX_METADATA_BYTES // 2**20} MB")
    return picture


def _load(picture: Image.Image) -> None:
    try:
        picture.load()
    except _DAMAGE as error:
        if _NO_MEMORY in str(error):
            raise MemoryError from None
        raise UnreadableImage(f"is damaged or cut short ({_text(error)})") from None


def _has_16_bit_channels(picture: Image.Image, data: bytes) -> bool:
    """Return whether Pillow has brought a PNG, or a TIFF of several channels, from 16 bits to 8."""
    if picture.format == "PNG":
        return data[24:25] == b"\x10"
    bits = getattr(picture, "tag_v2", {}).get(_BITS_PER_SAMPLE, (8,))
    return len(bits) > 1 and max(bits) > 8


def _quality(picture: Image.Image) -> int:
    """Return the quality whose table sums up nearest to the luminance table of a JPEG, 1..100; 0 for other formats."""
    table: Sequence[int] | None = getattr(picture, "quantization", {}).get(0)
    return 1 + int(np.abs(_TABLE_SUMS - sum(table)).argmin()) if table else 0


def _orientation(picture: Image.Image, repairs: list[str]) -> int:
    try:
        value = picture.getexif().get(_ORIENTATION, 1)
    except _DAMAGE:
        repairs.append(_BROKEN_EXIF)
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _turned(image: npt.NDArray[np.uint8], orientation: int) -> npt.NDArray[np.uint8]:
    """Undo one of the eight EXIF orientations of an image (H,W,C): 5 to 8 exchange height and width."""
    if orientation >= 5:
        image = image.transpose(1, 0, 2)
    if orientation in (3, 4, 7, 8):
        image = image[::-1]
    if orientation in (2, 3, 6, 7):
        image = image[:, ::-1]
    return np.ascontiguousarray(image)


def _has_more_frames(picture: Image.Image) -> bool:
    try:
        return bool(getattr(picture, "is_animated", False))
    except _DAMAGE:
        return True  # there is something after the first frame, if only a damaged one


def _to_uint8(picture: Image.Image, background: tuple[int, int, int], repairs: list[str]) -> npt.NDArray[np.uint8]:
    mode = picture.mode
    if mode.startswith("I;16"):
        return _from_16_bits(picture, background, repairs)
    if mode == "F":
        return _from_float(picture, repairs)
    if mode == "1":
        repairs.append("1 bit a pixel brought to 0 and 255")
        picture, mode = picture.convert("L"), "L"
    if picture.has_transparency_data:
        return _over_background(np.asarray(picture.convert("RGBA")), background, repairs)
    if mode == "CMYK":
        repairs.append("CMYK turned into red, green, blue")
    if mode not in ("L", "RGB", "P", "CMYK", "YCbCr", "RGBX", "LA", "PA", "RGBA"):
        kind = "whole numbers of 32 bits or with sign, which have no agreed white" if mode == "I" else f"{mode} colours"
        raise UnreadableImage(f"holds {kind}: save it as 8-bit grey or RGB")
    if mode != "L":
        return np.asarray(picture if mode == "RGB" else picture.convert("RGB"))  # convert would copy
    return np.asarray(picture)[..., None]


def _over_background(image: npt.NDArray[np.uint8], background: tuple[int, int, int], repairs: list[str]) -> npt.NDArray[np.uint8]:
    alpha = image[..., 3:].astype(np.uint32)
    if alpha.min() == 255:
        return image[..., :3]
    repairs.append("transparent parts put over the background")
    mixed = (image[..., :3] * alpha + np.array(background, np.uint32) * (255 - alpha) + 127) // 255
    return mixed.astype(np.uint8)


def _from_16_bits(picture: Image.Image, background: tuple[int, int, int], repairs: list[str]) -> npt.NDArray[np.uint8]:
    """Keep the upper eight bits, as Pillow does where there are three channels of 16 bits."""
    values = np.asarray(picture).astype(np.uint16)
    bits = getattr(picture, "tag_v2", {}).get(_BITS_PER_SAMPLE, (16,))[0]
    if picture.format != "PNG":
        repairs.append(f"{bits} bits a channel brought to 8")
    image: npt.NDArray[np.uint8] = (values >> (bits - 8)).astype(np.uint8)[..., None]
    clear = picture.info.get("transparency")
    if isinstance(clear, int) and (values == clear).any():
        alpha = np.where(values == clear, 0, 255).astype(np.uint8)[..., None]
        return _over_background(np.concatenate([image, image, image, alpha], axis=2), background, repairs)
    return image


def _from_float(picture: Image.Image, repairs: list[str]) -> npt.NDArray[np.uint8]:
    values = np.asarray(picture, dtype=np.float32)
    if not np.isfinite(values).all():
        raise UnreadableImage(f"holds {int((~np.isfinite(values)).sum())} values that are not finite (NaN or infinite)")
    low, high = float(values.min()), float(values.max())
    if low < 0 or high > 255:
        raise UnreadableImage(f"holds values from {low:g} to {high:g}: floating point images must be in 0..1 or 0..255")
    scale = 255 if high <= 1 else 1
    repairs.append(f"floating point values in 0..{255 // scale} brought to 8 bits")
    return np.rint(values * scale).astype(np.uint8)[..., None]


def _one_channel_if_grey(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    return np.ascontiguousarray(image[..., :1]) if image.shape[2] == 3 and is_grey(image) else image


def _text(error: BaseException) -> str:
    return str(error).partition("\n")[0] or type(error).__name__


_METADATA = re.compile(r"EXIF|MakerNote|\btag\b|Metadata|Truncated File Read", re.IGNORECASE)


def _judge(heard: list[str], repairs: list[str]) -> None:
    """Take what Pillow warned of: metadata are not needed, anything else makes the image unreadable."""
    for text in heard:
        if not _METADATA.search(text):
            raise UnreadableImage(f"is damaged ({text.partition(chr(10))[0].strip()})")
        if _BROKEN_EXIF not in repairs:
            repairs.append(_BROKEN_EXIF)


_turnstile = threading.Lock()
_listeners = 0
_saved: warnings.catch_warnings | None = None
_this_thread = threading.local()


@contextmanager
def _listening() -> Iterator[list[str]]:
    """Gather what Pillow warns of in this thread, but for size warnings, for which there is our own cap.

    Python's warning filters are one for all threads: the first to listen changes them and the last puts them back.
    """
    global _listeners, _saved
    with _turnstile:
        if _listeners == 0:
            _saved = warnings.catch_warnings()
            _saved.__enter__()
            warnings.simplefilter("always")
            warnings.showwarning = partial(_hear, warnings.showwarning)
        _listeners += 1
    heard: list[str] = []
    _this_thread.heard = heard
    try:
        yield heard
    finally:
        _this_thread.heard = None
        with _turnstile:
            _listeners -= 1
            if _listeners == 0 and _saved is not None:
                _saved.__exit__(None, None, None)
                _saved = None


def _hear(otherwise: Callable[..., None], message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
    heard: list[str] | None = getattr(_this_thread, "heard", None)
    if heard is None:
        otherwise(message, category, *place, **more)
    elif not issubclass(category, Image.DecompressionBombWarning):
        heard.append(str(message))
