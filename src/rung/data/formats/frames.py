"""Pickled pandas tables (.pkl, .pickle): pixel columns or paths, and labels, read in a confined process and without pandas."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rung.data.classes import shown
from rung.data.formats import columns, confined
from rung.data.formats.tables import Sheet, typed
from rung.errors import DataError
from rung.recipe import Data


def read(path: Path, data: Data) -> Sheet:
    """Return the used columns of a pickled table.

    Raises: DataError for all that is no plain table, naming what the pickle asked for, and for cells without a value.
    """
    held = confined.columns(path)
    found = columns.find(list(held), data, str(path))
    images: Any = _stacked(held, found, path) if found.are_pixels else _texts(held[found.images[0]], found.images[0], path)
    label = held[found.label]
    return Sheet(
        path=path,
        images=images,
        labels=typed([shown(text) for text in _texts(label, found.label, path)]) if label.dtype == object else label,
        parts=_texts(held[found.part], found.part, path) if found.part else None,
        groups=[shown(text) for text in _texts(held[found.group], found.group, path)] if found.group else None,
        remarks=found.remarks,
    )


def _stacked(held: dict[str, npt.NDArray[Any]], found: columns.Columns, path: Path) -> npt.NDArray[Any]:
    wrong = next((name for name in found.images if held[name].dtype == object), None)
    if wrong is not None:
        raise DataError(f"{path}: the pixel column '{wrong}' holds text: expected numbers")
    return np.stack([held[name] for name in found.images], axis=1)


def _texts(column: npt.NDArray[Any], name: str, path: Path) -> list[str]:
    if column.dtype.kind == "f":
        raise DataError(f"{path}: the column '{name}' holds floating point numbers: expected text or whole numbers")
    row = next((k for k, value in enumerate(column) if value is None), None)
    if row is not None:
        raise DataError(f"{path}: row {row} has no {name}: every image needs one")
    return [str(value) for value in column]
