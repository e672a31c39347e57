"""Images that show the same picture: exact copies, and near ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import torch

from rung.data.align import likeness
from rung.data.imageset import ImageSet
from rung.data.nearby import candidates
from rung.data.sketch import LARGEST_SIDE, PLAIN, SMALLEST_SIDE, Sketcher, View, one_thread, small_copies
from rung.data.tints import colours_agree, in_place

VIEWS: Final = (
    PLAIN,
    View(across=-1),
    View(upright=-1),
    *(
        View(zoom, right, down, across)
        for across in (1, -1)
        for zoom, right, down in (
            *((1.15, 0, 0), (1.33, 0, 0), (1, 0.08, 0.08), (1, 0.08, -0.08), (1, 0.09, 0), (1, 0, 0.09)),
            *((1.15, right, down) for right in (-0.05, 0.05) for down in (-0.05, 0.05)),  # cropped at a corner
        )
    ),
)
_SIDE_FOR_CROPS: Final = 16  # pixels; of smaller images a pixel is too much of the picture to be cut off
_ASKED: Final = 1000
_RANK: Final = 5
_CANDIDATE, _CANDIDATE_RANGE = 0.79, (0.76, 0.96)  # in usual distances; the range is of products
_TWIN, _MOST_ASKED = 0.43, 0.99
_MANY: Final = 0.2  # share of images with near twins from which on these are doubted
_SHARED: Final = 0.7  # how often two twins of an image are twins, at least: copies reach 0.85, drawn shapes 0.6
_MEETINGS: Final = 20  # of two twins of one image, to know that
_MOVED: Final = 0.5  # share of the pairs that are in different places, without which they are frames of one scene
_LEFT_OVER: Final = 0.07  # likeness that a twin of LARGEST_SIDE may lack at most; smaller images hold less, and are asked for more


@dataclass(frozen=True)
class Twins:
    """Pairs of rows of an ImageSet that show the same picture.

    pairs: int64 (P,2), the lower row first, ascending. exact: bool (P,), equal pixel for pixel as decoded.
    likeness: float32 (P,), in 0..1, how well the pixels agree once one image is laid over the other; 1 for exact copies.
    doubted: how many near pairs were found and are not among these, for the images of the set are too much alike by nature.
    """

    pairs: npt.NDArray[np.int64]
    exact: npt.NDArray[np.bool_]
    likeness: npt.NDArray[np.float32]
    doubted: int = 0

    def __len__(self) -> int:
        return len(self.pairs)

    def components(self, count: int) -> npt.NDArray[np.int64]:
        """Return for each of `count` rows the lowest row that it is linked to by pairs, itself where there is none, int64 (count,)."""
        return linked(self.pairs, count)

    def beside(self, rows: npt.NDArray[np.int64], others: npt.NDArray[np.int64], count: int) -> npt.NDArray[np.bool_]:
        """Return which of `rows` have a twin among `others` (both int64, no row in both; of `count` rows in all), bool.

        A copy of an image has the twins of that image, for only the first of equal images is compared with others.
        """
        first = linked(self.pairs[self.exact], count)
        there = np.zeros(count, dtype=bool)
        there[first[others]] = True
        near = self.pairs[~self.exact]
        beside = there.copy()
        np.logical_or.at(beside, near[:, 0], there[near[:, 1]])
        np.logical_or.at(beside, near[:, 1], there[near[:, 0]])
        which: npt.NDArray[np.bool_] = beside[first[rows]]
        return which


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
    """Return the pairs of images that show the same picture.

    Of several equal images each is paired with the first, and the first alone is compared with others: saved again, resized, flipped, cropped or
    turned a little, brighter, noisier. Where most images seem to have such twins and these are none of each other, no near pair is believed.
    """
    exact = exact_pairs(images.digests)
    kept = np.setdiff1d(np.arange(len(images)), exact[:, 1])
    near, alike, moved = _near(images.images[kept] if len(exact) else images.images)
    doubted = len(near) if _alike_by_nature(near, moved, len(kept)) else 0
    if doubted:
        near, alike = near[:0], alike[:0]
    pairs = np.concatenate([exact, kept[near]])
    order = np.lexsort(pairs.T[::-1])
    likeness = np.concatenate([np.ones(len(exact), np.float32), alike])
    return Twins(pairs[order], (np.arange(len(pairs)) < len(exact))[order], likeness[order], doubted)


def exact_pairs(digests: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return int64 (P,2): each row whose digest (int64 (N,)) was there before, after the first row that has it."""
    _, first, inverse = np.unique(digests, return_index=True, return_inverse=True)
    again = np.flatnonzero(first[inverse] != np.arange(len(digests)))
    pairs = np.stack([first[inverse[again]], again], axis=1).astype(np.int64)
    return pairs[np.lexsort(pairs.T[::-1])]


def near_pairs(images: npt.NDArray[np.uint8]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """Return the pairs of uint8 (N,H,W,C) that show the same picture, int64 (P,2), the lower row first, and their likeness, float32 (P,).

    How alike is alike enough follows from the data: about twice as near as an image usually is to its nearest neighbours. Colours have to agree too.
    """
    return _near(images)[:2]


def _near(images: npt.NDArray[np.uint8]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """Return what `near_pairs` does, and which pairs show the picture in different places, bool (P,)."""
    if len(images) < 2 or min(images.shape[1:3]) < SMALLEST_SIDE:
        return np.empty((0, 2), np.int64), np.empty(0, np.float32), np.empty(0, bool)
    with one_thread():
        copies = small_copies(images)
        sketcher = Sketcher(copies)
        usual = usual_distance(sketcher)
        views = VIEWS if copies.shape[1] >= _SIDE_FOR_CROPS else VIEWS[:3]
        found = candidates(sketcher, views, _product(_CANDIDATE * usual, _CANDIDATE_RANGE))
        shown = torch.from_numpy(sketcher.with_contrast())
        found = found.take(shown[found.first] & shown[found.second])
        alike, maps = likeness(copies, found, views)
        same = alike >= _product(_TWIN * usual, (1 - _LEFT_OVER * copies.shape[1] / LARGEST_SIDE, _MOST_ASKED))
        found, alike, maps = found.take(same), alike[same], maps[same]
        same = colours_agree(images, found, maps)
    pairs = torch.stack([found.first, found.second], dim=1).sort(dim=1).values[same]
    return pairs.numpy(), alike[same].numpy(), ~in_place(maps[same]).numpy()


def _alike_by_nature(pairs: npt.NDArray[np.int64], moved: npt.NDArray[np.bool_], count: int) -> bool:
    """Return whether near pairs int64 (P,2) of `count` images are too many, and too seldom of one picture, to be believed.

    Copies of one picture are copies of each other. Pictures that are only alike, as plain shapes are once one is moved over the other, are near in a chain,
    whose ends are not.
    """
    from scipy.sparse import coo_array

    if len(np.unique(pairs)) < _MANY * count or moved.mean() < _MOVED:
        return False
    both = np.concatenate([pairs, pairs[:, ::-1]])
    links = coo_array((np.ones(len(both), np.int64), (both[:, 0], both[:, 1])), shape=(count, count)).tocsr()
    twins = np.bincount(both[:, 0], minlength=count)
    meetings = int((twins * (twins - 1)).sum())  # each two twins of an image, twice
    return meetings >= 2 * _MEETINGS and float(((links @ links) * links).sum()) < _SHARED * meetings


def usual_distance(sketcher: Sketcher) -> float:
    """Return the median distance of a sketch from the fifth nearest other one, 0..2: the fifth, for some have twins themselves."""
    sketches = sketcher.of_view(PLAIN)
    asked = torch.arange(0, len(sketches), max(1, len(sketches) // _ASKED))
    rank = min(_RANK, len(sketches) - 1)
    products = torch.cat([(sketches[rows] @ sketches.T).topk(rank + 1, dim=1).values[:, rank] for rows in torch.split(asked, 64)])
    return float((2 - 2 * products.median()).clamp(min=0).sqrt())


def _product(distance: float, allowed: tuple[float, float]) -> float:
    """Return the product of two vectors of length 1 that are so far apart, kept within a range."""
    return min(max(1 - distance**2 / 2, allowed[0]), allowed[1])
