"""A small fast classifier that checks train to see what the data hold: fixed features, one linear layer in closed form.

Features: whitened random patches of the images themselves, rectified on both sides and averaged over the quarters of the image, and a
thumbnail of its colours (A. Coates, A. Ng and H. Lee, "An analysis of single-layer networks in unsupervised feature learning", AISTATS 2011,
where random patches do nearly as well as learned ones). Layer: ridge regression. It reaches 65 % on CIFAR-10: not good, but enough to tell
most right labels from wrong ones, and with the sums of products kept for each part and fold, every further question is answered at once.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from rung import keys
from rung.data.imageset import PARTS, ImageSet

if TYPE_CHECKING:
    import torch

MAX_ROWS: Final = 60_000  # rows that are looked at; of larger sets a random sample
FOLDS: Final = 5
_SIDE: Final = 32  # larger images are averaged down to this many pixels a side
_FILTERS: Final = 128
_PATCHES: Final = 20_000  # patches that the whitening is estimated on
_BLOCK: Final = 16  # images at a time, so that what is made of them stays in the processor's cache
_FLAT: Final = 10.0  # added to the variance of a patch, squared grey levels, so that the noise of flat patches is not blown up
_WHITE: Final = 0.1  # added to the eigenvalues of patches of variance 1
_DEAD: Final = 0.25  # answers weaker than this count as none
_RIDGE: Final = 0.02  # penalty for each row; features have variance 1

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Probe:
    """The rows that are looked at, their features, and sums from which a linear layer over any parts is solved.

    rows: int64 (n,), ascending, of the ImageSet; labels: int64 (n,), 0..classes-1. values: float32 (n,D), features, the last of them 1 throughout.
    part: int8 (n,), index into PARTS; parts: those that have rows. fold: int8 (n,), 0..FOLDS-1; twins share a fold.
    products: {(part, fold): float32 (D,D)}, of cells that have rows. known: class scores that were asked for before.
    """

    rows: Ints
    labels: Ints
    classes: int
    values: Floats
    part: npt.NDArray[np.int8]
    fold: npt.NDArray[np.int8]
    products: dict[tuple[int, int], Floats]
    known: dict[tuple[int, ...], Floats] = field(default_factory=dict, repr=False, compare=False)

    @property
    def parts(self) -> tuple[int, ...]:
        """The parts that have rows, ascending."""
        return tuple(sorted({part for part, _ in self.products}))

    def class_scores(self, parts: tuple[int, ...]) -> Floats:
        """Return `scores` of the labels as one-hot rows, float32 (n,classes)."""
        if parts not in self.known:
            self.known[parts] = self.scores(one_hot(self.labels, self.classes), parts)
        return self.known[parts]

    def said(self, where: Ints, parts: tuple[int, ...]) -> Ints:
        """Return the class that is said of some of the rows: the score that is highest for its class, so that rare classes are said too."""
        scores = self.class_scores(parts)
        spread = scores.std(0)
        said: Ints = ((scores[where] - scores.mean(0)) / np.where(spread > 0, spread, 1)).argmax(1)
        return said

    def scores(self, targets: Floats, parts: Sequence[int]) -> Floats:
        """Return the answers, float32 (n,T), of ridge regressions of targets (n,T) fitted on rows of some parts.

        No row's answer comes from a layer that saw the row or its twin: rows of those parts are answered out of fold, all others by all rows of them.
        """
        sums, width = self._sums(targets, parts), targets.shape[1]
        inside = np.isin(self.part, list(parts))
        found = self._answers(np.flatnonzero(~inside), sums, width)
        for fold in range(FOLDS):
            found += self._answers(np.flatnonzero(inside & (self.fold == fold)), {cell: of for cell, of in sums.items() if cell[1] != fold}, width)
        return found

    def elsewhere(self, targets: Floats, parts: Sequence[int]) -> Floats:
        """Return the answers, float32 (n,T), of ridge regressions fitted on all rows of some parts, to the rows of others; 0 for their own."""
        return self._answers(np.flatnonzero(~np.isin(self.part, list(parts))), self._sums(targets, parts), targets.shape[1])

    def _sums(self, targets: Floats, parts: Sequence[int]) -> dict[tuple[int, int], Floats]:
        """Return features times targets, (D,T), for each cell of some parts."""
        cells = [cell for cell in self.products if cell[0] in parts]
        return {cell: self.values[here].T @ targets[here] for cell in cells for here in [(self.part == cell[0]) & (self.fold == cell[1])]}

    def _answers(self, asked: Ints, sums: Mapping[tuple[int, int], Floats], width: int) -> Floats:
        """Return float32 (n,width): what a layer fitted on these cells answers to the rows asked, 0 elsewhere and where no cell is."""
        found = np.zeros((len(self.rows), width), np.float32)
        if len(asked) and sums:
            fitted = sum(int(((self.part == part) & (self.fold == fold)).sum()) for part, fold in sums)
            found[asked] = self.values[asked] @ _ridge([self.products[cell] for cell in sums], list(sums.values()), fitted)
        return found


def build(images: ImageSet, part: npt.NDArray[np.int8], twins: Ints, seed: int) -> Probe:
    """Return the probe of images in parts int8 (N,), -1: in none; twins int64 (N,): rows with equal numbers show the same picture."""
    rows = np.flatnonzero(part >= 0)
    if len(rows) > MAX_ROWS:
        rows = np.sort(rows[keys.permutation(seed, "probe rows", 0, len(rows))[:MAX_ROWS]])
    values = features(images.images, rows, seed)
    _, pictures = np.unique(twins[rows], return_inverse=True)
    fold = (keys.permutation(seed, "probe folds", 0, len(rows))[pictures] % FOLDS).astype(np.int8)
    products = {}
    for cell in itertools.product(range(len(PARTS)), range(FOLDS)):
        here = values[(part[rows] == cell[0]) & (fold == cell[1])]
        if len(here):
            products[cell] = here.T @ here
    return Probe(rows, images.labels[rows], len(images.classes), values, part[rows], fold, products)


def one_hot(labels: Ints, classes: int) -> Floats:
    """Return float32 (n,classes), 1 where the label is."""
    found = np.zeros((len(labels), classes), np.float32)
    found[np.arange(len(labels)), labels] = 1
    return found


def _ridge(products: list[Floats], answers: list[Floats], count: int) -> Floats:
    from scipy.linalg import solve

    left = np.zeros(products[0].shape)
    for product in products:
        left += product
    free = np.arange(len(left) - 1)  # the constant is not held back
    left[free, free] += _RIDGE * count
    weights: Floats = solve(left, sum(a.astype(np.float64) for a in answers), assume_a="pos").astype(np.float32)
    return weights


def features(images: npt.NDArray[np.uint8], rows: Ints, seed: int) -> Floats:
    """Return float32 (n,D) of some rows of uint8 images (N,H,W,C): mean 0 and variance 1 over the rows, 0 where a feature is constant; the last is 1."""
    import torch
    from torch.nn import functional

    side = min(_SIDE, *images.shape[1:3])
    patch, stride, thumb = min(6, max(1, side * 3 // 8)), 2 if side >= 16 else 1, min(4, side)
    weight, shift = _filters(images, rows, patch, seed)
    total, mean_of = weight.sum((1, 2, 3))[:, None, None], torch.full((1, *weight.shape[1:]), 1 / weight[0].numel())
    found = np.empty((len(rows), 8 * len(weight) + images.shape[3] * thumb**2 + 1), np.float32)
    found[:, -1] = 0
    for start in range(0, len(rows), _BLOCK):
        x = _reduced(images[rows[start : start + _BLOCK]])
        mean = functional.conv2d(x, mean_of, stride=stride)
        deviation = (functional.conv2d(x * x, mean_of, stride=stride) - mean * mean).clamp_min_(0).add_(_FLAT).sqrt_()
        answer = (functional.conv2d(x, weight, stride=stride) - mean * total) / deviation - shift
        both = torch.cat([(answer - _DEAD).clamp_min_(0), (-answer - _DEAD).clamp_min_(0)], 1)
        pooled = functional.adaptive_avg_pool2d(both, 2).sqrt_()  # the root: a few strong answers do not drown the rest
        found[start : start + _BLOCK, :-1] = torch.cat([pooled.flatten(1), functional.adaptive_avg_pool2d(x, thumb).flatten(1)], 1).numpy()
    found -= found.mean(0)
    deviations = found.std(0)
    found /= np.where(deviations > 1e-6, deviations, 1)
    found[:, -1] = 1
    return found


def _reduced(images: npt.NDArray[np.uint8]) -> torch.Tensor:
    """Return images (n,H,W,C) as float (n,C,h,w) of at most _SIDE pixels a side, values 0..255."""
    import torch
    from torch.nn import functional

    x = torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2).float()
    return functional.adaptive_avg_pool2d(x, (min(_SIDE, x.shape[2]), min(_SIDE, x.shape[3]))) if max(x.shape[2:]) > _SIDE else x


def _filters(images: npt.NDArray[np.uint8], rows: Ints, patch: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return filters (F,C,patch,patch) on patches of mean 0 and variance 1, and what each answers to the mean patch, (F,1,1)."""
    import torch

    order = rows[keys.permutation(seed, "probe patches", 0, len(rows))[:_PATCHES]]
    many = -(-_PATCHES // len(order))  # patches an image
    drawn = keys.row_keys(keys.stream(seed, "probe corners"), np.arange(len(order) * many, dtype=np.int64)).reshape(len(order), many)
    picked = []
    for start in range(0, len(order), 256):
        x = _reduced(images[order[start : start + 256]]).numpy()
        for k in range(many):
            at = drawn[start : start + 256, k]
            top = (keys.uniform(at, 0) * (x.shape[2] - patch + 1)).astype(np.int64)
            left = (keys.uniform(at, 1) * (x.shape[3] - patch + 1)).astype(np.int64)
            windows = np.lib.stride_tricks.sliding_window_view(x, (patch, patch), axis=(2, 3))
            picked.append(windows[np.arange(len(x)), :, top, left].reshape(len(x), -1))
    patches = np.concatenate(picked)[:_PATCHES]
    patches = patches - patches.mean(1, keepdims=True)
    patches /= np.sqrt(patches.var(1, keepdims=True) + _FLAT)
    middle = patches.mean(0)
    strength, directions = np.linalg.eigh(np.cov(patches.T.astype(np.float64)).reshape(patches.shape[1], -1))
    white = (directions / np.sqrt(np.maximum(strength, 0) + _WHITE)) @ directions.T
    chosen = (patches[:_FILTERS] - middle) @ white
    filters = (chosen / np.maximum(np.linalg.norm(chosen, axis=1, keepdims=True), 1e-6)) @ white.T
    weight = torch.from_numpy(filters.astype(np.float32)).reshape(len(filters), images.shape[3], patch, patch)
    return weight, torch.from_numpy((filters @ middle).astype(np.float32)).reshape(-1, 1, 1)
