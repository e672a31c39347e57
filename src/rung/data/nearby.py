"""Which images might show the same picture: rows whose sketches, through one of several views, are close.

The sketches are sorted into cells around centres (the coarse half of them, k-means on the sphere), and a view is compared with the rows of
the few cells nearest to it: J. Sivic and A. Zisserman, "Video Google", ICCV 2003, and H. Jegou, M. Douze and C. Schmid, "Product quantization
for nearest neighbor search", PAMI 2011. Small sets are one cell, where every pair is compared.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import torch
import torch.nn.functional as functional
from torch import Tensor

from rung import keys
from rung.data.sketch import PLAIN, Sketcher, View, in_threads, slices

_ONE_CELL: Final = 4096  # rows up to which every pair is compared
_PROBED: Final = 4  # cells that a view is looked for in
_COARSE: Final = 8  # waves below this order sort into cells
_ROUNDS: Final = 8  # of k-means
_PER_CENTRE: Final = 80  # rows a centre is learnt from
_MOST: Final = 16  # partners kept of one view of one row in one cell; more are twins of each other, or nothing tells them apart


@dataclass(frozen=True)
class Candidates:
    """Pairs that might show one picture: `first` through view number `view` looks like `second`, with `product` the product of their sketches.

    int64 (P,) rows, int64 (P,) indices into the views, float32 (P,) in -1..1; each pair is there once, with its best view.
    """

    first: Tensor
    second: Tensor
    view: Tensor
    product: Tensor

    def __len__(self) -> int:
        return len(self.first)

    def take(self, which: Tensor) -> Candidates:
        """Return the pairs that a bool or int64 tensor chooses."""
        return Candidates(self.first[which], self.second[which], self.view[which], self.product[which])


@dataclass(frozen=True)
class _Cells:
    """centres: float32 (C,c), of length 1; members: the rows of each cell, int64."""

    centres: Tensor
    members: list[Tensor]


def candidates(sketcher: Sketcher, views: tuple[View, ...], least: float) -> Candidates:
    """Return the pairs whose sketches have a product of at least `least` through one of the views; the first view is PLAIN."""
    plain = sketcher.of_view(PLAIN)
    cells = _cells(sketcher, plain)
    found: list[tuple[Tensor, Tensor, Tensor, Tensor]] = []
    for number, view in enumerate(views):
        seen = plain if view == PLAIN else sketcher.of_view(view)
        first, second, product = _close(sketcher, seen, plain, cells, least)
        wanted = first < second if view == PLAIN else first != second
        found.append((first[wanted], second[wanted], torch.full((int(wanted.sum()),), number), product[wanted]))
        if len(found) > 1:
            found = [_best_of_each_pair(found, len(plain))]
    return Candidates(*_best_of_each_pair(found, len(plain)))


def _best_of_each_pair(found: list[tuple[Tensor, Tensor, Tensor, Tensor]], count: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    first, second, view, product = (torch.cat(column) for column in zip(*found, strict=True))
    pair = torch.minimum(first, second) * count + torch.maximum(first, second)
    order = torch.argsort(product, descending=True, stable=True)
    order = order[torch.argsort(pair[order], stable=True)]
    new = torch.ones(len(order), dtype=torch.bool)
    new[1:] = pair[order][1:] != pair[order][:-1]
    order = order[new]
    return first[order], second[order], view[order], product[order]


def _coarse(sketcher: Sketcher, sketches: Tensor) -> Tensor:
    """Return what sorts sketches into cells: their slow waves, weighed half as in the image, for these change least."""
    slow = sketcher.orders() < _COARSE
    return functional.normalize(sketches[:, slow] * sketcher.spread[slow].sqrt(), dim=1)


def _cells(sketcher: Sketcher, sketches: Tensor) -> _Cells:
    count = 1 if len(sketches) <= _ONE_CELL else round(len(sketches) ** 0.5)
    coarse = _coarse(sketcher, sketches)
    sample = coarse[torch.from_numpy(keys.permutation(0, "cells", 0, len(coarse))[: count * _PER_CENTRE])]
    centres = sample[:count]
    for _ in range(_ROUNDS):
        sums = torch.zeros_like(centres).index_add_(0, _nearest(sample, centres, 1)[:, 0], sample)
        centres = functional.normalize(sums, dim=1)
    own = _nearest(coarse, centres, 1)[:, 0]
    order = torch.argsort(own, stable=True)
    return _Cells(centres, list(torch.split(order, torch.bincount(own, minlength=count).tolist())))


def _nearest(coarse: Tensor, centres: Tensor, most: int) -> Tensor:
    """Return the cells nearest to each row, int64 (N, most or all of them), the nearest first."""
    nearest = torch.empty(len(coarse), min(most, len(centres)), dtype=torch.int64)

    def fill(rows: slice) -> None:
        nearest[rows] = (coarse[rows] @ centres.T).topk(nearest.shape[1], dim=1).indices

    in_threads(fill, slices(len(coarse)))
    return nearest


def _close(sketcher: Sketcher, seen: Tensor, plain: Tensor, cells: _Cells, least: float) -> tuple[Tensor, Tensor, Tensor]:
    """Return rows of `seen`, rows of `plain` and their products where these reach `least`, cell by cell."""
    probed = _nearest(_coarse(sketcher, seen), cells.centres, _PROBED)
    order = torch.argsort(probed.flatten(), stable=True)
    asking = torch.split(order // probed.shape[1], torch.bincount(probed.flatten(), minlength=len(cells.centres)).tolist())
    parts: list[list[tuple[Tensor, Tensor, Tensor]]] = [[] for _ in cells.members]

    def fill(numbers: slice) -> None:
        for cell in range(numbers.start, numbers.stop):
            members = cells.members[cell]
            for rows in torch.split(asking[cell], 512) if len(members) else ():
                parts[cell].append(_in_cell(rows, members, seen[rows] @ plain[members].T, least))

    in_threads(fill, slices(len(cells.members), 1))
    found = [entry for part in parts for entry in part]
    if not found:
        none = torch.empty(0, dtype=torch.int64)
        return none, none, torch.empty(0)
    first, second, product = (torch.cat(column) for column in zip(*found, strict=True))
    return first, second, product


def _in_cell(rows: Tensor, members: Tensor, products: Tensor, least: float) -> tuple[Tensor, Tensor, Tensor]:
    """Return the pairs of products (R,M) that reach `least`; of a row with very many the highest."""
    close = products >= least
    if len(members) > _MOST and int(close.sum(dim=1).max()) > _MOST:
        best = products.topk(_MOST + 1, dim=1).indices  # one more, for a row finds itself
        close &= torch.zeros_like(close).scatter_(1, best, True)
    row, member = close.nonzero(as_tuple=True)
    return rows[row], members[member], products[row, member]
