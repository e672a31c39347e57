"""The facts of a data set that a recipe follows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

import numpy as np

from rung import keys
from rung.audit import probe
from rung.data.imageset import TRAIN, ImageSet
from rung.recipe import Recipe
from rung.recipes import FOLLOWING
from rung.recipes.facts import Facts

_ROWS: Final = 2_000  # training images that mirroring is judged on: half of them are learnt from, half are asked about
_LOST: Final = 0.1  # of what a probe knows above chance: mirroring that costs more changes what images say


def rules_for(recipe: object, images: ImageSet) -> Callable[[float | None], Recipe] | None:
    """Return what makes the recipe of this name for these images, given the operations there is time for; None where it is none that follows data."""
    make = FOLLOWING.get(recipe) if isinstance(recipe, str) else None
    if make is None:
        return None
    facts = facts_of(images)
    return lambda operations: make(replace(facts, operations=operations))


def following(recipe: object, images: ImageSet) -> Recipe | None:
    """Return the recipe of this name as it follows these images, with as much time as it needs; None where it is none that follows data."""
    rules = rules_for(recipe, images)
    return rules(None) if rules else None


def facts_of(images: ImageSet) -> Facts:
    """Return what a recipe may know; a function of the training rows that the data bring, and of nothing else."""
    rows = np.flatnonzero(images.parts == TRAIN)
    return Facts(len(rows), len(images.classes), images.images.shape[1], _same_when_mirrored(images, rows))


def _same_when_mirrored(images: ImageSet, rows: np.ndarray) -> bool:
    """Let a probe learn from some images and ask it about others as they are and mirrored: does it know the mirrored ones as well?"""
    chosen = rows[keys.permutation(0, "mirrored", 0, len(rows))[:_ROWS]]
    learnt, asked = chosen[::2], chosen[1::2]
    three = images.take(np.concatenate([learnt, asked, asked]))
    pixels = three.images.copy()
    pixels[-len(asked) :] = pixels[-len(asked) :, :, ::-1]
    part = np.repeat(np.arange(3, dtype=np.int8), (len(learnt), len(asked), len(asked)))
    found = probe.build(replace(three, images=pixels), part, np.arange(len(part)), seed=0)
    right = found.elsewhere(probe.one_hot(found.labels, found.classes), (0,)).argmax(axis=1) == found.labels
    as_they_are, mirrored = right[part == 1].mean(), right[part == 2].mean()
    chance = (np.bincount(found.labels) / len(part)).max()
    return bool(as_they_are - mirrored <= _LOST * max(as_they_are - chance, 0))
