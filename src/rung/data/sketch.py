"""Sketches: a few dozen numbers that stand for what an image shows, nearly the same however it was saved, scaled or brightened.

A sketch is made of the brightness of a small copy of the image, under a window that fades towards the edge: its cosine transform without the
mean and without the finest waves, each coefficient divided by its spread over the data set, all brought to length 1. Equal pictures have a
product near 1, different ones around 0. All but the last step is linear, so the sketch of a turned, cropped or shifted view of an image is
one matrix product as well.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as functional
from torch import Tensor

from rung.data.pixels import grey
from rung.data.resize import resize

LARGEST_SIDE: Final = 32  # pixels of the small copies
SMALLEST_SIDE: Final = 8  # below it images hold too little for pictures to be told apart
_GRID: Final = 16  # pixels a side that the cosine transform sees
_WAVES: Final = 11  # coefficients whose two numbers add up to less are kept: 65 of 256
_SAMPLE: Final = 5000  # images whose spread weighs the coefficients
_CHUNK: Final = 2048  # images worked on at once
LEAST_CONTRAST: Final = 2.0  # grey levels: the deviation below which an image shows nothing


@dataclass(frozen=True)
class View:
    """A look at a part of an image or at its mirror image: magnified `zoom` times, moved by fractions of the side, flipped (-1) or not (1)."""

    zoom: float = 1.0
    right: float = 0.0
    down: float = 0.0
    across: int = 1
    upright: int = 1

    def matrix(self) -> Tensor:
        """Return the float32 (2,3) matrix from places in the view to places in the image, both in -1..1."""
        return torch.tensor([[self.across / self.zoom, 0.0, -2 * self.right], [0.0, self.upright / self.zoom, -2 * self.down]])


PLAIN: Final = View()


def small_copies(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Return the brightness of uint8 (N,H,W,C) as uint8 (N,S,S), S the shorter side or LARGEST_SIDE, whichever is less."""
    side = min(LARGEST_SIDE, *images.shape[1:3])
    copies = np.empty((len(images), side, side), np.uint8)

    def fill(rows: slice) -> None:
        part = np.ascontiguousarray(images[rows])
        copies[rows] = resize(grey(part) if part.shape[3] == 3 else part, (side, side), "bilinear", antialias=True)[..., 0]

    in_threads(fill, slices(len(images), max(1, _CHUNK * side * side // images[0].size)))
    return copies


def slices(count: int, step: int = _CHUNK) -> list[slice]:
    """Return 0..count-1 in slices of `step`."""
    return [slice(start, min(start + step, count)) for start in range(0, count, step)]


def in_threads(work: Callable[[slice], None], parts: Iterable[slice]) -> None:
    """Do each part in one of as many threads as there are processors for this process; to be called under `one_thread`."""
    workers = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with ThreadPoolExecutor(max_workers=min(16, workers), initializer=torch.set_num_threads, initargs=(1,)) as pool:
        for _ in pool.map(work, parts):
            pass


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch compute each product in one thread, so that the number of threads changes no bit; put it back after."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def window(side: int) -> Tensor:
    """Return the float32 (side,side) weights of pixels, 1 in the middle, little at the edge."""
    rise = torch.from_numpy(np.hanning(side + 4)[2:-2]).float()
    return (rise[:, None] * rise).sqrt()


def centred(images: Tensor, weights: Tensor) -> Tensor:
    """Return images (..,H,W) minus their mean under `weights` (H,W), times `weights`."""
    mean = (images * weights).sum((-2, -1), keepdim=True) / weights.sum()
    return (images - mean) * weights


def warped(images: Tensor, matrices: Tensor, side: int) -> Tensor:
    """Return float (n,C,H,W) looked at through float (n,2,3) matrices as (n,C,side,side); what lies outside repeats the edge."""
    grid = functional.affine_grid(matrices, [len(images), 1, side, side], align_corners=False)
    return functional.grid_sample(images, grid, padding_mode="border", align_corners=False)


def shrunk(images: Tensor, side: int) -> Tensor:
    """Return float (n,C,S,S) as (n,C,side,side), side at most S."""
    if images.shape[-1] == side:
        return images
    weights = _shrinking(images.shape[-1], side)
    return weights @ images @ weights.T


@lru_cache(maxsize=16)
def _shrinking(side: int, to: int) -> Tensor:
    """Return the float32 (to,side) matrix that brings one axis to another length, with a low-pass."""
    return functional.interpolate(torch.eye(side)[None, None], size=(to, side), mode="bilinear", antialias=True)[0, 0]


def grid_side(side: int) -> int:
    """Return how many pixels a side of a small copy the cosine transform sees."""
    return min(side, _GRID)


class Sketcher:
    """What makes sketches of the small copies of one data set, uint8 (N,S,S).

    fine: how many waves are kept, in the sense of _WAVES; more of them show finer detail.
    """

    def __init__(self, copies: npt.NDArray[np.uint8], waves: int = _WAVES) -> None:
        self.copies = copies
        self.side = copies.shape[1]
        self.waves = min(waves, grid_side(self.side))
        sample = torch.from_numpy(copies[:: max(1, len(copies) // _SAMPLE)]).float().flatten(1)
        self.spread = self._by_order((sample @ self._matrix(PLAIN)).var(dim=0, correction=0)).sqrt()

    def orders(self) -> Tensor:
        """Return for each number of a sketch how fine its wave is, int64 (d,)."""
        numbers = torch.arange(grid_side(self.side))
        orders = numbers[:, None] + numbers
        return orders[(orders > 0) & (orders < self.waves)]

    def _by_order(self, variances: Tensor) -> Tensor:
        """Return variances (d,) averaged over the waves of one order, so that a few images suffice to know them; none is 0."""
        orders = self.orders()
        sums = torch.zeros(self.waves).index_add_(0, orders, variances)
        means = sums / torch.bincount(orders, minlength=self.waves).clamp(min=1)
        return means.clamp(min=max(1e-6, float(means.max()) * 1e-6))[orders]

    def _matrix(self, view: View) -> Tensor:
        """Return float32 (S*S,d): from the pixels of a small copy to the coefficients of a view of it."""
        pixels = torch.eye(self.side**2).reshape(-1, 1, self.side, self.side)
        if view != PLAIN:
            pixels = warped(pixels, view.matrix().expand(len(pixels), 2, 3), self.side)
        return self._coefficients(pixels)

    def _coefficients(self, images: Tensor) -> Tensor:
        side = grid_side(self.side)
        numbers = torch.arange(side)
        cosines = torch.cos(math.pi * (numbers + 0.5) * numbers[:, None] / side) * math.sqrt(2 / side)
        cosines[0] /= math.sqrt(2)
        coefficients = cosines @ centred(shrunk(images, side)[:, 0], window(side)) @ cosines.T
        orders = numbers[:, None] + numbers
        return coefficients[:, (orders > 0) & (orders < self.waves)]

    def of_view(self, view: View = PLAIN) -> Tensor:
        """Return the sketches of all copies through a view, float32 (N,d), each of length 1."""
        matrix = self._matrix(view) / self.spread
        sketches = torch.empty(len(self.copies), matrix.shape[1])

        def fill(rows: slice) -> None:
            pixels = torch.from_numpy(self.copies[rows]).float().flatten(1)
            sketches[rows] = functional.normalize(pixels @ matrix, dim=1)

        in_threads(fill, slices(len(self.copies)))
        return sketches

    def of_images(self, images: Tensor) -> Tensor:
        """Return the sketches of float images (n,1,S,S), float32 (n,d), each of length 1."""
        return functional.normalize(self._coefficients(images) / self.spread, dim=1)

    def with_contrast(self) -> npt.NDArray[np.bool_]:
        """Return which copies show anything at all: a deviation of at least LEAST_CONTRAST grey levels, bool (N,)."""
        shown = np.empty(len(self.copies), dtype=bool)

        def fill(rows: slice) -> None:
            shown[rows] = self.copies[rows].reshape(-1, self.side**2).std(axis=1) >= LEAST_CONTRAST

        in_threads(fill, slices(len(self.copies)))
        return shown
