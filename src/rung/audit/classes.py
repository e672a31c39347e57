"""Classes: how many images each has, whether all parts have all of them, how their names are spelt, what numbers stand for them."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from itertools import combinations
from typing import Final

import numpy as np
import numpy.typing as npt

from rung.audit.material import Material, shown
from rung.audit.problem import Problem
from rung.data.classes import folded
from rung.data.imageset import PARTS
from rung.words import listing, percent, plural, quoted

_UNEVEN: Final = 10  # times as many images in the largest class as in the smallest
_FEW: Final = 10  # training images
_LISTED: Final = 8
_ALIKE: Final = 0.85
_SHORTEST: Final = 5  # letters; shorter names are often alike (bear, pear)
_RARE: Final = 0.2  # of the images of the class that it may be a misspelling of


def uneven(material: Material) -> list[Problem]:
    """Classes: very uneven ones, ones with very few images, ones that a part lacks, and names that may be one name misspelt."""
    counts = _counts(material)
    return [*_imbalance(material, counts), *_few(material, counts), *_lacking(material, counts), *_misspelt(material, counts)]


def imbalanced(material: Material) -> list[Problem]:
    """Classes: very uneven ones."""
    return list(_imbalance(material, _counts(material)))


def out_of_range(material: Material) -> list[Problem]:
    """Labels: numbers that stand for no class, and classes that no image has."""
    labels, names = material.images.labels, material.images.classes
    wrong = np.flatnonzero((labels < 0) | (labels >= len(names)))
    if len(wrong):
        found = f"labels run from {labels.min()} to {labels.max()}, and there are {len(names)} classes, 0..{len(names) - 1}"
        return [
            Problem(
                "label-range",
                "error",
                f"{plural(len(wrong), 'label')} of {len(labels):,} {'stands' if len(wrong) == 1 else 'stand'} for no class: {found}.",
                "Number the classes from 0, or give the names of all classes.",
                shown([(int(row),) for row in wrong]),
                len(wrong),
                {"labels": len(wrong), "lowest": float(labels.min()), "highest": float(labels.max()), "classes": len(names)},
            )
        ]
    unused = [name for name, number in zip(names, np.bincount(labels, minlength=len(names)), strict=True) if not number]
    if not unused:
        return []
    first = f" Class 0, {quoted(names[0])}, is among them: were the classes numbered from 1?" if names[0] in unused else ""
    return [
        Problem(
            "label-range",
            "warning",
            f"{plural(len(unused), 'class', 'classes')} of {len(names)} {'has' if len(unused) == 1 else 'have'} no image: {_named(unused)}.{first}",
            "Look whether the labels and the names of the classes belong together.",
            count=len(unused),
            numbers={"classes": len(names), "unused": len(unused)},
        )
    ]


def _counts(material: Material) -> npt.NDArray[np.int64]:
    """Return the images of each part and class, int64 (3,K); labels that stand for no class are not counted."""
    labels, part, many = material.images.labels, material.part_of(), len(material.images.classes)
    named = (labels >= 0) & (labels < many)
    return np.stack([np.bincount(labels[named & (part == k)], minlength=many) for k in range(len(PARTS))])


def _named(names: list[str]) -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return f"{', '.join(names[:_LISTED])}{more}"


def _imbalance(material: Material, counts: npt.NDArray[np.int64]) -> Iterator[Problem]:
    names, train = material.images.classes, counts[0]
    there = np.flatnonzero(train)
    largest, smallest = there[train[there].argmax()], there[train[there].argmin()]
    if train[largest] >= _UNEVEN * train[smallest]:
        share = train[largest] / train.sum()
        yield Problem(
            "classes",
            "warning",
            f"The classes are uneven: {quoted(names[largest])} has {plural(int(train[largest]), 'training image')}, {quoted(names[smallest])} "
            f"{train[smallest]:,}; always answering the first would be right on {percent(float(share))} of them.",
            "Judge by macro F1 and the recall of each class, not by accuracy alone; train.class_weights or train.sampling = 'balanced' give rare ones weight.",
            count=2,
            numbers={"largest": int(train[largest]), "smallest": int(train[smallest]), "share_of_largest": float(share)},
        )


def _few(material: Material, counts: npt.NDArray[np.int64]) -> Iterator[Problem]:
    few = [name for name, number in zip(material.images.classes, counts[0], strict=True) if 0 < number < _FEW]
    if few:
        yield Problem(
            "classes",
            "warning",
            f"{plural(len(few), 'class', 'classes')} {'has' if len(few) == 1 else 'have'} less than {_FEW} training images: {_named(few)}.",
            "So few can hardly be learnt, and say next to nothing when scored: add images, or leave the classes out.",
            count=len(few),
            numbers={"classes": len(few)},
        )


def _lacking(material: Material, counts: npt.NDArray[np.int64]) -> Iterator[Problem]:
    for k, part in enumerate(PARTS):
        lacking = [name for name, own, of_all in zip(material.images.classes, counts[k], counts.sum(axis=0), strict=True) if of_all and not own]
        if counts[k].any() and lacking:
            yield Problem(
                "classes",
                "error" if part == "train" else "warning",
                f"{plural(len(lacking), 'class', 'classes')} {'has' if len(lacking) == 1 else 'have'} no image in the {part} part: {_named(lacking)}.",
                "They cannot be learnt." if part == "train" else f"Nothing is known of them from {part}: add images, or leave the classes out.",
                count=len(lacking),
                numbers={"classes": len(lacking)},
            )


def _misspelt(material: Material, counts: npt.NDArray[np.int64]) -> Iterator[Problem]:
    """Ask about names that differ by little where one is rare or missing in a part that has the other."""
    names, total = material.images.classes, counts.sum(axis=0)
    pairs = []
    for a, b in combinations(range(len(names)), 2):
        rare, common = sorted((a, b), key=lambda k: total[k])
        apart = bool(((counts[:, rare] == 0) & (counts[:, common] > 0)).any()) or total[rare] < _RARE * total[common]
        if folded(names[a]) == folded(names[b]) or (apart and _alike(names[a], names[b])):
            pairs.append((names[rare], names[common]))
    if pairs:
        said = listing([f"{quoted(rare)} and {quoted(common)}" for rare, common in pairs[:_LISTED]])
        yield Problem(
            "classes",
            "warning",
            f"{plural(len(pairs), 'pair')} of class names may be one name spelt in two ways: {said}.",
            "If they are one, merge them: --classes 'name=first,second; ..'.",
            count=len(pairs),
            numbers={"pairs": len(pairs)},
        )


def _alike(one: str, other: str) -> bool:
    one, other = folded(one), folded(other)
    without = [name.translate(str.maketrans("", "", "0123456789")) for name in (one, other)]
    if min(map(len, without)) < _SHORTEST or without[0] == without[1]:  # c10 and c11 are two classes
        return False
    return _one_slip(one, other) or difflib.SequenceMatcher(None, one, other).ratio() >= _ALIKE


def _one_slip(one: str, other: str) -> bool:
    """Return whether a letter more, less or another, or two neighbours exchanged, make one name the other (F. Damerau, CACM 1964)."""
    if len(one) > len(other):
        one, other = other, one
    start = next((k for k, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), len(one))
    mine, theirs = one[start:], other[start:]
    if len(one) < len(other):
        return mine == theirs[1:]
    return mine[1:] == theirs[1:] or (mine[:2] == theirs[1::-1] and mine[2:] == theirs[2:])
