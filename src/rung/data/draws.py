"""What augmentation draws for an image: each value has a fixed number, and is a pure function of the image's key and that number."""

from __future__ import annotations

from enum import IntEnum

import torch
from torch import Tensor

from rung import keys


class Draw(IntEnum):
    """The numbers of the draws. They are part of every stored result: add at the end, never change one."""

    FLIP_HORIZONTAL = 0
    FLIP_VERTICAL = 1
    ROTATION = 2
    ZOOM = 3
    SHIFT_X = 4
    SHIFT_Y = 5
    CROP_X = 6
    CROP_Y = 7
    CONTRAST = 8
    BRIGHTNESS = 9
    SATURATION = 10
    HUE = 11
    BLUR = 12
    CUTOUT_X = 13
    CUTOUT_Y = 14


def draw(image_keys: Tensor) -> Tensor:
    """Return all draws of all keys (N,) at once, float64 (15,N) in [0, 1): row d is draw number d."""
    # Draw d of a key is draw 0 of the key d golden steps further, so all are one call on a table of keys.
    steps = torch.arange(len(Draw), device=image_keys.device)[:, None] * keys.GOLDEN
    return keys.uniform(image_keys + steps, 0).double()


def between(draws: Tensor, number: Draw, extent: float) -> Tensor:
    """Return one value for each image (N,), float64, even over [-extent, extent)."""
    return (2 * draws[number] - 1) * extent


def whole(draws: Tensor, number: Draw, count: int) -> Tensor:
    """Return one whole number 0..count-1 for each image (N,), int64, all equally likely."""
    return (draws[number] * count).long()


def derived(image_keys: Tensor, purpose: str) -> Tensor:
    """Return other keys (N,), one for each key and purpose, for whatever needs draws of its own."""
    return keys.mix(image_keys ^ keys.stream(0, purpose))
