"""Tables as text (.csv, .tsv): paths and labels, or pixel columns and labels, read row by row without pandas."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from io import BufferedReader, TextIOWrapper
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rung.data.classes import shown
from rung.data.drive import SteadyFile
from rung.data.formats import columns
from rung.data.formats.tables import Sheet, typed
from rung.errors import DataError
from rung.recipe import Data

_DELIMITERS = (",", ";", "\t", "|")


def read(path: Path, data: Data) -> Sheet:
    """Return the used columns of a table whose first line names its columns; cells are parted by comma, semicolon, tab or bar.

    Raises: DataError naming the row for what does not fit.
    """
    try:
        with TextIOWrapper(BufferedReader(SteadyFile(path)), encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            head = file.readline()
            if not head.strip():
                raise DataError(f"{path} is empty: its first line should name the columns, such as path,label")
            delimiter = max(_DELIMITERS, key=head.count)
            names = [name.strip() for name in next(csv.reader([head], delimiter=delimiter, skipinitialspace=True))]
            _check_head(path, names)
            found = columns.find([shown(name) for name in names], data, str(path))
            return _sheet(path, found, [shown(name) for name in names], csv.reader(file, delimiter=delimiter, skipinitialspace=True, strict=True))
    except csv.Error as error:
        raise DataError(f"{path} is not a table that can be read ({error}): quote cells that hold quotes or line ends") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from None


def _check_head(path: Path, names: Sequence[str]) -> None:
    numbers = sum(name.replace(".", "", 1).isdecimal() for name in names)
    if len(set(names)) < len(names) and numbers > len(names) // 2:
        raise DataError(f"the first line of {path} holds numbers: it should name the columns, such as label,pixel0,pixel1,..")


def _sheet(path: Path, found: columns.Columns, names: Sequence[str], rows: Iterator[list[str]]) -> Sheet:
    at = {name: k for k, name in enumerate(names)}
    label, part, group = at[found.label], at.get(found.part or ""), at.get(found.group or "")
    own = [at[name] for name in found.images]
    paths: list[str] = []
    labels: list[str] = []
    parts: list[str] = []
    groups: list[str] = []
    pixels = _Pixels(len(own), path)
    for row in rows:
        number = len(labels) + 2
        if not row:
            raise DataError(f"{path}: row {number} is empty: remove it")
        if len(row) != len(names):
            raise DataError(f"{path}: row {number} has {len(row)} cells where there are {len(names)} columns")
        if not row[label].strip():
            raise DataError(f"{path}: row {number} has no {found.label}: every image needs a class")
        labels.append(shown(row[label]))
        if found.are_pixels:
            pixels.add([row[k] for k in own], number)
        else:
            paths.append(row[own[0]])
        if part is not None:
            parts.append(row[part])
        if group is not None:
            groups.append(shown(row[group]))
    return Sheet(
        path=path,
        images=pixels.values() if found.are_pixels else paths,
        labels=typed(labels),
        parts=parts if part is not None else None,
        groups=groups if group is not None else None,
        first_row=2,
        remarks=found.remarks,
    )


class _Pixels:
    """Pixel cells as they come in: bytes as long as all are 0..255, else floating point."""

    def __init__(self, width: int, path: Path) -> None:
        self.width, self.path = width, path
        self.whole: list[bytes] = []
        self.other: list[npt.NDArray[np.float64]] = []

    def add(self, cells: Sequence[str], number: int) -> None:
        if not self.other:
            try:
                self.whole.append(bytes(map(int, cells)))
            except ValueError:
                pass
            else:
                return
        try:
            self.other.append(np.array(cells, dtype=np.float64))
        except ValueError:
            wrong = next(cell for cell in cells if not _is_number(cell))
            raise DataError(f"{self.path}: row {number} has '{shown(wrong)}' in a pixel column, which is no number") from None

    def values(self) -> npt.NDArray[Any]:
        """Return all rows, uint8 or float64 (N,width)."""
        whole = np.frombuffer(b"".join(self.whole), np.uint8).reshape(-1, self.width)
        return np.concatenate([whole.astype(np.float64), np.stack(self.other)]) if self.other else whole


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
