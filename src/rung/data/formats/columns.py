"""Which columns of a table are images, labels, parts and groups: by their names, or as the recipe says."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from rung.data.classes import folded, natural
from rung.errors import DataError, did_you_mean
from rung.recipe import Data

_LEAST_PIXELS = 16  # numbered columns; fewer of a kind are no image

# As `folded` makes them: case, spaces, hyphens and underscores do not count.
_KNOWN = {
    "image": (
        "image", "img", "picture", "photo", "path", "file", "filename", "filepath", "imagepath", "imagefile", "imagefilename", "imagename", "imgpath",
        "imagefilepath", "relativepath",
    ),
    "label": ("label", "labels", "class", "classname", "category", "target", "labelname", "finelabel", "species", "y"),
    "part": ("split", "part", "subset", "partition"),
    "group": ("group", "groupid", "subject", "subjectid", "patient", "patientid"),
}  # fmt: skip


@dataclass(frozen=True)
class Columns:
    """Names of the columns of one table. images: one column of paths or encoded images, or all pixel columns in their order."""

    images: tuple[str, ...]
    are_pixels: bool
    label: str
    part: str | None
    group: str | None
    remarks: tuple[str, ...] = ()


def find(names: Sequence[str], data: Data, origin: str, encoded: Collection[str] = ()) -> Columns:
    """Return what the columns `names` of the table `origin` are; `encoded` are those that hold encoded images.

    Raises: DataError where a column is missing, named twice, or several fit, naming the option.
    """
    twice = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    if twice:
        raise DataError(f"{origin} has two columns '{twice[0]}': give each its own name")
    label = _one("label", names, data.label_column, origin)
    part = _one("part", names, data.part_column, origin, needed=False)
    group = _one("group", names, data.group_column, origin, needed=False)
    rest = [name for name in names if name not in (label, part, group)]
    assert label is not None
    images, remarks = _images(rest, data, origin, encoded)
    if group is not None and data.group_column is None:
        given = f"; the parts that '{part}' gives are left as they are" if part is not None else ""
        remarks += (f"in parts that rung draws, rows of {origin} with the same '{group}' stay together{given}",)
    return Columns(images, len(images) > 1, label, part, group, remarks)


def _one(role: str, names: Sequence[str], wanted: str | None, origin: str, needed: bool = True) -> str | None:
    option = f"data.{role}_column"
    if wanted == "" and not needed:
        return None
    if wanted is not None:
        if wanted not in names:
            raise DataError(f"{option} = '{wanted}' is no column of {origin}: {did_you_mean(wanted, _shortened(names))}")
        return wanted
    fitting = [name for name in names if folded(name) in _KNOWN[role]]
    if len(fitting) > 1:
        raise DataError(f"{origin} has {len(fitting)} columns that could be the {role}: {', '.join(fitting)}; say which with --set {option}={fitting[0]}")
    if not fitting and needed:
        raise DataError(f"{origin} has no column of {role}s that rung knows by its name, only {', '.join(_shortened(names))}: name it with --set {option}=..")
    return fitting[0] if fitting else None


def _images(rest: Sequence[str], data: Data, origin: str, encoded: Collection[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the column of images, or the pixel columns, and remarks."""
    pixels, remarks = _pixel_columns(rest, origin)
    if data.image_column is not None and data.image_column not in rest:
        own = tuple(name for name in pixels if re.sub(r"\d.*", "", name) == data.image_column)
        if own:
            return own, remarks
    if data.image_column is None:
        held = [name for name in rest if name in encoded]
        fitting = held or [name for name in rest if folded(name) in _KNOWN["image"]]
        if pixels and fitting:
            start = re.sub(r"\d.*", "", pixels[0])
            raise DataError(
                f"{origin} has pixel columns ({pixels[0]} .. {pixels[-1]}) and a column '{fitting[0]}': say which holds the images with "
                f"--set data.image_column={start} or --set data.image_column={fitting[0]}"
            )
        if pixels:
            return pixels, remarks
        if len(held) == 1:
            return (held[0],), ()
    one = _one("image", rest, data.image_column, origin)
    assert one is not None
    return (one,), ()


def _pixel_columns(rest: Sequence[str], origin: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the numbered columns of the commonest kinds (pixel0 .., or r0 .., g0 .., b0 .. alike), and remarks on their order."""
    kinds: dict[str, list[str]] = defaultdict(list)
    for name in rest:
        kinds[re.sub(r"\d+", "#", name)].append(name)
    most = max((len(columns) for kind, columns in kinds.items() if "#" in kind), default=0)
    if most < _LEAST_PIXELS:
        return (), ()
    columns = [columns for kind, columns in kinds.items() if "#" in kind and len(columns) == most]
    if len(columns) > 1:
        kept = {name for names in columns for name in names}
        return tuple(name for name in rest if name in kept), ()
    ordered = sorted(columns[0], key=natural)
    moved = next((name for name, other in zip(columns[0], ordered, strict=True) if name != other), None)
    remarks = (f"the pixel columns of {origin} are out of order ('{moved}' comes too early): they were taken by their numbers",) if moved else ()
    return tuple(ordered), remarks


def _shortened(names: Sequence[str]) -> list[str]:
    return list(names) if len(names) <= 12 else [*names[:10], "..", names[-1]]
