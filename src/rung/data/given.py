"""Images and labels handed over in Python: torch tensors of any device and type, and lists of Pillow images of any sizes and modes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from rung.data.decode import UnreadableImage, decode_picture
from rung.data.imageset import FileNote
from rung.data.pixels import AUTO_SIZE, fit
from rung.errors import DataError
from rung.recipe import Pixels


def plain(values: Any) -> npt.ArrayLike:
    """Return a tensor, or a list of tensors, as what numpy takes; anything else as it is."""
    if isinstance(values, torch.Tensor):
        own = values.detach().cpu()
        return (own.float() if own.dtype == torch.bfloat16 else own).numpy()
    if isinstance(values, list | tuple) and values and all(isinstance(value, torch.Tensor) for value in values):
        return [plain(value) for value in values]  # type: ignore[return-value]
    return values  # type: ignore[no-any-return]


def images(values: Any, pixels: Pixels, name: str) -> tuple[npt.ArrayLike, list[FileNote]]:
    """Return images as what `arrays.as_images` takes, and what was changed in Pillow images, which are read by the rules of files.

    Pillow images of different sizes are brought to one, that of the recipe. Raises: DataError naming the one that cannot be used.
    """
    if not (isinstance(values, list | tuple) and values and isinstance(values[0], Image.Image)):
        return plain(values), []
    decoded, notes = [], []
    for row, picture in enumerate(values):
        if not isinstance(picture, Image.Image):
            raise DataError(f"{name}#{row} is {type(picture).__name__}, and those before it are Pillow images: give one kind")
        try:
            image, repairs = decode_picture(picture, pixels)
        except UnreadableImage as error:
            raise DataError(f"{name}#{row} {error}") from None
        decoded.append(image)
        notes += [FileNote(f"{name}#{row}", reason) for reason in repairs]
    return _stacked(decoded, pixels), notes


def _stacked(decoded: Sequence[npt.NDArray[np.uint8]], pixels: Pixels) -> npt.NDArray[np.uint8]:
    """Return uint8 images (H,W,C) as one array (N,H,W,C); fitted only where their sizes differ."""
    channels = max(image.shape[2] for image in decoded)
    if len({image.shape[:2] for image in decoded}) == 1:
        return np.stack([np.repeat(image, 3, axis=2) if channels > image.shape[2] else image for image in decoded])
    size = pixels.size if isinstance(pixels.size, int) else AUTO_SIZE
    return np.stack([fit(image, size, channels, pixels) for image in decoded])
