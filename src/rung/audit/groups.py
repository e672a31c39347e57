"""Rows of one group (the same subject, the same burst) that lie in different parts."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from rung.audit import bursts
from rung.audit.material import SHOWN, Material, of_share, shown
from rung.audit.problem import Problem
from rung.data.imageset import PARTS
from rung.words import percent, plural


def together(material: Material) -> list[Problem]:
    """Groups of rows that belong together (same subject, same burst) and are in two parts: by their names, else by numbered files that look alike."""
    return list(bursts.crossing(material)) if material.images.groups is None else crossing(material)


def crossing(material: Material) -> list[Problem]:
    """Groups of rows that belong together (same subject, same burst) and are in more than one part."""
    groups, part = material.images.groups, material.part_of()
    if groups is None:
        return []
    problems = []
    for low, high in ((0, 2), (1, 2), (0, 1)):
        both = np.intersect1d(groups[part == low], groups[part == high])
        if not len(both):
            continue
        theirs = part == high
        rows = int((np.isin(groups, both) & theirs).sum())
        share = rows / int(theirs.sum())
        severity = of_share(share)
        evidence = [(_first(groups, part, group, low), _first(groups, part, group, high)) for group in both[:SHOWN]]
        problems.append(
            Problem(
                "groups",
                severity,
                f"{plural(len(both), 'group')} {'is' if len(both) == 1 else 'are'} in {PARTS[low]} and in {PARTS[high]}: "
                f"{rows:,} of {plural(int(theirs.sum()), f'{PARTS[high]} image')} ({percent(share)}) have company in {PARTS[low]}.",
                f"Scores on {PARTS[high]} lean to the optimistic side. Let rung make the parts, which keeps groups whole (where a column of a table gives "
                "them: --set data.part_column=''), or move each group into one part.",
                shown(evidence),
                len(both),
                {"groups": len(both), "rows": rows, "share": share},
            )
        )
    return problems


def _first(groups: npt.NDArray[np.int64], part: npt.NDArray[np.int8], group: int, number: int) -> int:
    return int(np.flatnonzero((groups == group) & (part == number))[0])
