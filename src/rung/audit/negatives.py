"""Images that are negatives of what they should be."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

import numpy as np
import numpy.typing as npt

from rung import keys
from rung.audit import noise, probe
from rung.audit.material import Material, shown
from rung.audit.problem import Problem
from rung.data.imageset import PARTS
from rung.words import count, percent

NAME: Final = "odd-images"
_ROWS: Final = 10_000  # images that are compared with their negatives, of larger sets
_FEWEST: Final = 100
_SURE: Final = 8.0  # standard deviations, each image counted twice, as itself and as negative; clean sets have 5.3 at most
_SOME: Final = 0.002
_MOST: Final = 0.2  # share of negatives above which neither side is the negative: drawings are as often bright on dark as dark on bright
_TELLING: Final = 0.65  # share of training images that a probe tells from their negatives, for it to be asked about other parts


def inverted(material: Material) -> Iterator[Problem]:
    """Let a probe learn to tell images from their negatives, and see which images look like negatives themselves."""
    part = material.part_of()
    rows = np.flatnonzero(part >= 0)
    rows = np.sort(rows[keys.permutation(material.seed, "inverted", 0, len(rows))[:_ROWS]])
    if len(rows) < _FEWEST:
        return
    images, own = material.images, part[rows]
    both = replace(
        images.take(np.concatenate([rows, rows])),
        images=np.concatenate([images.images[rows], 255 - images.images[rows]]),
        labels=np.repeat([0, 1], len(rows)).astype(np.int64),
        classes=("as it is", "negative"),
    )
    unit = material.twins.components(len(images))[rows]
    found = probe.build(both, np.concatenate([own, own]), np.concatenate([unit, unit]), material.seed)
    turned = _whole_parts(found, len(rows), own)
    for k in turned:
        mine = rows[own == k]
        yield Problem(
            NAME,
            "error",
            f"The {PARTS[k]} images look like negatives: dark where the training images are bright.",
            "Invert them (255 minus the value), or the training images, so that all are of one kind.",
            shown([(int(row),) for row in mine]),
            int((part == k).sum()),
            {"images": int((part == k).sum())},
        )
    kept = ~np.isin(np.concatenate([own, own]), turned)
    sound = tuple(k for k in found.parts if k not in turned)
    judged = noise.estimate(found.class_scores(sound)[kept], found.labels[kept], material.seed)
    sure = judged.more_than(_SOME)
    half = int(kept.sum()) // 2
    suspects = np.flatnonzero((judged.blind[:half] > 0.5) & (judged.likely[:half] != 0))
    if sure < _SURE or judged.share / 2 > _MOST or not len(suspects):
        return
    suspects = suspects[np.argsort(-judged.blind[suspects], kind="stable")]
    evidence = rows[kept[: len(rows)]][suspects]
    yield Problem(
        NAME,
        "warning",
        f"About {percent(judged.share / 2)} of the images seem to be negatives; {count(len(evidence))} of {count(half)} looked at stand out (such as "
        f"{images.sources[evidence[0]]}).",
        "Look through them; invert those that are (255 minus the value).",
        shown([(int(row),) for row in evidence]),
        len(evidence),
        {"share": judged.share / 2, "suspects": len(evidence), "deviations": sure},
    )


def _whole_parts(found: probe.Probe, many: int, own: npt.NDArray[np.int8]) -> list[int]:
    """Return the parts that look like negatives as a whole, by a probe fitted on train alone."""
    if 0 not in found.parts or len(found.parts) == 1:
        return []
    right = found.class_scores((0,))[:many].argmax(axis=1) == 0
    if right[own == 0].mean() < _TELLING:
        return []
    return [k for k in found.parts if k and right[own == k].mean() < 1 - _TELLING and (own == k).sum() >= _FEWEST // 2]
