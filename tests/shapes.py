"""Drawn circles, squares and triangles: one a picture, of random colour, place and size, none a copy of another."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

NAMES = ("circle", "square", "triangle")


def drawn(count: int, side: int = 48) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Return uint8 (count,side,side,3) and the number of each name in turn, int64 (count,)."""
    draws = np.random.default_rng(0)
    labels = np.arange(count) % 3
    images = np.empty((count, side, side, 3), np.uint8)
    down, right = np.mgrid[:side, :side]
    for image, label in zip(images, labels, strict=True):
        ground, ink = draws.integers(0, 256, (2, 3))
        while abs(ground - ink).sum() < 150:
            ink = draws.integers(0, 256, 3)
        reach = draws.integers(side // 7, side // 3)
        y, x = np.subtract((down, right), draws.integers(reach + 1, side - reach - 1, 2)[:, None, None])
        box = (abs(x) <= reach) & (abs(y) <= reach)
        inside = (x**2 + y**2 <= reach**2, box, box & (2 * abs(x) <= y + reach))[label]
        image[:] = np.clip(np.where(inside[..., None], ink, ground) + draws.normal(0, 6, image.shape), 0, 255)
    return images, labels
