"""Files that could not be used, and files that are odd in size or shape."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt

from rung.audit.material import Material, shown
from rung.audit.problem import Problem, Severity
from rung.words import listing, plural

NAME: Final = "files"
_TINY_PIXELS: Final = 8
_GIANT_PIXELS: Final = 50_000_000
_GIANT_BYTES: Final = 50 * 2**20
_LONG: Final = 20  # times as long as wide
_SOME: Final = 0.01  # share of images enlarged beyond which it is said
_KINDS: Final = {  # what reasons say, in the words of the reader that gave them; the first that fits
    "is the same image as": "are there in two classes",
    "^is of class .* and of class": "stand in a table with two classes",
    "Git LFS": "are Git LFS pointers",
    "web page": "are web pages",
    r"empty|0 bytes": "are empty",
    r"cut short|truncated|damaged": "are damaged or cut short",
    r"pixels|MB": "are too large",
    r"NaN|finite": "hold values that are no numbers",
    r"permission|regular file|link": "cannot be read from the disk",
    r"plug-in|known format": "are of a format that is not read",
}


def unusable(material: Material) -> list[Problem]:
    """Files: unreadable, cut short, pointers instead of images, tiny, giant, very long or enlarged ones."""
    return [*_left_out(material), *_repaired(material), *_odd(material)]


def _left_out(material: Material) -> Iterator[Problem]:
    dropped = material.images.dropped
    if not dropped:
        return
    kinds = Counter(next((words for sign, words in _KINDS.items() if re.search(sign, note.reason)), "cannot be used") for note in dropped)
    said = listing([f"{number:,} {words}" for words, number in kinds.most_common()])
    yield Problem(
        NAME,
        "warning",
        f"{plural(len(dropped), 'file')} {'was' if len(dropped) == 1 else 'were'} left out: {said} (such as {dropped[0].path}: {dropped[0].reason}).",
        "Get them again, or remove them; all are listed with their reasons.",
        count=len(dropped),
        numbers={"files": len(dropped), **{f"files_that_{words.replace(' ', '_')}": number for words, number in kinds.items()}},
    )


def _repaired(material: Material) -> Iterator[Problem]:
    repaired = material.images.repaired
    if repaired:
        yield Problem(
            NAME,
            "note",
            f"{plural(len(repaired), 'file')} {'was' if len(repaired) == 1 else 'were'} read otherwise than {'it lies' if len(repaired) == 1 else 'they lie'} "
            f"there, or ignored (such as {repaired[0].path}: {repaired[0].reason}).",
            "All are listed with what was done; save them anew if it was not right.",
            count=len(repaired),
            numbers={"files": len(repaired)},
        )


def _odd(material: Material) -> Iterator[Problem]:
    """Judge each image by what its file says of itself; there are no such facts of images that come from arrays."""
    facts = material.images.facts
    if facts is None:
        return
    known = facts["height"] > 0
    short, long = np.minimum(facts["height"], facts["width"]), np.maximum(facts["height"], facts["width"])
    pixels = facts["height"].astype(np.int64) * facts["width"]
    side = material.images.images.shape[1]
    yield from _some(
        known & (short < _TINY_PIXELS), "warning", "less than 8 pixels wide or high", "They show next to nothing: remove them, or get the originals."
    )
    small = known & (short >= _TINY_PIXELS) & (2 * short <= side)
    if small.sum() > _SOME * max(1, known.sum()):
        advice = "If such images are more common in one class or part, their blur gives it away: use a smaller pixels.size, or get the originals."
        yield from _some(small, "note", f"enlarged to twice their size or more to be {side} pixels a side", advice)
    advice = "They make reading slow; shrink the files if that matters."
    yield from _some(known & ((pixels > _GIANT_PIXELS) | (facts["bytes"] > _GIANT_BYTES)), "note", "of more than 50 million pixels or 50 MB", advice)
    advice = "Made square, little of them can be seen: set pixels.fit to crop or pad, or leave them out."
    yield from _some(known & (long > _LONG * short), "warning", f"more than {_LONG} times as long as wide", advice)


def _some(which: npt.NDArray[np.bool_], severity: Severity, what: str, advice: str) -> Iterator[Problem]:
    rows = np.flatnonzero(which)
    if len(rows):
        are = "image is" if len(rows) == 1 else "images are"
        yield Problem(
            NAME,
            severity,
            f"{len(rows):,} {are} {what}.",
            advice,
            shown([(int(row),) for row in rows]),
            len(rows),
            {"images": len(rows)},
        )
