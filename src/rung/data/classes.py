"""Class names: their order, their spelling, and picking, merging and renaming classes."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from rung.errors import DataError, RecipeError, did_you_mean


def natural(name: str) -> tuple[list[str | int], str]:
    """Return the sorting key by which "2" comes before "10" and case does not count."""
    pieces = re.split(r"(\d+)", name.casefold())
    return [int(p) if i % 2 else p for i, p in enumerate(pieces)], name


def shown(name: str) -> str:
    """Return a file system name as text that UTF-8 can hold: bytes that are not UTF-8 appear as \\xNN."""
    return name if name.isascii() else name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def class_name(folder: str) -> str:
    """Return the class that a folder names; both Unicode forms of an accent are one name."""
    return unicodedata.normalize("NFC", shown(folder))


def folded(name: str) -> str:
    """Return the name without case, accents, spaces, hyphens and underscores: what two spellings of one name share."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", name) if not unicodedata.combining(c))
    return re.sub(r"[\s_-]+", "", plain).casefold()


def parse(text: str, known: Sequence[str], field: str = "data.classes") -> dict[str, tuple[str, ...]]:
    """Read "pet=cat,dog; bird" or "cat,dog": the classes wanted, each with the classes of the data that it takes; field: of the recipe, in messages.

    Raises: RecipeError for a name that the data do not have, used twice, or empty.
    """
    wanted: dict[str, tuple[str, ...]] = {}
    for entry in filter(None, (e.strip() for e in text.split(";"))):
        if entry in known:
            pairs: list[tuple[str, tuple[str, ...]]] = [(entry, (entry,))]
        elif "=" in entry:
            made, _, listed = entry.partition("=")
            pairs = [(made.strip(), tuple(filter(None, (o.strip() for o in listed.split(",")))))]
        else:
            pairs = [(name, (name,)) for name in filter(None, (n.strip() for n in entry.split(",")))]
        for new, old in pairs:
            if not new or not old:
                raise RecipeError(f"{field}: '{entry}' needs a name and at least one class, such as 'pet=cat,dog'")
            if new in wanted:
                raise RecipeError(f"{field} makes '{new}' twice: write its classes once, '{new}=first,second'")
            wanted[new] = old
    taken: set[str] = set()
    for name in (name for names in wanted.values() for name in names):
        if name not in known:
            raise RecipeError(f"{field} asks for '{name}', which the data do not have: {did_you_mean(name, known)}")
        if name in taken:
            raise RecipeError(f"{field} uses '{name}' twice: an image can have one class only")
        taken.add(name)
    if not wanted:
        raise RecipeError(f"{field} = '{text}' names no class: write 'cat; dog' or 'pet=cat,dog; bird'")
    return wanted


def mapping(wanted: Mapping[str, Sequence[str]], known: Sequence[str]) -> tuple[tuple[str, ...], npt.NDArray[np.int64]]:
    """Return the wanted names in natural order, and for each known class its index there (int64, -1: not wanted)."""
    classes = tuple(sorted(wanted, key=natural))
    to = np.full(len(known), -1, dtype=np.int64)
    for index, name in enumerate(classes):
        for old in wanted[name]:
            to[known.index(old)] = index
    return classes, to


def check_spelling(classes: Sequence[str], presence: npt.NDArray[np.bool_], root_names: Sequence[str]) -> list[str]:
    """Return warnings about names alike within one root; presence is bool (K,R), which class lies in which root.

    Raises: DataError where two roots spell one name in two ways.
    """
    warnings = []
    by_fold: dict[str, list[int]] = {}
    for index, name in enumerate(classes):
        by_fold.setdefault(folded(name), []).append(index)
    for alike in (group for group in by_fold.values() if len(group) > 1):
        for a, b in ((a, b) for i, a in enumerate(alike) for b in alike[i + 1 :]):
            if (presence[a] & presence[b]).any():
                warnings.append(f"the classes '{classes[a]}' and '{classes[b]}' differ only by case, spaces or accents: are they one?")
            else:
                in_a, in_b = (root_names[int(presence[k].argmax())] for k in (a, b))
                raise DataError(
                    f"class names differ between {in_a} and {in_b}: '{classes[a]}' there, closest match '{classes[b]}' here: "
                    f"give both one spelling, or merge them with data.classes",
                    "classes",
                )
    return warnings
