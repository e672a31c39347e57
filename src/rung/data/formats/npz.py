"""An .npz file with x, y or x_train, y_train, x_validation, y_validation, x_test, y_test, and classes."""

from __future__ import annotations

import zipfile
import zlib
from io import BufferedReader
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rung.data.drive import SteadyFile
from rung.data.formats.arrays import found
from rung.data.found import Found
from rung.errors import DataError, did_you_mean
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
            raise DataError(f"{path} has a key '{key}': {did_you_mean(key, _KEYS)}")
    if "x" in arrays and "x_train" in arrays:
        raise DataError(f"{path} has both x and x_train: give x and y, or x_train, y_train, x_test, y_test")
    pairs = {"train": ("x", "y") if "x" in arrays or "y" in arrays else ("x_train", "y_train")}
    pairs |= {part: (f"x_{part}", f"y_{part}") for part in ("validation", "test") if f"x_{part}" in arrays or f"y_{part}" in arrays}
    missing = [key for pair in pairs.values() for key in pair if key not in arrays]
    if missing:
        raise DataError(f"{path} lacks {', '.join(missing)}: it has {', '.join(arrays) or 'nothing'}")
    classes = _class_names(arrays["classes"], path) if "classes" in arrays else None
    parts = {part: (arrays[x], arrays[y]) for part, (x, y) in pairs.items()}
    try:
        return found(parts, classes, layout, path.stem, pairs)
    except DataError as error:
        raise DataError(f"{path}: {error}") from None


def _class_names(array: npt.NDArray[Any], path: Path) -> tuple[str, ...]:
    if array.ndim != 1 or array.dtype.kind not in "USiu":
        raise DataError(f"{path}: classes should be text (K,), found {array.dtype} {array.shape}")
    names = tuple(str(v) for v in (np.char.decode(array, "utf-8") if array.dtype.kind == "S" else array))
    if len(set(names)) < len(names):
        raise DataError(f"{path}: classes names '{next(n for n in names if names.count(n) > 1)}' twice")
    return names


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
                    raise DataError(f"{path} holds '{name}' twice: it is refused")
                _check_header(archive, member, name, path)
                with archive.open(member) as content:
                    arrays[name] = np.lib.format.read_array(content, allow_pickle=False)
    except _DAMAGE as error:
        raise DataError(f"{path} is damaged or no .npz file ({error}): write it again with numpy.savez") from None
    return arrays


def _check_header(archive: zipfile.ZipFile, member: zipfile.ZipInfo, name: str, path: Path) -> None:
    """Refuse arrays of objects, and headers that claim more values than the file holds."""
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    with archive.open(member) as file:
        version = np.lib.format.read_magic(file)
        if version not in readers:
            raise DataError(f"{path}: '{name}' is of the .npy version {version}, which plain arrays do not need: it is refused")
        shape, _, dtype = readers[version](file)
        held = member.file_size - file.tell()
    if dtype.hasobject:
        raise DataError(f"{path}: '{name}' is an array of Python objects, which is not read: store it as numbers (uint8) or text")
    if any(n < 0 for n in shape) or prod(shape) * dtype.itemsize != held:
        raise DataError(f"{path}: '{name}' claims the shape {shape} of {dtype}, but {held:,} bytes are there: it is refused")
