"""The one preprocessing of images, for training, validation and prediction alike: colour, shape, size, scale.

A file becomes upright 8-bit pixels (decode), then a square of one size (fit), then 0..1 (to_float), then what the
network sees (normalise). Between fit and to_float lies the stored image; augmentation comes between the last two.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from rung.data.decode import UnreadableImage, decode
from rung.data.imageset import ImageSet
from rung.data.resize import resize
from rung.errors import DataError, RecipeError, ResourceError
from rung.recipe import Pixels

AUTO_SIZE = 64
_SUMMED = 2**21  # values summed at once: they stay near the processor
_CHUNK = 2**24  # values worked on at once, so that a large set needs little memory beside itself


def prepare(source: bytes | Path, pixels: Pixels, size: int, channels: int) -> npt.NDArray[np.uint8]:
    """Return one image file as uint8 (size,size,channels), exactly as training saw it.

    Raises: DataError with the path, if there is one, and the reason; ResourceError where memory runs out.
    """
    name = source if isinstance(source, Path) else "the image"
    try:
        image = decode(source, pixels).image
    except UnreadableImage as error:
        raise DataError(f"{name} {error}") from None
    except MemoryError as error:
        raise ResourceError(f"out of memory while reading {name} ({error}): close other programs") from None
    return fit(image, size, channels, pixels)


def fit(image: npt.NDArray[np.uint8], size: int, channels: int, pixels: Pixels) -> npt.NDArray[np.uint8]:
    """Return uint8 (H,W,C) as uint8 (size,size,channels)."""
    fitted: npt.NDArray[np.uint8] = fit_all(image[None], size, channels, pixels)[0]
    return fitted


def fit_all(images: npt.NDArray[np.uint8], size: int, channels: int, pixels: Pixels) -> npt.NDArray[np.uint8]:
    """Return uint8 (N,H,W,C) as uint8 (N,size,size,channels); each image as `fit` makes it, to the bit."""
    count, height, width, _ = images.shape
    if images.shape[3] == 3 and channels == 1:
        images = grey(images)
    if (height, width) != (size, size):
        if pixels.fit == "crop":
            side = min(height, width)
            top, left = (height - side) // 2, (width - side) // 2
            images = images[:, top : top + side, left : left + side]
        if pixels.fit == "pad":
            scale = size / max(height, width)
            inner = (max(1, round(height * scale)), max(1, round(width * scale)))
            top, left = (size - inner[0]) // 2, (size - inner[1]) // 2
            canvas = np.empty((count, size, size, channels), np.uint8)
            canvas[:] = _background(pixels, channels)
            canvas[:, top : top + inner[0], left : left + inner[1]] = resize(images, inner, pixels.filter, pixels.antialias)
            return canvas
        images = resize(images, (size, size), pixels.filter, pixels.antialias)
    return np.repeat(images, 3, axis=3) if channels > images.shape[3] else images


def grey(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Return the luma (ITU-R BT.601, in the integers that Pillow uses) of uint8 (..,3) as uint8 (..,1)."""
    out = np.empty((*images.shape[:-1], 1), np.uint8)
    for part, into in zip(_chunks(images), _chunks(out), strict=True):
        red, green, blue = (part[..., c].astype(np.uint32) for c in range(3))
        into[..., 0] = (19595 * red + 38470 * green + 7471 * blue + 0x8000) >> 16
    return out


def _background(pixels: Pixels, channels: int) -> npt.NDArray[np.uint8]:
    colour = np.array(pixels.background, np.uint8)
    return grey(colour[None])[0] if channels == 1 else colour


def _chunks(images: npt.NDArray[np.uint8]) -> Iterable[npt.NDArray[np.uint8]]:
    step = max(1, _CHUNK * len(images) // max(1, images[..., 0].size))
    return (images[start : start + step] for start in range(0, len(images), step))


def to_float(images: Tensor) -> Tensor:
    """Return uint8 (N,C,H,W) as float32 in 0..1."""
    return images.to(torch.float32).div_(255)


def normalise(images: Tensor, pixels: Pixels) -> Tensor:
    """Return float (N,C,H,W) in 0..1 as the network sees it: as it is, standardised, or in 0..255.

    Raises: RecipeError when mean and deviation are to be used and are not there for each channel.
    """
    if pixels.normalise == "unit":
        return images
    if pixels.normalise == "none":
        return images * 255
    _check_channels(pixels, images.shape[1])
    return (images - _each(pixels.mean, images)) / _each(pixels.deviation, images)


def _each(values: tuple[float, ...] | None, images: Tensor) -> Tensor:
    """Return one value a channel as (1,C,1,1); made on the device, for bringing numbers there waits for all that it has to do."""
    return torch.cat([torch.full((1,), value, dtype=images.dtype, device=images.device) for value in values or ()]).view(1, -1, 1, 1)


def measure(images: npt.NDArray[np.uint8], rows: npt.NDArray[np.int64]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and deviation of each channel of uint8 (N,H,W,C), in 0..1, over these rows.

    Sums are whole numbers, so the order of rows changes no bit; a channel without any contrast has deviation 1.
    """
    if not len(rows):
        raise DataError("there are no rows to measure mean and deviation on")
    _, height, width, channels = images.shape
    step = max(1, _SUMMED // (height * width * channels))
    total, squares = torch.zeros((2, channels), dtype=torch.int64)
    for start in range(0, len(rows), step):
        values = torch.from_numpy(images[rows[start : start + step]]).flatten(1).to(torch.int32)  # places added up over images first: ten times as fast
        total += values.sum(dim=0).view(-1, channels).sum(dim=0)
        squares += (values * values).sum(dim=0).view(-1, channels).sum(dim=0)
    total, squares = total.numpy(), squares.numpy()
    count = len(rows) * height * width
    mean = total / count
    deviation = np.sqrt(np.maximum(squares / count - mean * mean, 0)) / 255
    return tuple(float(m) / 255 for m in mean), tuple(float(d) if d > 1e-6 else 1.0 for d in deviation)


def resolved(pixels: Pixels, images: ImageSet) -> Pixels:
    """Return the recipe's pixels with the size and colour that `images` have, in place of "auto".

    Raises: RecipeError if the recipe's mean and deviation are not one for each channel.
    """
    channels = images.images.shape[3]
    if pixels.mean is not None:
        _check_channels(pixels, channels)
    return pixels.model_copy(update={"size": images.images.shape[1], "colour": "grey" if channels == 1 else "rgb"})


def _check_channels(pixels: Pixels, channels: int) -> None:
    if pixels.mean is None or pixels.deviation is None or len(pixels.mean) != channels or len(pixels.deviation) != channels:
        raise RecipeError(
            f"pixels.normalise = 'standard' needs pixels.mean and pixels.deviation with {channels} values each, found {pixels.mean} and {pixels.deviation}"
        )
