"""Whether a class number means the same in every part."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from rung.audit.material import Material, shown
from rung.audit.problem import Problem
from rung.data.imageset import PARTS, TRAIN
from rung.words import listing, percent, quoted

_FEWEST: Final = 8  # rows of a class in a part, on average
_GAIN: Final = 0.5  # of the rows of the classes concerned that another order must explain beyond the given one, relative to what it explains
_SURE: Final = 6.0  # standard deviations
_LISTED: Final = 4


def differing(material: Material) -> list[Problem]:
    """Class order: whether a class means the same in validation and test as in train, by a probe trained on train."""
    probe = material.probe
    problems = []
    for part in probe.parts:
        rows = np.flatnonzero(probe.part == part)
        if part == TRAIN or TRAIN not in probe.parts or len(rows) < _FEWEST * probe.classes:
            continue
        answers = probe.class_scores((TRAIN,))[rows].argmax(axis=1)
        confusion = np.zeros((probe.classes, probe.classes), np.int64)
        np.add.at(confusion, (probe.labels[rows], answers), 1)
        moved = _moved(confusion)
        if not moved:
            continue
        names = material.images.classes
        label = np.array([pair[0] for pair in moved])
        concerned = np.isin(probe.labels[rows], label)
        as_given = float(np.diag(confusion)[label].sum() / concerned.sum())
        otherwise = float(sum(confusion[pair] for pair in moved) / concerned.sum())
        said = listing([f"{quoted(names[own])} there looks like {quoted(names[meant])} of train" for own, meant in moved[:_LISTED]])
        problems.append(
            Problem(
                "class-order",
                "error",
                f"The classes are in another order in {PARTS[part]} than in train: {said}{' ..' if len(moved) > _LISTED else ''}. A probe fitted on train "
                f"is right on {percent(as_given)} of the images of these {len(moved)} classes as they are labelled, on {percent(otherwise)} in that order.",
                "Number the classes alike in every part, by their names: sort the names once and use that list everywhere.",
                shown([(int(probe.rows[rows[np.flatnonzero(probe.labels[rows] == own)[0]]]),) for own, _ in moved]),
                len(moved),
                {"classes": len(moved), "right_as_given": as_given, "right_in_other_order": otherwise},
            )
        )
    return problems


def _moved(confusion: npt.NDArray[np.int64]) -> list[tuple[int, int]]:
    """Return (label, what it means) of classes that another order explains far better, from rows labelled (down) and answered (across)."""
    from scipy.optimize import linear_sum_assignment

    labels, meant = linear_sum_assignment(-confusion)
    moved = labels[meant != labels]
    gain = confusion[moved, meant[moved]] - confusion[moved, moved]
    explained = confusion[moved, meant[moved]] + confusion[moved, moved]
    if not len(moved) or gain.sum() < _SURE * np.sqrt(explained.sum()) or gain.sum() < _GAIN * explained.sum():
        return []
    clear = gain > _GAIN * explained  # a cycle may pass through classes that are merely confused
    return [(int(label), int(meant[label])) for label in moved[clear]]
