"""Where each pixel comes from: flips, rotation, zoom, shift and crop, sampled once.

An image is flipped, then turned, then zoomed, then shifted, then cropped. All of it is one matrix and one interpolation (bilinear);
with nothing but flips, whole-pixel shifts and crops, pixels are copied and none is interpolated.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from rung.data.draws import Draw, between, whole
from rung.errors import RecipeError
from rung.recipe import Augment

_PADDING = {"reflect": "reflection", "edge": "border", "zero": "zeros"}


def move(images: Tensor, draws: Tensor, settings: Augment) -> Tensor:
    """Return the images (N,C,H,W) flipped, turned, zoomed, shifted and cropped, float32 (N,C,H,W) or (N,C,crop,crop).

    Positive angles turn anticlockwise. Pixels from outside are mirrored at the edge (reflect: c b a | a b c), repeat it (edge) or are 0 (zero).

    Raises: RecipeError if the crop is larger than the images.
    """
    if settings.rotation_degrees or settings.zoom_fraction or settings.shift_fraction:
        return _interpolated(images, draws, settings)
    if settings.flip_horizontal or settings.flip_vertical or settings.shift_pixels >= 1 or settings.crop:
        return _copied(images, draws, settings)
    return images


def centre_crop(images: Tensor, side: int) -> Tensor:
    """Return the middle side x side pixels of images (..,H,W), as a view.

    Raises: RecipeError if they are smaller.
    """
    height, width = images.shape[-2:]
    _check_crop(side, height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return images[..., top : top + side, left : left + side]


def shrink(images: Tensor, side: int) -> Tensor:
    """Return images (N,C,H,W) brought to side x side pixels, bilinear with a low-pass before; those that are not larger stay as they are."""
    if min(images.shape[2:]) <= side:
        return images
    return functional.interpolate(images, (side, side), mode="bilinear", align_corners=False, antialias=True)


def _check_crop(side: int, height: int, width: int) -> None:
    if side > min(height, width):
        raise RecipeError(f"augment.crop = {side} is larger than the images, {width}x{height} pixels: lower it, or raise pixels.size")


def _flipped(draws: Tensor, number: Draw, on: bool) -> Tensor:
    """Return which images are mirrored, bool (N,)."""
    return draws[number] < (0.5 if on else 0.0)


def _window(draws: Tensor, number: Draw, side: int, crop: int | None) -> Tensor:
    """Return for each image the positions along one axis that stay, int64 (N, crop or side)."""
    if crop is None:
        return torch.arange(side, device=draws.device).expand(draws.shape[1], side)
    return whole(draws, number, side - crop + 1)[:, None] + torch.arange(crop, device=draws.device)


def _shift(draws: Tensor, number: Draw, pixels: float) -> Tensor:
    """Return a shift in whole pixels for each image, int64 (N,), even over -pixels..pixels."""
    return whole(draws, number, 2 * int(pixels) + 1) - int(pixels)


def _copied(images: Tensor, draws: Tensor, settings: Augment) -> Tensor:
    count, channels, height, width = images.shape
    if settings.crop:
        _check_crop(settings.crop, height, width)
    columns = _window(draws, Draw.CROP_X, width, settings.crop)
    rows = _window(draws, Draw.CROP_Y, height, settings.crop)
    if settings.shift_pixels >= 1:
        columns = columns - _shift(draws, Draw.SHIFT_X, settings.shift_pixels)[:, None]
        rows = rows - _shift(draws, Draw.SHIFT_Y, settings.shift_pixels)[:, None]
    if settings.flip_horizontal:
        columns = torch.where(_flipped(draws, Draw.FLIP_HORIZONTAL, True)[:, None], width - 1 - columns, columns)
    if settings.flip_vertical:
        rows = torch.where(_flipped(draws, Draw.FLIP_VERTICAL, True)[:, None], height - 1 - rows, rows)
    first = torch.arange(count, device=images.device)[:, None] * (height * width)
    places = (first + _inside(rows, height, settings.fill) * width)[:, :, None] + _inside(columns, width, settings.fill)[:, None, :]
    # Whole pixels are copied, channels side by side, which is how the network wants them in memory.
    pixels = images.permute(0, 2, 3, 1).reshape(-1, channels)
    found = pixels.index_select(0, places.flatten()).view(count, rows.shape[1], columns.shape[1], channels)
    if settings.fill == "zero" and settings.shift_pixels >= 1:
        within = ((rows >= 0) & (rows < height))[:, :, None] & ((columns >= 0) & (columns < width))[:, None, :]
        found *= within[..., None]
    return found.permute(0, 3, 1, 2)


def _inside(places: Tensor, side: int, fill: str) -> Tensor:
    """Return the places 0..side-1 that stand in for these (any integers)."""
    if fill != "reflect":
        return places.clamp(0, side - 1)
    places = places.remainder(2 * side)
    return torch.minimum(places, 2 * side - 1 - places)


def _interpolated(images: Tensor, draws: Tensor, settings: Augment) -> Tensor:
    height, width = images.shape[2:]
    if settings.crop:
        _check_crop(settings.crop, height, width)
    # x and y: where the pixels of the result lie after the shift is undone, from the image's middle, float64 (N,W') and (N,H').
    x = _window(draws, Draw.CROP_X, width, settings.crop) - (width - 1) / 2
    y = _window(draws, Draw.CROP_Y, height, settings.crop) - (height - 1) / 2
    x, y = x.double(), y.double()
    if settings.shift_fraction:
        x = x - between(draws, Draw.SHIFT_X, settings.shift_fraction * width)[:, None]
        y = y - between(draws, Draw.SHIFT_Y, settings.shift_fraction * height)[:, None]
    elif settings.shift_pixels >= 1:
        x = x - _shift(draws, Draw.SHIFT_X, settings.shift_pixels)[:, None]
        y = y - _shift(draws, Draw.SHIFT_Y, settings.shift_pixels)[:, None]
    angle = between(draws, Draw.ROTATION, math.radians(settings.rotation_degrees))
    view = 1 + between(draws, Draw.ZOOM, settings.zoom_fraction)
    cosine, sine = view * angle.cos(), view * angle.sin()
    # grid_sample counts from -1 to 1 over a side, and a mirrored image is read backwards.
    across = torch.where(_flipped(draws, Draw.FLIP_HORIZONTAL, settings.flip_horizontal), -2 / width, 2 / width)
    down = torch.where(_flipped(draws, Draw.FLIP_VERTICAL, settings.flip_vertical), -2 / height, 2 / height)
    # x and y of a point are one complex number, so that the grid is one addition. A batched matrix product would do too, but its bits may
    # depend on the size of the batch.
    by_column = torch.complex((across * cosine)[:, None] * x, (down * sine)[:, None] * x).to(torch.complex64)
    by_row = torch.complex((across * -sine)[:, None] * y, (down * cosine)[:, None] * y).to(torch.complex64)
    grid = torch.view_as_real(by_column[:, None, :] + by_row[:, :, None])
    return functional.grid_sample(images, grid, mode="bilinear", padding_mode=_PADDING[settings.fill], align_corners=False)
