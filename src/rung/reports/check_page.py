"""What the checks of a data set found, as one page with pictures that needs nothing but itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rung.audit.check import CheckReport
from rung.audit.problem import Problem
from rung.data.imageset import PARTS, ImageSet
from rung.data.split import Splits
from rung.reports import pictures
from rung.reports.html import environment
from rung.reports.view_run import FILE_NOTES
from rung.words import duration, listing, plural

_TITLES = {"error": "Error", "warning": "Warning", "note": "Note"}


def render(report: CheckReport, images: ImageSet | None, splits: Splits | None = None) -> str:
    """Return the page as HTML; images: those that were checked, None where they could not be read; splits: the parts that stand below pictures.

    All that comes from a user is escaped.
    """
    part_of = {} if splits is None else {int(row): part for part in PARTS for row in getattr(splits, part)}
    view = {
        "report": report,
        "verdict": verdict(report),
        "titles": _TITLES,
        "problems": [{"problem": problem, "groups": _groups(problem, images, part_of), "shown": _shown(problem)} for problem in report.problems],
        "facts": _facts(report),
        "unasked": {cause: [name for name, by in report.unasked.items() if by == cause] for cause in report.unasked.values()},
        "file_notes": [(title, notes) for title, field in FILE_NOTES.items() if images is not None and (notes := getattr(images, field))],
        "total_time": duration(sum(report.seconds.values())),
    }
    return environment().get_template("check.html").render(view)


def verdict(report: CheckReport) -> str:
    """Return in a sentence or two whether the data can be trained on as they are."""
    counts = {severity: sum(problem.severity == severity for problem in report.problems) for severity in _TITLES}
    said = listing([plural(number, severity) for severity, number in counts.items() if number])
    if counts["error"]:
        return f"Not fit for training as it is: {said}."
    if counts["warning"]:
        return f"Fit for training, with care: {said}."
    return f"Fit for training: no error and no warning{f', {said}' if said else ''}."


def _facts(report: CheckReport) -> list[str]:
    return [f"{part}: {plural(number, 'image')}" for part, number in report.counts.items()]


def _groups(problem: Problem, images: ImageSet | None, part_of: Mapping[int, str]) -> list[list[dict[str, Any]]]:
    """Return the evidence as groups of pictures, each with its class, its part and where it came from."""
    if images is None:
        return []
    return [[_picture(images, row) | {"remark": problem.remarks.get(row, ""), "part": part_of.get(row, "")} for row in group] for group in problem.groups]


def _picture(images: ImageSet, row: int) -> dict[str, Any]:
    label = int(images.labels[row])
    name = images.classes[label] if 0 <= label < len(images.classes) else f"label {label}"
    return {"image": pictures.image_uri(images.images[row]), "name": name, "source": images.sources[row]}


def _shown(problem: Problem) -> str:
    """Say how many of the images, pairs or groups found are shown, where not all are."""
    if not problem.groups or len(problem.groups) >= problem.count:
        return ""
    size = max(map(len, problem.groups))
    what = "groups" if problem.check == "groups" or size > 2 else ("images", "pairs")[size - 1]
    return f"{len(problem.groups)} of {problem.count:,} {what} are shown."
