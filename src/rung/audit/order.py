"""Whether a class number means the same in every part."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from rung.audit.material import Material, Misplaced, shown
from rung.audit.probe import Probe
from rung.audit.problem import Problem
from rung.data.imageset import PARTS, TRAIN
from rung.words import listing, percent, quoted

NAME: Final = "class-order"
_FEWEST: Final = 8  # rows of a class in a part, on average
_CLEARLY: Final = 20.0  # log likelihood ratio from which classes are said to be numbered otherwise, with as much again as the choice among numberings gives
_LISTED: Final = 4

Counts = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


def differing(material: Material) -> list[Problem]:
    """Class order: whether a class means the same in validation and test as in train, by a probe trained on train."""
    return [found.problem for _, found in renumbered(material)]


def renumbered(material: Material) -> list[tuple[int, Misplaced]]:
    """Return the parts, as indices into PARTS, that number their classes otherwise than train, with the rows of the classes concerned."""
    probe = material.probe
    if TRAIN not in probe.parts or len(np.unique(probe.labels)) < 2:
        return []
    found = []
    for part in probe.parts:
        where = np.flatnonzero(probe.part == part)
        if part != TRAIN and len(where) >= _FEWEST * probe.classes:
            there, here = _answers(probe, np.flatnonzero(probe.part == TRAIN)), _answers(probe, where)
            moved, gain = _moved(there, here)
            if moved:
                found.append((part, _misplaced(material, part, moved, here, gain)))
    return found


def _answers(probe: Probe, where: Ints) -> Counts:
    """Return how often the probe, fitted on train, says each class (across) of the images labelled as each class (down), float64 (K,K)."""
    found = np.zeros((probe.classes, probe.classes))
    np.add.at(found, (probe.labels[where], probe.said(where, (TRAIN,))), 1)
    return found


def _moved(there: Counts, here: Counts) -> tuple[list[tuple[int, int]], float]:
    """Return (label, what it means), the clearest first, of classes whose images are answered as train images of another class are, and how likely.

    The second value is the log likelihood ratio of that numbering against that given. It has to be better, too, than labels that mean nothing.
    """
    from scipy.optimize import linear_sum_assignment

    likelihood = here @ np.log((there + 0.5) / (there + 0.5).sum(1, keepdims=True)).T  # (class here, class there)
    blind = here @ np.log((here.sum(0) + 0.5) / (here.sum(0) + 0.5).sum())
    own = np.arange(len(here))
    _, meant = linear_sum_assignment(likelihood, maximize=True)
    gain, best = likelihood[own, meant] - likelihood[own, own], likelihood[own, meant]
    moved: list[int] = []
    for cycle in _cycles(meant):
        clearly = _CLEARLY + 2 * len(cycle) * np.log(len(here))
        answered = here[cycle, meant[cycle]].sum() > here[cycle, cycle].sum()
        if len(cycle) > 1 and gain[cycle].sum() >= clearly and (best - blind)[cycle].sum() >= clearly and answered:
            moved += cycle
    moved.sort(key=lambda label: -gain[label])
    return [(label, int(meant[label])) for label in moved if here[label].any()], float(gain[moved].sum())


def _cycles(permutation: Ints) -> list[list[int]]:
    """Return the cycles of a permutation of 0..K-1, each as its members in turn."""
    left, found = set(range(len(permutation))), []
    while left:
        cycle = [min(left)]
        while (following := int(permutation[cycle[-1]])) != cycle[0]:
            cycle.append(following)
        left -= set(cycle)
        found.append(cycle)
    return found


def _misplaced(material: Material, part: int, moved: list[tuple[int, int]], here: Counts, gain: float) -> Misplaced:
    probe, names = material.probe, material.images.classes
    labels = np.array([label for label, _ in moved])
    positions = np.flatnonzero((probe.part == part) & np.isin(probe.labels, labels))
    as_given = float(here[labels, labels].sum() / len(positions))
    otherwise = float(sum(here[pair] for pair in moved) / len(positions))
    said = listing([f"{quoted(names[own])} there looks like {quoted(names[meant])} of train" for own, meant in moved[:_LISTED]])
    examples = [int(probe.rows[positions[probe.labels[positions] == own][0]]) for own, _ in moved]
    problem = Problem(
        NAME,
        "error",
        f"The classes are in another order in {PARTS[part]} than in train: {said}{' ..' if len(moved) > _LISTED else ''}. A probe fitted on train "
        f"is right on {percent(as_given)} of the images of these {len(moved)} classes as they are labelled, on {percent(otherwise)} in that order.",
        "Number the classes alike in every part, by their names: sort the names once and use that list everywhere.",
        shown([(row,) for row in examples]),
        len(moved),
        {"classes": len(moved), "rows": len(positions), "right_as_given": as_given, "right_in_other_order": otherwise, "log_likelihood_ratio": gain},
        {row: f"looks like {names[meant]}" for row, (_, meant) in zip(examples, moved, strict=True)},
    )
    return Misplaced(positions, problem)
