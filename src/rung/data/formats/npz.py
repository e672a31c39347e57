"""An .npz file with x, y or x_train, y_train, x_validation, y_validation, x_test, y_test, and classes."""

from __future__ import annotations

import os
import zipfile
import zlib
from io import BufferedReader
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rung.data.drive import SteadyFile
from rung.data.formats.arrays import class_names, found
from rung.data.formats.npy import check_header
from rung.data.found import Found
from rung.errors import DataError, did_you_mean, one_line
from rung.recipe import Layout

MAX_RATIO = 200
_KEYS = ("x", "y", "x_train", "y_train", "x_validation", "y_validation", "x_test", "y_test", "classes")
_DAMAGE = (zipfile.BadZipFile, zlib.error, OSError, EOFError, ValueError, KeyError, RuntimeError, NotImplementedError)


def read(path: Path, layout: Layout = "auto") -> Found:
    """Return what an .npz file holds; nothing in it can run, and no header is believed beyond the size of the file.

    Raises: DataError for missing or unknown keys and for all that `arrays.found` refuses.
    """
    arrays = _arrays(path)
    for key in arrays:
        if key not in _KEYS:
            raise DataError(f"{path} has a key '{one_line(key)}': {did_you_mean(key, _KEYS)}")
    if "x" in arrays and "x_train" in arrays:
        raise DataError(f"{path} has both x and x_train: give x and y, or x_train, y_train, x_test, y_test")
    pairs = {"train": ("x", "y") if "x" in arrays or "y" in arrays else ("x_train", "y_train")}
    pairs |= {part: (f"x_{part}", f"y_{part}") for part in ("validation", "test") if f"x_{part}" in arrays or f"y_{part}" in arrays}
    missing = [key for pair in pairs.values() for key in pair if key not in arrays]
    if missing:
        raise DataError(f"{path} lacks {', '.join(missing)}: it has {', '.join(arrays) or 'nothing'}")
    classes = class_names(arrays["classes"], str(path)) if "classes" in arrays else None
    parts = {part: (arrays[x], arrays[y]) for part, (x, y) in pairs.items()}
    try:
        return found(parts, classes, layout, path.stem, pairs, os.path.realpath(path))
    except DataError as error:
        raise DataError(f"{path}: {error}", error.check) from None


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
