"""All checks of a data set: what each is given, the order they run in, and what they found together.

A check is a function from Material to the problems it finds, an empty list where it finds none. The first sentence of its docstring says
what it looks at; it stands in the report beside the checks that found nothing.

Severity, one rule for all checks. error: scores would be wrong or mean nothing whatever is trained (labels that name no class, most test images
in train, planes read as pixels). warning: scores may be misled, or a person has to look. note: good to know, nothing to do.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from rung.audit import classes, duplicates, files, groups, odd
from rung.audit.material import Material
from rung.audit.problem import Problem
from rung.data.imageset import ImageSet
from rung.data.split import Splits
from rung.data.twins import Twins

Check = Callable[[Material], list[Problem]]

CHECKS: Final[dict[str, Check]] = {
    "files": files.unusable,
    "exact-duplicates": duplicates.exact,
    "near-duplicates": duplicates.near,
    "classes": classes.uneven,
    "odd-images": odd.unlike,
    "label-range": classes.out_of_range,
    "groups": groups.crossing,
}
QUICK: Final[dict[str, Check]] = {  # what runs before each training: nothing that has to be trained
    "files": files.unusable,
    "exact-duplicates": duplicates.exact,
    "near-duplicates": duplicates.near,
    "classes": classes.uneven,
    "odd-images": odd.unlike,
    "label-range": classes.out_of_range,
    "groups": groups.crossing,
}
_GRAVEST: Final = ("error", "warning", "note")


@dataclass(frozen=True)
class CheckReport:
    """What the checks of one data set found.

    name, hash: of the ImageSet; counts: {part: images}, of the splits that were checked; how: in words how these were made.
    problems: the gravest first, in one severity by the order of the checks. clean: {check: what it looked at} of those that found nothing.
    seconds: {check: how long it took}.
    """

    name: str
    hash: str
    counts: Mapping[str, int]
    how: str
    problems: tuple[Problem, ...]
    clean: Mapping[str, str] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)

    @property
    def errors(self) -> int:
        """How many problems are errors."""
        return sum(problem.severity == "error" for problem in self.problems)

    def to_json(self) -> dict[str, Any]:
        """Return plain values that JSON can hold."""
        return {
            "name": self.name,
            "hash": self.hash,
            "counts": dict(self.counts),
            "how": self.how,
            "problems": [problem.to_json() for problem in self.problems],
            "clean": dict(self.clean),
            "seconds": dict(self.seconds),
        }


def check(
    images: ImageSet,
    splits: Splits,
    twins: Twins,
    *,
    seed: int = 0,
    checks: Mapping[str, Check] = CHECKS,
    progress: Callable[[int, int], None] | None = None,
) -> CheckReport:
    """Run checks on images, their parts and their twins; `progress` is told checks done and checks in all."""
    material = Material(images, splits, twins, seed)
    problems: list[Problem] = []
    clean: dict[str, str] = {}
    seconds: dict[str, float] = {}
    for done, (name, run) in enumerate(checks.items()):
        if progress:
            progress(done, len(checks))
        started = time.perf_counter()
        found = run(material)
        seconds[name] = time.perf_counter() - started
        problems += found
        if not found:
            clean[name] = looked_at(run)
    gravest = sorted(problems, key=lambda problem: _GRAVEST.index(problem.severity))
    return CheckReport(images.name, images.hash(), splits.counts(), splits.how, tuple(gravest), clean, seconds)


def looked_at(check: Check) -> str:
    """Return what a check looks at, in a sentence."""
    return (check.__doc__ or "").strip().split("\n")[0]
