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

from rung.audit import classes, drift, duplicates, files, groups, labels, layout, odd, order, power, shortcuts, shuffled
from rung.audit.material import Material
from rung.audit.problem import Problem
from rung.data.imageset import FileNote, ImageSet
from rung.data.split import Splits
from rung.data.twins import Twins
from rung.errors import DataError

Check = Callable[[Material], list[Problem]]

CHECKS: Final[dict[str, Check]] = {
    "files": files.unusable,
    "exact-duplicates": duplicates.exact,
    "near-duplicates": duplicates.near,
    "classes": classes.uneven,
    "class-order": order.differing,
    "label-errors": labels.likely_errors,
    "odd-images": odd.unlike,
    "layout": layout.layout,
    "shuffled-labels": shuffled.shuffled,
    "label-range": classes.out_of_range,
    "shortcuts": shortcuts.shortcuts,
    "drift": drift.drift,
    "groups": groups.together,
    "test-size": power.test_size,
}
QUICK: Final[dict[str, Check]] = {  # what runs before each training: nothing that has to be trained, or that reading the data warns of already
    "exact-duplicates": duplicates.exact,
    "near-duplicates": duplicates.near,
    "classes": classes.imbalanced,
    "odd-images": odd.scaled,
    "layout": layout.scrambled,
    "label-range": classes.out_of_range,
    "groups": groups.crossing,
}
_TRAINED: Final = ("class-order", "shuffled-labels", "label-errors", "shortcuts", "drift")
_EXPLAINS: Final[dict[str, tuple[str, ...]]] = {  # after an error of the one, what the others would say means nothing; in the order they have to run
    "label-range": ("exact-duplicates", "near-duplicates", "layout", *_TRAINED, "test-size"),
    "odd-images": ("layout", *_TRAINED),  # negatives look as if red and blue were exchanged
    "layout": _TRAINED,
}
_ENOUGH: Final[dict[str, Callable[[Material], bool]]] = {  # whether there are images enough for a check to look at anything
    "label-errors": labels.enough,
    "shuffled-labels": shuffled.enough,
}
_GRAVEST: Final = ("error", "warning", "note")


@dataclass(frozen=True)
class CheckReport:
    """What the checks of one data set found.

    name, hash: of the ImageSet; counts: {part: images}, of the splits that were checked; how: in words how these were made.
    problems: the gravest first, in one severity by the order of the checks. clean: {check: what it looked at} of those that found nothing.
    unasked: {check: the check whose error has to be mended before this one means anything}. seconds: {check: how long it took}.
    dropped, repaired: as ImageSet has them, every file that was left out, or read otherwise than it lies there.
    """

    name: str
    hash: str
    counts: Mapping[str, int]
    how: str
    problems: tuple[Problem, ...]
    clean: Mapping[str, str] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)
    dropped: tuple[FileNote, ...] = ()
    repaired: tuple[FileNote, ...] = ()
    unasked: Mapping[str, str] = field(default_factory=dict)
    too_few: tuple[str, ...] = ()

    @property
    def errors(self) -> int:
        """How many problems are errors."""
        return sum(problem.severity == "error" for problem in self.problems)

    @property
    def left_out(self) -> int:
        """How many files were left out while reading."""
        return len(self.dropped)

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
            "dropped": [{"path": note.path, "reason": note.reason} for note in self.dropped],
            "repaired": [{"path": note.path, "reason": note.reason} for note in self.repaired],
            "unasked": dict(self.unasked),
            "too_few": list(self.too_few),
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
    found: dict[str, list[Problem]] = {}
    seconds: dict[str, float] = {}
    unasked: dict[str, str] = {}
    for done, name in enumerate(sorted(checks, key=_turn)):
        if progress:
            progress(done, len(checks))
        if name in unasked:
            continue
        started = time.perf_counter()
        found[name] = checks[name](material)
        seconds[name] = time.perf_counter() - started
        if any(problem.severity == "error" for problem in found[name]):
            unasked |= {other: name for other in _EXPLAINS.get(name, ()) if other in checks and other not in unasked}
    problems = [problem for name in checks for problem in found.get(name, [])]
    problems.sort(key=lambda problem: _GRAVEST.index(problem.severity))
    nothing = [name for name in checks if name in found and not found[name]]
    too_few = tuple(name for name in nothing if name in _ENOUGH and not _ENOUGH[name](material))
    clean = {name: looked_at(checks[name]) for name in nothing if name not in too_few}
    how = splits.how
    return CheckReport(images.name, images.hash(), splits.counts(), how, tuple(problems), clean, seconds, images.dropped, images.repaired, unasked, too_few)


def _turn(name: str) -> int:
    """Return a number that is lower for checks that have to run before others."""
    return list(_EXPLAINS).index(name) if name in _EXPLAINS else len(_EXPLAINS)


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
