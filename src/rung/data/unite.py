"""Several sources as one: classes are united by name, rows keep the root they came from."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from rung.data.classes import natural
from rung.data.found import Found
from rung.data.parts import part_of, part_of_file
from rung.errors import DataError


def unite(found: Sequence[Found]) -> list[Found]:
    """Return the sources with the same classes and with row names that are unique.

    One source keeps the order of its classes; those of several are in natural order of their names. Of several sources,
    one that names no parts itself and is called train.., val.. or test.. is that part.
    Raises: DataError for a source that is given twice or lies in another.
    """
    if len(found) == 1:
        return list(found)
    _check_apart(found)
    found = [_renamed(f, name) for f, name in zip(found, _unique_names(found), strict=True)]
    classes = tuple(sorted({c for f in found for c in f.classes}, key=natural))
    groups: dict[str, set[str | None]] = {c: set() for c in classes}
    for f in found:
        for k, c in enumerate(f.classes):
            groups[c].add(f.coarse[k] if f.coarse else None)
    coarse = tuple(next(iter(groups[c])) if len(groups[c]) == 1 else None for c in classes)
    position = {c: k for k, c in enumerate(classes)}
    return [f.relabel(np.array([position[c] for c in f.classes], np.int64), classes, coarse) for f in found]


def _check_apart(found: Sequence[Found]) -> None:
    origins = sorted(f.origin for f in found if f.origin)
    for one, other in pairwise(origins):
        if one == other or other.startswith(one + os.sep):
            raise DataError(f"{other} is given twice" if one == other else f"{other} lies in {one}, which is given too: give one of them")
    for name, times in Counter(f.name for f in found if not f.origin).items():
        if times > 1:
            raise DataError(f"{name} is given {times} times: give it once")


def _unique_names(found: Sequence[Found]) -> list[str]:
    times = Counter(f.name for f in found)
    names = [f.name for f in found]
    for k, f in enumerate(found):
        if times[f.name] > 1 and f.origin:
            names[k] = f"{os.path.basename(os.path.dirname(f.origin))}/{f.name}"
    return [name if names.count(name) == 1 else f"{name}#{k + 1}" for k, name in enumerate(names)]


def _renamed(found: Found, name: str) -> Found:
    part = (part_of_file if os.path.isfile(found.origin) else part_of)(found.name) if found.flat else None
    return replace(
        found,
        name=name,
        sources=[f"{name}/{source}" for source in found.sources],
        root_names=(name,) if len(found.root_names) == 1 else tuple(f"{name}/{root}" for root in found.root_names),
        parts=found.parts if part is None else np.full(len(found), part, np.int8),
        refused=tuple(replace(r, path=f"{name}/{r.path}") for r in found.refused),
        repaired=tuple(replace(r, path=f"{name}/{r.path}") for r in found.repaired),
    )
