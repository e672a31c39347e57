"""Whether two images that are alike in brightness have the same colours as well, one laid over the other.

Brightness alone leaves too little in plain pictures: a bright square on a dark ground is any other such square, whatever their colours. Compared is what
is left of the colours without their brightness, as two numbers a place (the plane across grey), which a change of brightness or of saturation scales.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from rung.data.nearby import Candidates
from rung.data.resize import resize
from rung.data.sketch import in_threads, slices, warped, window

_SIDE: Final = 16  # pixels that colours are compared at: saving with loss leaves no more of them
_CHUNK: Final = 512
_COLOURLESS: Final = 4.0  # grey levels: a picture with less colour could have lost it
_COARSE: Final = 12.0  # grey levels that saving with loss may change colours by
_LESS, _LESS_IN_PLACE = 0.35, 0.7  # share of the colours that may differ beyond that; pictures that are in one place may have a turned hue
_MOST_PALER: Final = 3.5  # times
_STILL: Final = (0.04, 0.05)  # a scale less 1 and a shift, in half sides, up to which pictures are in one place


def in_place(maps: Tensor) -> Tensor:
    """Return which maps (n,2,3) leave pictures where they are, mirrored or not, bool (n,)."""
    scale, shift = _STILL
    apart = (maps[:, :, :2].abs() - torch.eye(2)).abs().amax(dim=(1, 2))
    still: Tensor = (apart <= scale) & (maps[:, :, 2].abs().amax(dim=1) <= shift)
    return still


def colours_agree(images: npt.NDArray[np.uint8], pairs: Candidates, maps: Tensor) -> Tensor:
    """Return which pairs of uint8 (N,H,W,C) have the same colours, the first seen through maps (P,2,3), bool (P,); all where there is but one channel.

    So do pairs of which one has no colour, and pictures in one place that differ by the order of red, green and blue. To be called under `one_thread`.
    """
    agree = torch.ones(len(pairs), dtype=torch.bool)
    if images.shape[3] != 3 or not len(pairs):
        return agree
    rows, places = np.unique(np.stack([pairs.first, pairs.second]), return_inverse=True)
    small = np.empty((len(rows), _SIDE, _SIDE, 3), np.uint8)

    def shrink(part: slice) -> None:
        small[part] = resize(np.ascontiguousarray(images[rows[part]]), (_SIDE, _SIDE), "bilinear", antialias=True)

    def compare(part: slice) -> None:
        moved, still = (torch.from_numpy(small[places[k, part]]).float().permute(0, 3, 1, 2) for k in (0, 1))
        agree[part] = _agree(warped(moved, maps[part], _SIDE), still, in_place(maps[part]))

    in_threads(shrink, slices(len(rows), _CHUNK))
    in_threads(compare, slices(len(pairs), _CHUNK))
    return agree


def _agree(one: Tensor, other: Tensor, still: Tensor) -> Tensor:
    """Return which images float (n,3,S,S) have the same colours, up to saturation, bool (n,)."""
    mine, turned, theirs = _tints(one), _tints(one.flip(1)), _tints(other)
    strength = torch.stack([_strength(mine), _strength(theirs)])
    paler, stronger = strength.amin(dim=0), strength.amax(dim=0)

    def near(tints: Tensor, share: float) -> Tensor:
        along = (tints * theirs).sum(dim=(1, 2, 3)) / (tints.flatten(1).norm(dim=1) * theirs.flatten(1).norm(dim=1)).clamp(min=1e-6)
        apart = (1 - along**2).clamp(min=0).sqrt() * paler
        alike: Tensor = (along > 0) & (apart <= (_COARSE**2 + (share * paler) ** 2).sqrt())
        return alike

    same = near(mine, _LESS) | (still & (near(mine, _LESS_IN_PLACE) | near(turned, _LESS)))
    agree: Tensor = (paler < _COLOURLESS) | (same & (stronger < _MOST_PALER * paler))
    return agree


def _tints(images: Tensor) -> Tensor:
    """Return the colours of float (n,3,S,S) without their brightness, weighted less at the edge, (n,2,S,S)."""
    red, green, blue = images.unbind(dim=1)
    across = torch.stack([(red - green) / math.sqrt(2), (red + green - 2 * blue) / math.sqrt(6)], dim=1)
    return across * window(_SIDE).sqrt()


def _strength(tints: Tensor) -> Tensor:
    """Return the root of the mean square of tints (n,2,S,S), in grey levels, (n,)."""
    return ((tints**2).sum(dim=(1, 2, 3)) / window(_SIDE).sum()).sqrt()
