"""The same image twice where it must not be: in two classes (one label is wrong, and nothing says which), or in train and in a part that judges."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from rung.data.files import Fitted
from rung.data.found import Found, Refused
from rung.data.imageset import PARTS, TEST, TRAIN, VALIDATION, ImageSet, grey_rows


def without_contradictions(sources: Sequence[Found], fitted: Sequence[Fitted]) -> tuple[list[Found], list[Fitted], list[Refused], list[str]]:
    """Leave out images that are there twice or more, pixel for pixel, in different classes; those of official sets stay, with a warning.

    Blank images stay too: two of them are equal whatever they should have shown, and that they are blank is said elsewhere.

    Row k of a source is row k of what was fitted of it. Returns sources and images that remain, what was left out, and warnings.
    """
    digests, labels = np.concatenate([f.digests for f in fitted]), np.concatenate([f.labels for f in sources])
    official = np.repeat([f.official for f in sources], [len(f) for f in sources])
    names = [name for f in sources for name in f.sources]
    classes = sources[0].classes
    groups = [rows for rows in _groups(digests, labels) if not _is_blank(fitted, rows[0])] if len(labels) else []
    if not groups:
        return list(sources), list(fitted), [], []
    keep = np.ones(len(labels), dtype=bool)
    refused, stay = [], []
    for rows in groups:
        if official[rows].any():
            stay.append(rows)
            continue
        keep[rows] = False
        for row in rows:
            other = rows[-1] if labels[row] != labels[rows[-1]] else rows[0]
            refused.append(Refused(names[row], f"is the same image as {names[other]}, which is of class '{classes[labels[other]]}'", int(labels[row])))
    warnings = []
    if stay:
        one, other = stay[0][0], stay[0][-1]
        example = f"{names[one]} of '{classes[labels[one]]}' and {names[other]} of '{classes[labels[other]]}'"
        warnings.append(f"{len(stay)} images are there in two classes (such as {example}): they stay, for the set is an official one")
    ends = np.cumsum([len(f) for f in sources])
    own = [np.flatnonzero(keep[end - len(f) : end]) for f, end in zip(sources, ends, strict=True)]
    left = [_taken(f, rows) for f, rows in zip(fitted, own, strict=True)]
    return [f.take(rows) for f, rows in zip(sources, own, strict=True)], left, refused, warnings


def shared_with_train(images: ImageSet) -> list[str]:
    """Return a warning for each given part that holds images which are in train too, pixel for pixel."""
    warnings = []
    trained = np.flatnonzero(images.parts == TRAIN)
    for part in (VALIDATION, TEST):
        rows = np.flatnonzero(images.parts == part)
        rows = rows[np.isin(images.digests[rows], images.digests[trained])]
        if len(rows):
            twin = trained[np.flatnonzero(images.digests[trained] == images.digests[rows[0]])[0]]
            warnings.append(
                f"{len(rows)} {PARTS[part]} images are in train too, pixel for pixel (such as {images.sources[rows[0]]}, which is {images.sources[twin]})"
            )
    return warnings


def _groups(digests: npt.NDArray[np.int64], labels: npt.NDArray[np.int64]) -> list[npt.NDArray[np.int64]]:
    """Return the rows of each image that has several labels, by their labels."""
    order = np.lexsort((labels, digests))
    starts = np.flatnonzero(np.concatenate([[True], digests[order][1:] != digests[order][:-1]]))
    ends = np.append(starts[1:], len(order))
    several = np.flatnonzero(labels[order[starts]] != labels[order[ends - 1]])
    return [order[starts[k] : ends[k]] for k in several]


def _is_blank(fitted: Sequence[Fitted], row: int) -> bool:
    """Return whether all pixels of a row of all sources, counted through, are equal."""
    for own in fitted:
        if row < len(own.images):
            return bool((own.images[row] == own.images[row][0, 0]).all())
        row -= len(own.images)
    raise IndexError(row)


def _taken(fitted: Fitted, rows: npt.NDArray[np.int64]) -> Fitted:
    if len(rows) == len(fitted.rows):
        return fitted
    gone = np.setdiff1d(np.arange(len(fitted.rows)), rows)
    return replace(
        fitted,
        images=fitted.images[rows],
        rows=fitted.rows[rows],
        digests=fitted.digests[rows],
        grey=fitted.grey - int(grey_rows(fitted.images[gone]).sum()),
        facts=None if fitted.facts is None else fitted.facts[rows],
    )
