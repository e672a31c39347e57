"""Laying one image over another, and how alike the two are then.

Alignment: Gauss-Newton on an affine map, on images brought to mean 0 and length 1, so that brightness and contrast do not count; after
B. Lucas and T. Kanade, "An iterative image registration technique", IJCAI 1981, and G. Evangelidis and E. Psarakis, "Parametric image alignment
using enhanced correlation coefficient maximization", PAMI 2008.
Likeness: the mean of the correlation of fine sketches, band by band, so that a blurred image is like a sharp one, and of the correlation within
small neighbourhoods (the structure term of Z. Wang et al., "Image quality assessment", IEEE Transactions on Image Processing 2004): a similar
outline before a plain sky has the first, not the second.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as functional
from torch import Tensor

from rung.data.nearby import Candidates
from rung.data.sketch import Sketcher, View, centred, grid_side, in_threads, shrunk, slices, warped, window

_CHUNK: Final = 512  # pairs worked on at once: what they need stays in a processor's cache
_COURSE: Final = ((0, 0.80), (2, 0.88), (2, 0.88))  # steps, and the correlation after them below which two images do not come to be alike
_LARGEST_STEP: Final = 0.15  # of a number of the map, whose unit is half the side
_DAMPING: Final = 0.02
_ZOOM: Final = (0.7, 1.4)
_STRETCH: Final = 1.25  # one way against the other
_TURN_DEGREES: Final = 12.0
_SHIFT_FRACTION: Final = 0.2
_INNER: Final = View(zoom=1.33)  # looks past a border, a frame or a stamp
_INNER_LESS: Final = 0.02  # because the inner part alone says less
_ENOUGH_FILLED: Final = 0.6  # share of the picture that shows something; a small outline before a plain ground is soon like another


def likeness(copies: npt.NDArray[np.uint8], pairs: Candidates, views: tuple[View, ...]) -> tuple[Tensor, Tensor]:
    """Return for each pair how alike its images are, laid over each other as well as can be, float32 (P,) in -1..1, and by which map, (P,2,3).

    copies: uint8 (N,S,S), the small copies that the candidates were found on. Pairs that never come close, or only by a map that no
    saving, cropping or turning makes, are 0.
    """
    fine = Sketcher(copies, waves=grid_side(copies.shape[1]))
    looks = torch.stack([view.matrix() for view in views])
    alike, best = torch.zeros(len(pairs)), looks[pairs.view]

    def fill(rows: slice) -> None:
        moved, still = (torch.from_numpy(copies[side[rows].numpy()]).float()[:, None] for side in (pairs.first, pairs.second))
        alike[rows], best[rows] = _likeness(moved, still, looks[pairs.view[rows]], fine)

    in_threads(fill, slices(len(pairs), _CHUNK))
    return alike, best


def _likeness(moved: Tensor, still: Tensor, maps: Tensor, fine: Sketcher) -> tuple[Tensor, Tensor]:
    """Return the likeness of images (n,1,S,S), the first seen through maps (n,2,3) to begin with, and the maps in the end."""
    alike, best = torch.zeros(len(moved)), maps.clone()
    near = torch.arange(len(moved))
    for steps, least in _COURSE:
        maps, correlation = aligned(moved[near], still[near], maps, steps)
        near, maps = near[correlation >= least], maps[correlation >= least]
        if not len(near):
            return alike, best
    sound = possible(maps)
    near, maps = near[sound], maps[sound]
    if len(near):
        alike[near] = alike_as_laid(warped(moved[near], maps, moved.shape[-1]), still[near], fine)
        best[near] = maps
    return alike, best


def alike_as_laid(one: Tensor, other: Tensor, fine: Sketcher) -> Tensor:
    """Return how alike images (n,1,S,S) are, pixel over pixel, (n,) in -1..1: as a whole or in their inner part, whichever is more."""
    agreement, filled = structure(one, other)
    whole = (banded(fine.of_images(one), fine.of_images(other), fine.orders()) + agreement) / 2
    look = _INNER.matrix().expand(len(one), 2, 3)
    one, other = (warped(images, look, images.shape[-1]) for images in (one, other))
    inner = (banded(fine.of_images(one), fine.of_images(other), fine.orders()) + structure(one, other)[0]) / 2 - _INNER_LESS
    lacking = 1 - torch.maximum(whole, inner)
    return 1 - lacking * (_ENOUGH_FILLED / filled.clamp(min=0.1)).clamp(min=1) ** 2


def banded(one: Tensor, other: Tensor, orders: Tensor) -> Tensor:
    """Return the correlation of sketches (n,d), each pair of orders brought to equal strength in both, (n,) in -1..1."""
    together, apart = torch.zeros(len(one)), torch.zeros(len(one))
    for order in range(1, int(orders.max()) + 1, 2):
        band = (orders == order) | (orders == order + 1)
        together += (one[:, band] * other[:, band]).sum(dim=1)
        apart += one[:, band].norm(dim=1) * other[:, band].norm(dim=1)
    return together / apart.clamp(min=1e-6)


def aligned(moved: Tensor, still: Tensor, maps: Tensor, steps: int) -> tuple[Tensor, Tensor]:
    """Return the maps (n,2,3) after some steps, through which images `moved` look most like `still` (n,1,S,S), and the correlation there (n,)."""
    side = grid_side(moved.shape[-1])
    weights = window(side)
    target = _to_length_1(centred(shrunk(still, side)[:, 0], weights))[0]
    layers = _with_slopes(shrunk(moved, side))
    places = torch.arange(side) * 2 / side + 1 / side - 1
    best, best_maps = torch.full((len(moved),), -1.0), maps
    for step in range(steps + 1):
        seen = warped(layers, maps, side)
        values, length = _to_length_1(centred(seen[:, 0], weights))
        correlation = (values * target).sum((1, 2))
        better = correlation > best
        best, best_maps = torch.where(better, correlation, best), torch.where(better[:, None, None], maps, best_maps)
        if step < steps:
            maps = maps + _step(seen[:, 1:], values, target - values * correlation[:, None, None], length, places, weights)
    return best_maps, best


def _with_slopes(images: Tensor) -> Tensor:
    """Return images (n,1,S,S) with their slopes to the right and down, a half side being the unit, (n,3,S,S)."""
    padded = functional.pad(images, (1, 1, 1, 1), mode="replicate")
    unit = images.shape[-1] / 4
    right = (padded[:, :, 1:-1, 2:] - padded[:, :, 1:-1, :-2]) * unit
    down = (padded[:, :, 2:, 1:-1] - padded[:, :, :-2, 1:-1]) * unit
    return torch.cat([images, right, down], dim=1)


def _to_length_1(images: Tensor) -> tuple[Tensor, Tensor]:
    length: Tensor = images.flatten(1).norm(dim=1).clamp(min=1e-3)[:, None, None]
    return images / length, length


def _step(slopes: Tensor, values: Tensor, rest: Tensor, length: Tensor, places: Tensor, weights: Tensor) -> Tensor:
    """Return the change of the maps (n,2,3) that makes up best for the rest (n,S,S), damped and cut."""
    x, y = places, places[:, None]
    right, down = slopes[:, 0], slopes[:, 1]
    by_number = torch.stack([right * x, right * y, right, down * x, down * y, down], dim=1)
    by_number = (centred(by_number, weights) / length[:, None]).flatten(2)
    values, rest = values.flatten(1)[..., None], rest.flatten(1)[..., None]
    by_number = by_number - (by_number @ values) * values.transpose(1, 2)  # a change of contrast makes up for nothing
    square = by_number @ by_number.transpose(1, 2)
    damping = 1e-3 + _DAMPING * square.diagonal(dim1=1, dim2=2).mean(dim=1)
    change: Tensor = torch.linalg.solve(square + torch.eye(6) * damping[:, None, None], by_number @ rest)
    return change[..., 0].clamp(-_LARGEST_STEP, _LARGEST_STEP).reshape(-1, 2, 3)


def possible(maps: Tensor) -> Tensor:
    """Return which maps (n,2,3) keep a picture what it is: turned, stretched, scaled and moved a little, mirrored or not; bool (n,)."""
    linear = maps[:, :, :2]
    upright = linear * linear.diagonal(dim1=1, dim2=2).sign()[:, None, :]
    scale = torch.linalg.svdvals(upright)
    zoom: Tensor = scale.prod(dim=1).clamp(min=1e-6).rsqrt()
    turn = torch.atan2(upright[:, 1, 0] - upright[:, 0, 1], upright[:, 0, 0] + upright[:, 1, 1]).abs() * 180 / math.pi
    shift = maps[:, :, 2].norm(dim=1) / 2
    stretch = scale[:, 0] / scale[:, 1].clamp(min=1e-6)
    kept: Tensor = (zoom > _ZOOM[0]) & (zoom < _ZOOM[1]) & (stretch < _STRETCH) & (turn < _TURN_DEGREES) & (shift < _SHIFT_FRACTION)
    return kept


def structure(one: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
    """Return how well the small neighbourhoods of images (n,1,S,S) agree, (n,) in -1..1, and the share of the picture that has any contrast, 0..1."""
    unit = one.shape[-1] / 32
    weights = window(one.shape[-1])
    one, other = (_to_unit_contrast(_blurred(images, max(0.7 * unit, 0.3)), weights) for images in (one, other))
    wide = max(2.5 * unit, 1.0)
    mean_one, mean_other = _blurred(one, wide), _blurred(other, wide)
    spread_one = (_blurred(one * one, wide) - mean_one * mean_one).clamp(min=0)
    spread_other = (_blurred(other * other, wide) - mean_other * mean_other).clamp(min=0)
    together = _blurred(one * other, wide) - mean_one * mean_other
    spread = (spread_one * spread_other).sqrt()
    counts = weights * spread.sqrt()
    total = counts.sum((1, 2, 3)).clamp(min=1e-6)
    filled = total**2 / (counts**2).sum((1, 2, 3)).clamp(min=1e-12) / (weights.sum() ** 2 / (weights**2).sum())
    return (counts * together / (spread + 1e-3)).sum((1, 2, 3)) / total, filled


def _to_unit_contrast(images: Tensor, weights: Tensor) -> Tensor:
    total = weights.sum()
    images = images - (images * weights).sum((-2, -1), keepdim=True) / total
    return images / ((images * images * weights).sum((-2, -1), keepdim=True) / total).sqrt().clamp(min=1)


def _blurred(images: Tensor, deviation: float) -> Tensor:
    """Return (n,1,S,S) under a Gaussian of so many pixels, the edge repeated."""
    weights = _gaussian(images.shape[-1], deviation)
    return weights @ images @ weights.T


@lru_cache(maxsize=16)
def _gaussian(side: int, deviation: float) -> Tensor:
    """Return the float32 (side,side) matrix that blurs along one axis."""
    reach = max(1, round(3 * deviation))
    weights = torch.zeros(side, side)
    for offset in range(-reach, reach + 1):
        places = torch.arange(side)
        weights[places, (places + offset).clamp(0, side - 1)] += math.exp(-(offset**2) / (2 * deviation**2))
    return weights / weights.sum(dim=1, keepdim=True)
