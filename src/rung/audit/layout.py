"""Pixels in the wrong place: planes read as pixels, red and blue exchanged, images laid on their side or turned over."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from rung.audit.material import SHOWN, Material, shown
from rung.audit.problem import Problem
from rung.audit.runs import best_run
from rung.data.imageset import PARTS, ImageSet, grey_rows
from rung.words import count, percent

NAME: Final = "layout"
_ROWS: Final = 20_000  # images looked at, evenly spaced, of larger sets
_QUICKLY: Final = 2_000  # of the quick form
_BLOCK: Final = 500
_FEWEST: Final = 50  # images to say anything on
_SMOOTHER: Final = 0.9  # an image is scrambled where its neighbouring pixels differ less than this share of it once it is put in order
_SOME: Final = 0.005  # share of scrambled images that is worth a word; of 20,000 clean ones there was none
_MANY: Final = 0.2
_TILES: Final = 0.6  # correlation among the nine tiles of an image; a scrambled one repeats the picture nine times
_GRID: Final = 4
_CAP: Final = 5.0  # nats that one image may say for or against
_HANDICAP: Final = 0.25  # nats against every turn, for each image
_CLEARLY: Final = 60.0  # nats from which a run of images is said to be turned; clean sets reach 20
_PASSES: Final = 3
_MOST_PLACES: Final = 12

Images = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int64]
Vector = npt.NDArray[np.float64]


@dataclass(frozen=True)
class _Looks:
    """What images look like from afar. thumbs: (n,C,G,G), mean values 0..1. edges: (n,2), log mean difference of neighbours across and down."""

    thumbs: Vector
    edges: Vector

    def flat(self) -> Vector:
        return np.concatenate([self.thumbs.reshape(len(self.thumbs), -1), self.edges], axis=1)


_TURNS: Final[Mapping[str, Callable[[_Looks], _Looks]]] = {  # each undoes what its name says
    "with red and blue exchanged": lambda x: _Looks(x.thumbs[:, ::-1], x.edges),
    "on their side (rows and columns exchanged)": lambda x: _Looks(x.thumbs.swapaxes(2, 3), x.edges[:, ::-1]),
    "upside down": lambda x: _Looks(x.thumbs[:, :, ::-1], x.edges),
    "mirrored left to right": lambda x: _Looks(x.thumbs[..., ::-1], x.edges),
    "upside down (turned by 180 degrees)": lambda x: _Looks(x.thumbs[:, :, ::-1, ::-1], x.edges),
    "on their side (turned to the left)": lambda x: _Looks(x.thumbs.swapaxes(2, 3)[..., ::-1], x.edges[:, ::-1]),
    "on their side (turned to the right)": lambda x: _Looks(x.thumbs.swapaxes(2, 3)[:, :, ::-1], x.edges[:, ::-1]),
}


def layout(material: Material) -> list[Problem]:
    """Pixels in the wrong place: colour planes read as pixels or the reverse, red and blue exchanged, images on their side or turned over."""
    images, rows = material.images, _looked_at(material, _ROWS)
    if not len(rows):
        return []
    if wrong := _scrambled(images, rows) or _nine_times(images, rows):
        return wrong
    looks = _looks(images.images, rows)
    return _turned_runs(images, rows, looks) or _all_on_their_side(images, rows, looks) + _all_blue(images, rows, looks)


def scrambled(material: Material) -> list[Problem]:
    """Pixels in the wrong place: colour planes read as pixels or the reverse."""
    rows = _looked_at(material, _QUICKLY)
    return _scrambled(material.images, rows) or _nine_times(material.images, rows) if len(rows) else []


def _looked_at(material: Material, most: int) -> Ints:
    """Return rows evenly spaced over those that are in a part, none where there is too little to say anything on."""
    rows: Ints = np.flatnonzero(material.part_of() >= 0)
    enough = len(rows) >= _FEWEST and min(material.images.images.shape[1:3]) >= 2 * _GRID
    return rows[:: -(-len(rows) // most)] if enough else rows[:0]


def _blocks(images: Images, rows: Ints) -> list[Images]:
    return [images[rows[start : start + _BLOCK]] for start in range(0, len(rows), _BLOCK)]


def _neighbours(images: Images) -> Vector:
    """Return how much neighbouring pixels differ, across and down, float64 (n,2), grey levels."""
    levels = images.astype(np.int16)
    across = np.abs(np.diff(levels, axis=2)).mean((1, 2, 3))
    return np.stack([across, np.abs(np.diff(levels, axis=1)).mean((1, 2, 3))], axis=1)


def _from_planes(images: Images) -> Images:
    """Return what the same bytes show as red, green and blue planes."""
    count, height, width, _ = images.shape
    return images.reshape(count, 3, height, width).transpose(0, 2, 3, 1)


def _from_pixels(images: Images) -> Images:
    """Return what the same bytes show pixel by pixel, where planes were made of them."""
    return np.ascontiguousarray(images.transpose(0, 3, 1, 2)).reshape(images.shape)


_ORDERS: Final[tuple[tuple[str, str, Callable[[Images], Images]], ...]] = (
    ("hold planes of red, green and blue that were read pixel by pixel", "planes", _from_planes),
    ("hold pixels that were read as planes of red, green and blue", "interleaved", _from_pixels),
)


def _scrambled(images: ImageSet, rows: Ints) -> list[Problem]:
    """Say whether images get smoother, across and down, when their bytes are put in another order."""
    if images.images.shape[3] != 3:
        return []
    blocks = _blocks(images.images, rows)
    coloured = np.concatenate([~grey_rows(block) for block in blocks])
    as_is = np.concatenate([_neighbours(block) for block in blocks])
    problems = []
    for what, name, put in _ORDERS:
        smoother = np.concatenate([(_neighbours(put(block))) for block in blocks]) < _SMOOTHER * as_is
        found = rows[smoother.all(1) & coloured]
        share = len(found) / len(rows)
        if share < _SOME or len(found) < 3:
            continue
        wholly = [place for place, members in _places(images, rows).items() if np.isin(members, found).mean() > 0.5]
        problems.append(
            Problem(
                NAME,
                "error" if wholly or share >= _MANY else "warning",
                f"{count(len(found))} of {count(len(rows))} images looked at{' (most of ' + ', '.join(wholly) + ')' if wholly else ''} {what}: "
                "their pixels fit their neighbours better once they are put in order.",
                f"Read the array in its own order: --set data.layout={name}; of images that were saved so, go back to the source. What is trained on "
                "scrambled images learns far less, and nothing says so.",
                shown([(int(row),) for row in found[:SHOWN]]),
                len(found),
                {"images": len(found), "looked_at": len(rows), "share": share},
            )
        )
    return problems


def _nine_times(images: ImageSet, rows: Ints) -> list[Problem]:
    """Say whether images show one small picture nine times, as planes read as pixels do, also when they were resized since."""
    if images.images.shape[3] != 3:
        return []
    tiles = _thumbnails(images.images, rows, 3 * _GRID).mean(1).reshape(-1, 3, _GRID, 3, _GRID).transpose(0, 1, 3, 2, 4).reshape(len(rows), 9, -1)
    tiles -= tiles.mean(2, keepdims=True)
    tiles /= np.sqrt((tiles**2).sum(2, keepdims=True)) + 1e-9
    alike = ((tiles @ tiles.transpose(0, 2, 1)).sum((1, 2)) - 9) / 72
    found = rows[alike > _TILES]
    if len(found) <= 0.5 * len(rows):
        return []
    return [
        Problem(
            NAME,
            "error",
            f"{count(len(found))} of {count(len(rows))} images looked at show one small picture nine times: planes of red, green and blue were read pixel by "
            "pixel, and the images resized since.",
            "Go back to the source and read its array in its own order: (N, 3, H, W), then move the channels to the end.",
            shown([(int(row),) for row in found[:SHOWN]]),
            len(found),
            {"images": len(found), "looked_at": len(rows), "share": len(found) / len(rows)},
        )
    ]


def _places(images: ImageSet, rows: Ints) -> dict[str, Ints]:
    """Return the given parts and roots with those of the rows that lie there, where they are enough to say anything on."""
    found = {f"the {PARTS[part]} part": rows[images.parts[rows] == part] for part in range(len(PARTS))}
    found |= {root: rows[images.roots[rows] == number] for number, root in enumerate(images.root_names)}
    return {place: members for place, members in found.items() if len(members) >= _FEWEST}


def _thumbnails(images: Images, rows: Ints, side: int) -> Vector:
    """Return mean values 0..1 of the fields of a grid, float64 (n,C,side,side)."""
    import torch
    from torch.nn.functional import adaptive_avg_pool2d

    made = [adaptive_avg_pool2d(torch.from_numpy(np.ascontiguousarray(b)).permute(0, 3, 1, 2).float(), side).numpy() for b in _blocks(images, rows)]
    return np.concatenate(made).astype(np.float64) / 255


def _looks(images: Images, rows: Ints) -> _Looks:
    edges = np.concatenate([_neighbours(block) for block in _blocks(images, rows)])
    return _Looks(_thumbnails(images, rows, _GRID), np.log(edges + 1))


def _turned_runs(images: ImageSet, rows: Ints, looks: _Looks) -> list[Problem]:
    """Return the run of rows that looks more like the others of their classes once it is turned, judged again by the others alone."""
    turns = {name: turn for name, turn in _TURNS.items() if images.images.shape[3] == 3 or "blue" not in name}
    tries = [_most_turned(looks, images.labels[rows], usual, turns) for usual in _without_one(images, rows)]
    name, start, stop, total = max(tries, key=lambda run: run[3])
    for _ in range(_PASSES):
        usual = np.ones(len(rows), bool)
        usual[start:stop] = stop - start > len(rows) / 2
        name, start, stop, total = _most_turned(looks, images.labels[rows], usual, turns)
    if total < _CLEARLY or stop - start < _FEWEST:
        return []
    found = rows[start:stop]
    where = next((p for p, m in _places(images, rows).items() if len(np.intersect1d(m, found)) > 0.9 * max(len(m), len(found))), None)
    where = where or f"the rows from {images.sources[found[0]]} to {images.sources[found[-1]]}"
    return [
        Problem(
            NAME,
            "error",
            f"The images of {where} are {name}, it seems, other than the rest: {count(len(found))} looked at are more like the others of their classes "
            f"once that is undone, by {total / len(found):.1f} nats an image.",
            "Compare some of them with the rest by eye, and read them in the same way.",
            shown([(int(row),) for row in found[len(found) // 4 :][:SHOWN]]),
            len(found),
            {"first_row": int(found[0]), "last_row": int(found[-1]), "images": len(found), "nats": total},
        )
    ]


def _without_one(images: ImageSet, rows: Ints) -> list[npt.NDArray[np.bool_]]:
    """Return masks of rows: all, and all but those of one part or root, where most are left."""
    left_out = [np.isin(rows, members) for members in _places(images, rows).values()][:_MOST_PLACES]
    return [np.ones(len(rows), bool), *(~mask for mask in left_out if mask.mean() <= 0.5)]


def _most_turned(looks: _Looks, labels: Ints, usual: npt.NDArray[np.bool_], turns: Mapping[str, Callable[[_Looks], _Looks]]) -> tuple[str, int, int, float]:
    """Return the turn, start, stop and sum, in nats, of the run of images that a turn makes likeliest; a normal distribution of the usual ones judges."""
    flat, classes = looks.flat(), int(labels.max()) + 1
    sums = np.zeros((classes, flat.shape[1]))
    np.add.at(sums, labels[usual], flat[usual])
    means = (sums + 20 * flat[usual].mean(0)) / (np.bincount(labels[usual], minlength=classes) + 20)[:, None]
    spread = np.cov((flat[usual] - means[labels[usual]]).T)
    precision = np.linalg.inv(spread + np.eye(len(spread)) * (0.01 * np.trace(spread) / len(spread) + 1e-9))

    def far(x: _Looks) -> Vector:
        off = x.flat() - means[labels]
        distances: Vector = np.einsum("ij,jk,ik->i", off, precision, off)
        return distances

    as_is = far(looks)
    runs = {name: best_run(np.clip((as_is - far(turn(looks))) / 2, -_CAP, _CAP) - _HANDICAP) for name, turn in turns.items()}
    name, (start, stop, total) = max(runs.items(), key=lambda item: item[1][2])
    return name, start, stop, total


def _all_on_their_side(images: ImageSet, rows: Ints, looks: _Looks) -> list[Problem]:
    """Say whether left differs from right as top and bottom of photographs do, and top not from bottom."""
    grey, half = looks.thumbs.mean(1), _GRID // 2
    down = grey[:, :half].mean((1, 2)) - grey[:, half:].mean((1, 2))
    across = grey[:, :, :half].mean((1, 2)) - grey[:, :, half:].mean((1, 2))
    spread = np.sqrt((down.var() + across.var()) / 2) + 1e-9
    down_size, across_size = float(abs(down.mean()) / spread), float(abs(across.mean()) / spread)
    known = [k for k in range(len(images.classes)) if (images.labels[rows] == k).sum() >= 30]
    sideways = [k for k in known if abs(across[images.labels[rows] == k].mean()) > abs(down[images.labels[rows] == k].mean())]
    if len(rows) < 900 or across_size < 0.2 or across_size < 4 * down_size or len(sideways) < 0.75 * max(len(known), 2):
        return []
    return [
        Problem(
            NAME,
            "warning",
            f"All images may lie on their side: left and right halves differ in brightness ({across_size:.2f} standard deviations), top and bottom do not "
            f"({down_size:.2f}); of photographs it is the other way round.",
            "Look at some images. If rows and columns were exchanged while reading, read them again; if it is as it should be, nothing is wrong.",
            shown([(int(row),) for row in rows[:SHOWN]]),
            len(rows),
            {"left_right": across_size, "top_bottom": down_size, "looked_at": len(rows)},
        )
    ]


def _all_blue(images: ImageSet, rows: Ints, looks: _Looks) -> list[Problem]:
    """Say whether blue outweighs red in the lower halves, where photographs of most things have no sky."""
    if images.images.shape[3] != 3 or len(rows) < 900:
        return []
    lower = looks.thumbs[:, :, _GRID // 2 :].mean((2, 3))
    bluer = lower[:, 2] > lower[:, 0]
    known = [k for k in range(len(images.classes)) if (images.labels[rows] == k).sum() >= 30]
    classes = [k for k in known if bluer[images.labels[rows] == k].mean() > 0.5]
    if bluer.mean() < 0.6 or len(classes) < 0.75 * max(len(known), 2):
        return []
    return [
        Problem(
            NAME,
            "note",
            f"Blue outweighs red in the lower half of {percent(bluer.mean(), 0)} of the images, and in {len(classes)} of {len(known)} classes; of photographs "
            "of most things it is the other way round: red and blue may be exchanged in all images.",
            "Look at some images. If they were read by a library that gives blue first (OpenCV), exchange the channels; what is trained on such images works "
            "on such images alone.",
            shown([(int(row),) for row in rows[bluer][:SHOWN]]),
            int(bluer.sum()),
            {"share_bluer": float(bluer.mean()), "classes_bluer": len(classes), "looked_at": len(rows)},
        )
    ]
