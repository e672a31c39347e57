"""Images that are there twice: exact copies and near ones, inside and across parts and classes."""

from __future__ import annotations

from rung.audit.material import Material, across, shown
from rung.audit.problem import Problem


def exact(material: Material) -> list[Problem]:
    """Images that are there twice, pixel for pixel: in one part, in two parts, in two classes."""
    pairs = material.twins.pairs[material.twins.exact]
    problems = []
    for low, high, between in across(pairs, material.part_of()):
        if len(between):
            problems.append(
                Problem(
                    "exact-duplicates",
                    "warning",
                    f"{len(between)} pairs of equal images lie between {low} and {high}.",
                    f"Leave the copies out of {low}: --set data.drop_twins=true.",
                    shown(between),
                    len(between),
                )
            )
    return problems
