"""An .npz file with x, y or x_train, y_train, x_validation, y_validation, x_test, y_test, and classes; images and labels may stand for x and y."""

from __future__ import annotations

import os
import zipfile
import zlib
from collections.abc import Iterable
from io import BufferedReader
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rung.data.drive import SteadyFile
from rung.data.formats.arrays import class_names, found
from rung.data.formats.npy import Name, check_header, named
from rung.data.found import Found
from rung.data.imageset import PARTS
from rung.errors import DataError, did_you_mean, one_line
from rung.recipe import Layout

MAX_RATIO = 200
_KEYS = ("x", "y", "x_train", "y_train", "x_validation", "y_validation", "x_test", "y_test", "classes")  # for the words of an error
_CLASSES = Name("classes", "")
_DAMAGE = (zipfile.BadZipFile, zlib.error, OSError, EOFError, ValueError, KeyError, RuntimeError, NotImplementedError)


def read(path: Path, layout: Layout = "auto") -> Found:
    """Return what an .npz file holds; nothing in it can run, and no header is believed beyond the size of the file.

    Raises: DataError for missing or unknown keys and for all that `arrays.found` refuses.
    """
    arrays = _arrays(path)
    held = _held(path, arrays)
    parts = [part for part in PARTS if Name("images", part) in held or Name("labels", part) in held]
    for part in parts:
        for role, other in (("images", "labels"), ("labels", "images")):
            if Name(role, part) not in held:
                raise DataError(f"{path} lacks the {role} of {held[Name(other, part)]}: it has {', '.join(map(one_line, arrays))}")
    if not parts:
        raise DataError(f"{path} lacks x and y: it has {', '.join(map(one_line, arrays)) or 'nothing'}")
    pairs = {part: (held[Name("images", part)], held[Name("labels", part)]) for part in parts}
    classes = class_names(arrays[held[_CLASSES]], str(path)) if _CLASSES in held else None
    values = {part: (arrays[x], arrays[y]) for part, (x, y) in pairs.items()}
    try:
        return found(values, classes, layout, path.stem, pairs, os.path.realpath(path))
    except DataError as error:
        raise DataError(f"{path}: {error}", error.check) from None


def _held(path: Path, arrays: Iterable[str]) -> dict[Name, str]:
    """Return for what each key says the key itself. Raises: DataError for a key that says nothing, and for two that say the same."""
    held: dict[Name, str] = {}
    for key in arrays:
        name = named(key, alone=True)
        if name is None:
            raise DataError(f"{path} has a key '{one_line(key)}': {did_you_mean(key, _KEYS)}")
        if name in held:
            raise DataError(f"{path} has both {held[name]} and {key}: give x and y, or x_train, y_train, x_test, y_test")
        held[name] = key
    return held


def _arrays(path: Path) -> dict[str, npt.NDArray[Any]]:
    limit = MAX_RATIO * path.stat().st_size
    arrays: dict[str, npt.NDArray[Any]] = {}
    try:
        with BufferedReader(SteadyFile(path)) as file, zipfile.ZipFile(file) as archive:
            members = [m for m in archive.infolist() if m.filename.endswith(".npy")]
            if sum(m.file_size for m in members) > limit:
                raise DataError(f"{path} claims to unpack to more than {MAX_RATIO} times its size: it is refused")
            for member in members:
                name = member.filename.removesuffix(".npy")
                if name in arrays:
                    raise DataError(f"{path} holds '{one_line(name)}' twice: it is refused")
                with archive.open(member) as content:
                    check_header(content, member.file_size, f"{path}: '{one_line(name)}'")
                with archive.open(member) as content:
                    arrays[name] = np.lib.format.read_array(content, allow_pickle=False)
    except _DAMAGE as error:
        raise DataError(f"{path} is damaged or no .npz file ({error}): write it again with numpy.savez") from None
    return arrays
