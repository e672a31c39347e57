"""Images that show the same picture: exact copies, and near ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rung.data.imageset import ImageSet


@dataclass(frozen=True)
class Twins:
    """Pairs of rows of an ImageSet that show the same picture.

    pairs: int64 (P,2), the lower row first, ascending. exact: bool (P,), equal pixel for pixel as decoded.
    likeness: float32 (P,), in 0..1, how well the pixels agree once one image is laid over the other; 1 for exact copies.
    """

    pairs: npt.NDArray[np.int64]
    exact: npt.NDArray[np.bool_]
    likeness: npt.NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.pairs)

    def components(self, count: int) -> npt.NDArray[np.int64]:
        """Return for each of `count` rows the lowest row that it is linked to by pairs, itself where there is none, int64 (count,)."""
        return linked(self.pairs, count)


def linked(pairs: npt.NDArray[np.int64], count: int) -> npt.NDArray[np.int64]:
    """Return for each of `count` rows the lowest row of its connected component, int64 (count,); pairs: int64 (P,2)."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    links = coo_array((np.ones(len(pairs), bool), (pairs[:, 0], pairs[:, 1])), shape=(count, count))
    _, component = connected_components(links, directed=False)
    _, first, inverse = np.unique(component, return_index=True, return_inverse=True)
    lowest: npt.NDArray[np.int64] = first[inverse].astype(np.int64)
    return lowest


def find_twins(images: ImageSet) -> Twins:
    """Return the pairs of equal images; of several equal ones, each with the first."""
    pairs = exact_pairs(images.digests)
    return Twins(pairs, np.ones(len(pairs), bool), np.ones(len(pairs), np.float32))


def exact_pairs(digests: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return int64 (P,2): each row whose digest (int64 (N,)) was there before, after the first row that has it."""
    _, first, inverse = np.unique(digests, return_index=True, return_inverse=True)
    again = np.flatnonzero(first[inverse] != np.arange(len(digests)))
    pairs = np.stack([first[inverse[again]], again], axis=1).astype(np.int64)
    return pairs[np.lexsort(pairs.T[::-1])]
