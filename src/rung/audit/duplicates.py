"""Images that are there twice: exact copies and near ones, inside and across parts and classes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt

from rung.audit.material import Material, across, of_share, shown
from rung.audit.problem import Problem
from rung.data.imageset import PARTS
from rung.words import percent, plural

_SOME: Final = 0.01  # share of rows with a twin in their own part, above which they weigh
_WORDS: Final = {
    True: ("exact-duplicates", "equal to an image", "equal images"),
    False: ("near-duplicates", "nearly the same as an image", "nearly the same images"),
}


def exact(material: Material) -> list[Problem]:
    """Exact duplicates: images that are there twice, pixel for pixel, in one part, in two parts or in two classes."""
    return _problems(material, True)


def near(material: Material) -> list[Problem]:
    """Near-duplicates: one picture saved again, resized, flipped, cropped, turned or brightened, in one part, in two parts or in two classes."""
    return [*_doubted(material), *_problems(material, False)]


def _doubted(material: Material) -> Iterator[Problem]:
    """Say that near pairs were found and are not believed: which images the set has by nature and which twice cannot be told."""
    if material.twins.doubted:
        yield Problem(
            _WORDS[False][0],
            "warning",
            "The images of this set look so much alike that near-duplicates can't be told from other images: "
            f"{plural(material.twins.doubted, 'pair')} {'looks' if material.twins.doubted == 1 else 'look'} like one picture moved or scaled.",
            "None of them is taken for near-duplicates, nor kept together in parts. If a subject is there more than once, say which images show it: "
            "data.group_column.",
            count=material.twins.doubted,
            numbers={"pairs_doubted": material.twins.doubted},
        )


def _problems(material: Material, exact: bool) -> list[Problem]:
    which = material.twins.exact == exact
    pairs = material.twins.pairs[which][np.argsort(-material.twins.likeness[which], kind="stable")]
    return [*_between_classes(material, pairs, exact), *_between_parts(material, pairs, exact), *_inside(material, pairs, exact)]


def _between_classes(material: Material, pairs: npt.NDArray[np.int64], exact: bool) -> Iterator[Problem]:
    labels, names = material.images.labels, material.images.classes
    differing = pairs[labels[pairs[:, 0]] != labels[pairs[:, 1]]]
    if len(differing):
        check, _, images = _WORDS[exact]
        one, other = differing[0]
        example = f"{material.images.sources[one]} is labelled {names[labels[one]]}, {material.images.sources[other]} {names[labels[other]]}"
        yield Problem(
            check,
            "warning",
            f"{plural(len(differing), 'pair')} of {images} {'is' if len(differing) == 1 else 'are'} in two classes ({example}).",
            "One of the labels is wrong, or the picture shows both: correct it where the labels are kept, or leave both out.",
            shown(differing),
            len(differing),
            {"pairs": len(differing)},
        )


def _between_parts(material: Material, pairs: npt.NDArray[np.int64], exact: bool) -> Iterator[Problem]:
    """Say how many rows of a later part have a twin in an earlier one; a row counts once, whatever number of twins it has."""
    check, same_as, _ = _WORDS[exact]
    for low, high, between in across(pairs, material.part_of()):
        if not len(between):
            continue
        part = material.part_of()
        rows = np.unique(between[part[between] == PARTS.index(high)])
        total = len(getattr(material.splits, high))
        share = len(rows) / total
        severity = of_share(share)
        if low == "train":
            advice = (
                f"Scores on {high} lean to the optimistic side; those without these images stand beside them. "
                "To leave the twins out of train: --set split.drop_twins=true."
            )
        else:
            advice = "What is chosen on validation fits these test images too well: let rung make the parts, or remove them from one."
        yield Problem(
            check,
            severity,
            f"{plural(len(rows), f'{high} image')} of {total:,} ({percent(share)}) {'is' if len(rows) == 1 else 'are'} {same_as} in {low}.",
            advice,
            shown(between),
            len(between),
            {"rows": len(rows), "share": share, "pairs": len(between)},
        )


def _inside(material: Material, pairs: npt.NDArray[np.int64], exact: bool) -> Iterator[Problem]:
    """Say how many images are there again within one part and class; the other pairs are said of already."""
    labels, part = material.images.labels, material.part_of()
    same = pairs[(labels[pairs[:, 0]] == labels[pairs[:, 1]]) & (part[pairs[:, 0]] == part[pairs[:, 1]]) & (part[pairs[:, 0]] >= 0)]
    if not len(same):
        return
    check, _, images = _WORDS[exact]
    rows = len(np.unique(same))
    share = rows / max(1, int((part >= 0).sum()))
    where = [f"{number:,} in {PARTS[k]}" for k in range(len(PARTS)) if (number := int((part[same[:, 0]] == k).sum()))]
    yield Problem(
        check,
        "warning" if exact and share >= _SOME else "note",
        f"{plural(len(same), 'pair')} of {images} {'lies' if len(same) == 1 else 'lie'} within one part ({', '.join(where)}): {percent(share)} of the images.",
        "They count double in training and in scores. Parts that rung draws keep them together.",
        shown(same),
        len(same),
        {"pairs": len(same), "rows": rows, "share": share},
    )
