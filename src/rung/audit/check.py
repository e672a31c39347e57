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
from rung.errors import DataError

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
QUICK: Final[dict[str, Check]] = {  # what runs before each training: nothing that has to be trained, or that reading the data warns of already
    "exact-duplicates": duplicates.exact,
    "near-duplicates": duplicates.near,
    "classes": classes.imbalanced,
    "odd-images": odd.scaled,
    "label-range": classes.out_of_range,
    "groups": groups.crossing,
}
_GRAVEST: Final = ("error", "warning", "note")


@dataclass(frozen=True)
class CheckReport:
    """What the checks of one data set found.

    name, hash: of the ImageSet; counts: {part: images}, of the splits that were checked; how: in words how these were made.
    problems: the gravest first, in one severity by the order of the checks. clean: {check: what it looked at} of those that found nothing.
    seconds: {check: how long it took}. left_out: files that were left out while reading.
    """

    name: str
    hash: str
    counts: Mapping[str, int]
    how: str
    problems: tuple[Problem, ...]
    clean: Mapping[str, str] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)
    left_out: int = 0

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
            "left_out": self.left_out,
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
    return CheckReport(images.name, images.hash(), splits.counts(), splits.how, tuple(gravest), clean, seconds, len(images.dropped))


def refused(name: str, error: DataError) -> CheckReport:
    """Return what is known of data that could not be loaded at all: one error, named by the check that looks for it.

    Raises: the error itself where no check does, for then the data were not there, or were not asked for rightly.
    """
    if not error.check:
        raise error
    problem = Problem(error.check, "error", f"The data cannot be used: {error}.", "Mend this first; nothing else was looked at.", count=1)
    return CheckReport(name, "", {}, "", (problem,))


def looked_at(check: Check) -> str:
    """Return what a check looks at, in a sentence."""
    return (check.__doc__ or "").strip().split("\n")[0]
