"""Parts of the data that differ: images that a probe tells apart, brightness, contrast and colour that moved, other shares of classes."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from rung.audit.material import SHOWN, Material, shown
from rung.audit.problem import Problem
from rung.data.imageset import PARTS, TRAIN
from rung.words import percent

NAME: Final = "drift"
_FEWEST: Final = 50  # images in a part to say anything on
_SURE: Final = 5.0  # standard deviations
_APART: Final = 0.6  # probability that a probe ranks an image of the one part above one of the other of the same class; 0.5: it cannot tell
_MOVED: Final = 0.3  # standard deviations that a mean has moved
_SHARES: Final = 0.05  # share of the images of a part that would have to change class
_SHARES_MUCH: Final = 0.15
_CHANCE: Final = 1e-4  # of classes drawn alike to differ as much

Vector = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


def drift(material: Material) -> list[Problem]:
    """Differences between training and other parts: a probe that tells their images apart, brightness, contrast, colour, sharpness, classes' shares."""
    probe = material.probe
    problems = []
    for part in probe.parts:
        if part != TRAIN and TRAIN in probe.parts and min((probe.part == part).sum(), (probe.part == TRAIN).sum()) >= _FEWEST:
            problems += _pictures(material, part) + _class_shares(material, part)
    return problems


def _pictures(material: Material, part: int) -> list[Problem]:
    probe = material.probe
    both = np.flatnonzero((probe.part == TRAIN) | (probe.part == part))
    other, labels = probe.part[both] == part, probe.labels[both]
    scores = probe.scores((probe.part == part).astype(np.float32)[:, None], (TRAIN, part))[both, 0]
    area, sure = ranked_above(scores, other, labels)
    moved = {name: _moved(values, other, labels) for name, values in statistics(material.images.images, probe.rows[both]).items()}
    name, (size, size_sure, by) = max(moved.items(), key=lambda item: abs(item[1][0]))
    shifted = abs(size) >= _MOVED and size_sure >= _SURE
    if not shifted and not (area >= _APART and sure >= _SURE):
        return []
    said = f"their {name} is {'higher' if by > 0 else 'lower'} by {abs(by):.1f} ({abs(size):.2f} standard deviations)" if shifted else "not by a plain mean"
    farthest = probe.rows[both[other][np.argsort(-scores[other], kind="stable")]]
    numbers = {"area_under_curve": area, "deviations": sure, **{f"{name.replace(' ', '_')}_moved_by_deviations": d for name, (d, _, _) in moved.items()}}
    return [
        Problem(
            NAME,
            "warning",
            f"{PARTS[part].capitalize()} images differ from training images: a probe ranks one of each rightly in {percent(area)} of cases, where "
            f"{percent(0.5, 0)} would be chance, and {said}.",
            f"Find out how the {PARTS[part]} images were made. A score on them says how the network does on such images, not on images like those it learned.",
            shown([(int(row),) for row in farthest[:SHOWN]]),
            int(other.sum()),
            numbers,
        )
    ]


def ranked_above(scores: npt.NDArray[np.floating], positive: Mask, strata: Ints) -> tuple[float, float]:
    """Return how often a positive row has a higher score than another of its stratum, 0..1, and by how many standard deviations that is above one half.

    (P. van Elteren, "On the combination of independent two-sample tests of Wilcoxon", 1960.)
    """
    from scipy.stats import rankdata

    above = pairs = variance = 0.0
    for stratum in np.unique(strata):
        inside = strata == stratum
        ones, count = int((inside & positive).sum()), int(inside.sum())
        if 0 < ones < count:
            above += float(rankdata(scores[inside])[positive[inside]].sum()) - ones * (ones + 1) / 2
            pairs += ones * (count - ones)
            variance += ones * (count - ones) * (count + 1) / 12
    return (above / pairs, (above - pairs / 2) / float(np.sqrt(variance))) if pairs else (0.5, 0.0)


def _moved(values: Vector, positive: Mask, strata: Ints) -> tuple[float, float, float]:
    """Return how far the mean of positive rows is from the others', class by class: in standard deviations of single images, how sure, and in units."""
    moves, weights, within = [], [], []
    for stratum in np.unique(strata):
        ones, zeros = values[(strata == stratum) & positive], values[(strata == stratum) & ~positive]
        if len(ones) > 1 and len(zeros) > 1:
            moves.append(ones.mean() - zeros.mean())
            weights.append(len(ones) * len(zeros) / (len(ones) + len(zeros)))
            within.append((ones.var(), len(ones), zeros.var(), len(zeros)))
    if not moves:
        return 0.0, 0.0, 0.0
    weight = np.array(weights)
    spread = np.sqrt(sum(a * m + b * n for a, m, b, n in within) / sum(m + n for _, m, _, n in within))
    by = float((weight * np.array(moves)).sum() / weight.sum())
    error = float(np.sqrt((weight**2 * [a / m + b / n for a, m, b, n in within]).sum()) / weight.sum())
    return (by / spread, abs(by) / max(error, 1e-12), by) if spread > 0 else (0.0, 0.0, by)


def statistics(images: npt.NDArray[np.uint8], rows: Ints) -> dict[str, Vector]:
    """Return plain figures of each image, float64 (n,): means over its pixels, in grey levels 0..255."""
    made = []
    for start in range(0, len(rows), 500):
        block = images[rows[start : start + 500]]
        levels = block.astype(np.float32)
        figures = [levels.mean((1, 2, 3)), levels.std((1, 2)).mean(1), np.abs(np.diff(levels, axis=2)).mean((1, 2, 3))]
        if block.shape[3] == 3:
            figures += [levels[..., 0].mean((1, 2)) - levels[..., 2].mean((1, 2)), (levels.max(3) - levels.min(3)).mean((1, 2))]
        made.append(np.stack(figures, axis=1))
    names = ("brightness", "contrast", "sharpness", "warmth of colour", "saturation")
    columns = np.concatenate(made).astype(np.float64).T
    return dict(zip(names, columns, strict=False))


def _class_shares(material: Material, part: int) -> list[Problem]:
    from scipy.stats import chi2_contingency

    labels, names = material.images.labels, material.images.classes
    rows = getattr(material.splits, PARTS[part])
    counts = np.stack([np.bincount(labels[r], minlength=len(names)) for r in (material.splits.train, rows)])
    here = counts[:, counts.sum(0) > 0]
    chance = float(chi2_contingency(here).pvalue) if here.shape[1] > 1 else 1.0
    shares = counts / counts.sum(1, keepdims=True)
    apart = float(np.abs(shares[0] - shares[1]).sum() / 2)
    if chance > _CHANCE or apart < _SHARES:
        return []
    most = int(np.abs(shares[1] - shares[0]).argmax())
    return [
        Problem(
            NAME,
            "warning" if apart >= _SHARES_MUCH else "note",
            f"Classes have other shares in {PARTS[part]} than in training: {percent(apart)} of the {PARTS[part]} images would have to be of another class; "
            f"{names[most]} is {percent(shares[0, most])} of training and {percent(shares[1, most])} of {PARTS[part]}.",
            "Compare networks by balanced accuracy or by class, and say which shares hold where the network will be used.",
            shown([(int(row),) for row in rows[labels[rows] == most][:SHOWN]]),
            round(apart * counts[1].sum()),
            {"images_of_another_class_share": apart, "p_value": chance, "most_changed_class": most},
        )
    ]
