"""Rows that must stay in one part, because they show one picture or one subject, and parting rows without parting these."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from rung.data.imageset import ImageSet
from rung.data.twins import Twins, exact_pairs, linked

Rows = npt.NDArray[np.int64]


def units(images: ImageSet, twins: Twins | None) -> Rows:
    """Return for each row the lowest row that twins or a common group link it to, also through others, itself where there is none, int64 (N,)."""
    links = [np.empty((0, 2), np.int64)]
    if twins is not None:
        links.append(twins.pairs)
    if images.groups is not None:
        links.append(exact_pairs(images.groups))
    return linked(np.concatenate(links), len(images))


class Parting:
    """Rows of several classes that are parted unit by unit; labels and unit numbers, int64 (n,); rows are places in these, 0..n-1."""

    def __init__(self, labels: Rows, unit: Rows) -> None:
        self.labels = labels
        self.taken = np.zeros(len(labels), dtype=bool)
        self._left = np.bincount(labels)  # rows of each class that are not taken
        _, self._unit, sizes = np.unique(unit, return_inverse=True, return_counts=True)
        by_unit = np.split(np.argsort(self._unit, kind="stable"), np.cumsum(sizes)[:-1])
        self.together = {number: by_unit[number] for number in np.flatnonzero(sizes > 1).tolist()}

    def take(self, members: Rows, count: int) -> None:
        """Take about `count` rows of one class, `members` in the order of the draw; those taken with another class count.

        A unit of several rows is taken when that brings the class nearer to its share, and never where a class would keep no row. Where no
        unit is small enough, the smallest is taken.
        """
        have = int(self.taken[members].sum())
        for row in members.tolist():
            if have >= count:
                return
            rows = self._with(row)
            size = int((self.labels[rows] == self.labels[row]).sum())
            if not self.taken[row] and size < 2 * (count - have) and self._leaves_some(rows):
                self._take(rows)
                have += size
        possible = [rows for row in members.tolist() if self._leaves_some(rows := self._with(row))]
        if not have and possible:
            self._take(min(possible, key=len))

    def _with(self, row: int) -> Rows:
        return self.together.get(int(self._unit[row]), np.array([row]))

    def _take(self, rows: Rows) -> None:
        self.taken[rows] = True
        np.subtract.at(self._left, self.labels[rows], 1)

    def _leaves_some(self, rows: Rows) -> bool:
        classes, counts = np.unique(self.labels[rows], return_counts=True)
        return bool((self._left[classes] > counts).all())

    def deal(self, order: Rows, folds: int) -> Rows:
        """Return for each row its fold, 0..folds-1, int64 (n,): rows in this order in turn; then each unit of several rows, the largest first, whole
        into the fold that has the fewest rows of its commonest class.
        """
        fold = np.empty(len(order), np.int64)
        fold[order] = np.arange(len(order)) % folds
        alone = np.ones(len(order), dtype=bool)
        for rows in self.together.values():
            alone[rows] = False
        counts = np.zeros((len(self._left), folds), np.int64)
        np.add.at(counts, (self.labels[alone], fold[alone]), 1)
        for rows in sorted(self.together.values(), key=len, reverse=True):
            fold[rows] = counts[np.bincount(self.labels[rows]).argmax()].argmin()
            np.add.at(counts, (self.labels[rows], fold[rows]), 1)
        return fold
