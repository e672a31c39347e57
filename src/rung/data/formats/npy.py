"""Images and labels in .npy files that lie beside each other: x.npy and y.npy, x_train.npy and y_train.npy, images.npy and labels.npy.

A file's name says what it holds: x, images or data; y, labels or targets; classes. The rest of the name may say the part.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from io import BufferedReader
from math import prod
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from rung.data.drive import SteadyFile
from rung.data.formats import arrays
from rung.data.found import Found
from rung.data.imageset import PARTS, TRAIN
from rung.data.parts import part_of
from rung.errors import DataError
from rung.recipe import Layout

_ROLES = {"x": "images", "images": "images", "image": "images", "data": "images"} | dict.fromkeys(("y", "labels", "label", "targets", "target"), "labels")
_ROLES |= {"classes": "classes"}
_READERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


class Name(NamedTuple):
    """What the name of an array says: "images", "labels" or "classes", and of which part ("" for classes)."""

    role: str
    part: str


def read(paths: Sequence[Path], name: str, layout: Layout) -> Found:
    """Return the .npy files of one folder as one source; a single file of images brings the labels that lie beside it.

    Raises: DataError where a name says nothing, a partner is missing, or the content does not fit.
    """
    files = {_name(path): path for path in (paths if len(paths) > 1 else _beside(paths[0]))}
    if len(files) < len(paths):
        raise DataError(f"of {', '.join(p.name for p in paths)} two say the same by their names: leave one out, or put them into one .npz")
    parts = [part for part in PARTS if any(held.part == part and held.role != "classes" for held in files)]
    pairs: dict[str, tuple[str, str]] = {}
    values: dict[str, tuple[npt.NDArray[Any], npt.NDArray[Any]]] = {}
    for part in parts:
        for role, other in (("images", "labels"), ("labels", "images")):
            if (role, part) not in files:
                raise DataError(f"{files[Name(other, part)]} has no partner: expected {role} in a .npy file beside it, such as x_{part}.npy and y_{part}.npy")
        own = files[Name("images", part)], files[Name("labels", part)]
        pairs[part] = own[0].stem, own[1].stem
        values[part] = load(own[0]), load(own[1])
    if not parts:
        raise DataError(f"{paths[0]} holds no images: expected x.npy and y.npy beside each other")
    classes = next((arrays.class_names(load(path), str(path)) for held, path in files.items() if held.role == "classes"), None)
    folder = paths[0].parent
    try:
        return arrays.found(values, classes, layout, name, pairs, os.path.realpath(folder if len(paths) > 1 else paths[0]))
    except DataError as error:
        raise DataError(f"{folder}: {error}", error.check) from None


def named(name: str, alone: bool = False) -> Name | None:
    """Return what an array holds, by the words of its name; None where they do not say, or, with `alone`, where others stand among them."""
    words = [word for word in re.split(r"[^a-z]+", name.lower()) if word]
    roles = {_ROLES[word] for word in words if word in _ROLES}
    parts = {part for word in words if (part := part_of(word)) is not None}
    if len(roles) != 1 or len(parts) > 1 or (alone and any(word not in _ROLES and part_of(word) is None for word in words)):
        return None
    (role,) = roles
    return Name(role, PARTS[next(iter(parts), TRAIN)] if role != "classes" else "")


def _name(path: Path) -> Name:
    """Return what a file holds and of which part, by its name. Raises: DataError where it does not say."""
    name = named(path.stem)
    if name is None:
        raise DataError(f"{path}: the name does not say whether it holds images or labels: name such files x.npy and y.npy, or x_train.npy, y_train.npy ..")
    return name


def _beside(path: Path) -> list[Path]:
    """Return a file and those that its folder holds of the same part, and the class names."""
    own = _name(path)
    found = [path]
    for other in sorted(path.parent.glob("*.npy")):
        words = re.split(r"[^a-z]+", other.stem.lower())
        if other != path and any(word in _ROLES for word in words):
            held = _name(other)
            if held.role == "classes" or (held.part == own.part and held.role != own.role):
                found.append(other)
    return found


def load(path: Path) -> npt.NDArray[Any]:
    """Return the array of a .npy file; nothing in it can run, and its header is not believed beyond the size of the file.

    Raises: DataError for damage, arrays of objects, and headers that claim more or less than the file holds.
    """
    try:
        with BufferedReader(SteadyFile(path)) as file:
            check_header(file, path.stat().st_size, str(path))
            file.seek(0)
            return np.lib.format.read_array(file, allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise DataError(f"{path} is damaged or no .npy file ({error}): write it again with numpy.save") from None


def check_header(file: IO[bytes] | BufferedReader, size: int, name: str) -> None:
    """Read the header at the start of `file`, of `size` bytes in all, and refuse objects and sizes that are not there.

    Raises: DataError; ValueError for what is no .npy file.
    """
    version = np.lib.format.read_magic(file)
    if version not in _READERS:
        raise DataError(f"{name} is of the .npy version {version}, which plain arrays do not need: it is refused")
    try:
        shape, _, dtype = _READERS[version](file)
    except (ValueError, TypeError, MemoryError, RecursionError) as error:  # what numpy's parser says of nesting without end, too
        reason = str(error).partition("\n")[0].rstrip(".") or type(error).__name__
        raise ValueError(reason) from None
    held = size - file.tell()
    if dtype.hasobject:
        raise DataError(f"{name} is an array of Python objects, which is not read: store it as numbers (uint8) or text")
    if dtype.kind == "V":
        raise DataError(f"{name} is an array of {dtype}, which is not read: store it as numbers (uint8) or text")
    if any(type(n) is not int or n < 0 for n in shape) or prod(shape) * dtype.itemsize != held:
        raise DataError(f"{name} claims the shape {shape} of {dtype}, but {held:,} bytes are there: it is refused")
