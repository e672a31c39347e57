"""Which rows are fitted on, chosen on and tested on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rung.data.imageset import PARTS, TEST, TRAIN, VALIDATION, ImageSet
from rung.data.twins import Twins
from rung.data.units import Parting, units
from rung.errors import DataError, did_you_mean
from rung.keys import permutation
from rung.recipe import Split

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Splits:
    """Row numbers (int64, ascending) of an ImageSet; no row is in two parts. `how` says in words how they were made."""

    train: Rows
    validation: Rows
    test: Rows
    how: str

    def counts(self) -> dict[str, int]:
        """Return {part: rows}, of parts that have some."""
        return {part: len(rows) for part in PARTS if len(rows := getattr(self, part))}


def make_splits(images: ImageSet, split: Split, seed: int, twins: Twins | None = None) -> Splits:
    """Return the parts of a data set: those it brings, and seeded stratified ones for what it lacks.

    Parts that are drawn here part no twins and no group (`images.groups`): rows that are linked by either, also through others, stay together.
    twins: None if they are not known. With split.drop_twins, training rows that have a twin in another part are left out.
    Raises: DataError if a part would be empty, there are fewer rows than folds, or a named root is not there.
    """
    unit = units(images, twins)
    given, how_validation = (None, "") if split.folds is not None else _given_validation(images, split)
    test = np.flatnonzero(images.parts == TEST)
    rest = np.flatnonzero(images.parts == TRAIN)
    if given is not None:
        rest = np.setdiff1d(rest, given)  # before a test part is drawn: no row may be in both
    how, drawn = [], rest[:0]
    if len(test):
        how.append(f"test: the {len(test)} rows given")
    elif split.test_fraction:
        drawn = rest
        rest, test = _stratified(images, rest, unit, split.test_fraction, seed, "test")
        how.append(f"test: {len(test)} rows, {split.test_fraction:.0%} of each class, seed {seed}")
    else:
        how.append("test: none")
    if given is not None:
        train, validation = rest, given
        how.append(how_validation)
    elif split.folds is not None:
        rest = np.union1d(rest, np.flatnonzero(images.parts == VALIDATION))
        drawn = np.union1d(drawn, rest)
        train, validation = _fold(images, rest, unit, split.folds, split.fold, seed)
        how.append(f"validation: fold {split.fold} of {split.folds}, {len(validation)} rows, stratified, seed {seed}")
    elif split.validation_fraction:
        drawn = np.union1d(drawn, rest)
        train, validation = _stratified(images, rest, unit, split.validation_fraction, seed, "validation")
        how.append(f"validation: {len(validation)} rows, {split.validation_fraction:.0%} of each class, seed {seed}")
    else:
        raise DataError("split.validation_fraction = 0 and the data bring no validation part: nothing to choose on; set it above 0")
    how += _kept_together(drawn, unit)
    _refuse_empty(images, "validation", validation)
    if split.fit_on == "train+validation":
        train, validation = np.union1d(train, validation), validation[:0]
        how.append("fitted on train and validation together: nothing can be chosen and there is no validation score")
    if split.drop_twins and twins is not None:
        leaks = twins.beside(train, np.union1d(validation, test), len(images))
        train = train[~leaks]
        how.append(f"left out of train: {leaks.sum():,} rows that have a twin in another part (split.drop_twins)")
    _refuse_empty(images, "training", train)
    return Splits(train, validation, test, "; ".join(how))


def _refuse_empty(images: ImageSet, name: str, rows: Rows) -> None:
    if not len(rows):
        raise DataError(f"the {name} part of {images.name} would be empty ({len(images)} rows in all): change split.* or add images")


def _given_validation(images: ImageSet, split: Split) -> tuple[Rows | None, str]:
    """Return the validation rows that the recipe or the data name, None where neither does, and where they come from in words."""
    given = np.flatnonzero(images.parts == VALIDATION)
    if split.validation_roots:
        for name in split.validation_roots:
            if name not in images.root_names:
                raise DataError(f"split.validation_roots names '{name}': {did_you_mean(name, images.root_names)}")
        wanted = [images.root_names.index(name) for name in split.validation_roots]
        rows = np.flatnonzero(np.isin(images.roots, wanted) & (images.parts != TEST))
        if not len(rows):
            raise DataError(
                f"split.validation_roots = {', '.join(split.validation_roots)}: no row of it is left to choose on; test rows do not count, and "
                "data.per_class keeps the first training rows of each class, which may all lie in other roots"
            )
        unused = len(np.setdiff1d(given, rows))
        beside = f"; {unused} other rows that the data give as validation are not used" if unused else ""
        return rows, f"validation: the {len(rows)} rows of {', '.join(split.validation_roots)}{beside}"
    if len(given):
        return given, f"validation: the {len(given)} rows given"
    if images.validation_rule == "last_10000":
        rows = np.flatnonzero(images.parts == TRAIN)[-10_000:]
        return rows, "validation: the last 10,000 training rows, as is customary for CIFAR"
    return None, ""


def _stratified(images: ImageSet, rows: Rows, unit: Rows, fraction: float, seed: int, purpose: str) -> tuple[Rows, Rows]:
    """Part rows into (kept, taken), class by class, no unit in two; of a class with two units or more at least one goes to each side."""
    order = permutation(seed, f"split {purpose}", 0, len(rows))
    parting = Parting(images.labels[rows], unit[rows])
    for label in np.unique(parting.labels):
        members = order[parting.labels[order] == label]
        if len(members) > 1:
            parting.take(members, min(max(round(len(members) * fraction), 1), len(members) - 1))
    return rows[~parting.taken], rows[parting.taken]


def _fold(images: ImageSet, rows: Rows, unit: Rows, folds: int, fold: int, seed: int) -> tuple[Rows, Rows]:
    """Deal the shuffled rows of each class to the folds in turn, no unit to two; the deal goes on from class to class, so folds are even."""
    if len(rows) < folds:
        raise DataError(f"split.folds = {folds} asks for more folds than the {len(rows)} rows there are")
    order = permutation(seed, "split folds", 0, len(rows))
    by_class = order[np.argsort(images.labels[rows][order], kind="stable")]
    taken = Parting(images.labels[rows], unit[rows]).deal(by_class, folds) == fold
    return rows[~taken], rows[taken]


def _kept_together(drawn: Rows, unit: Rows) -> list[str]:
    """Say which of the rows that were parted here stayed together; nothing if all stand alone."""
    sizes = np.bincount(unit[drawn])
    several = sizes > 1
    return [f"kept together as twins or groups: {sizes[several].sum():,} rows in {several.sum():,} units"] if several.any() else []
