"""What each kind of mistake costs: a table by the user, rows true, columns answered."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from rung.errors import DataError, did_you_mean
from rung.evaluate.intervals import Value, effective_wilson, without_interval

Floats = npt.NDArray[np.float64]


class CostFile(NamedTuple):
    """The text of a cost table, and where it was read."""

    path: Path
    text: str


def read_costs(path: Path) -> CostFile:
    """Read the text of a cost table; raises DataError if it cannot be read."""
    try:
        return CostFile(path, path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read the cost table {path}: {getattr(error, 'strerror', None) or 'it is not UTF-8 text'}") from None


def load_costs(path: Path, classes: Sequence[str]) -> Floats:
    """Read a cost table, float64 (K,K), from CSV; as `parse_costs`."""
    return parse_costs(read_costs(path), classes)


def parse_costs(file: CostFile, classes: Sequence[str]) -> Floats:
    """Return the cost table of a CSV file, float64 (K,K): the first line and the first column name the classes, in any order.

    Commas or semicolons between, points in the numbers; the first cell may hold anything. Negative costs are gains.

    Raises: DataError naming the line at fault, or the class that is missing, unknown or there twice.
    """
    path, text = file
    first = text.partition("\n")[0]
    delimiter = ";" if first.count(";") > first.count(",") else ","
    try:
        rows = [(n, [cell.strip() for cell in row]) for n, row in enumerate(csv.reader(io.StringIO(text), delimiter=delimiter, strict=True), 1) if any(row)]
    except csv.Error as error:
        raise DataError(f"the cost table {path} is not CSV: {error}") from None
    if not rows:
        raise DataError(f"the cost table {path} is empty: expected a first line of class names and a line for each of {len(classes)} classes")
    columns = _order(rows[0][1][1:], classes, f"the first line of the cost table {path}")
    lines = _order([cells[0] for _, cells in rows[1:]], classes, f"the first column of the cost table {path}")
    table = np.zeros((len(classes), len(classes)))
    for true, (number, cells) in zip(lines, rows[1:], strict=True):
        if len(cells) != len(classes) + 1:
            raise DataError(f"line {number} of the cost table {path} has {len(cells)} cells, expected {len(classes) + 1}: the class and {len(classes)} costs")
        table[true, columns] = [_number(cell, f"line {number} of the cost table {path}") for cell in cells[1:]]
    return table


def _order(names: Sequence[str], classes: Sequence[str], where: str) -> list[int]:
    places = {name: k for k, name in enumerate(classes)}
    for name in names:
        if name not in places:
            raise DataError(f"{where} names '{name}', which is no class: {did_you_mean(name, classes)}")
        if names.count(name) > 1:
            raise DataError(f"{where} names '{name}' {names.count(name)} times: expected each class once")
    if missing := [name for name in classes if name not in names]:
        raise DataError(f"{where} leaves out {', '.join(missing)}: expected each of the {len(classes)} classes once")
    return [places[name] for name in names]


def _number(cell: str, where: str) -> float:
    try:
        cost = float(cell)
    except ValueError:
        raise DataError(f"{where} has '{cell}' where a cost should be: expected a number such as 0 or 2.5") from None
    if not math.isfinite(cost):
        raise DataError(f"{where} has {cell} where a cost should be: expected a finite number")
    return cost


def checked(costs: npt.ArrayLike, classes: int) -> Floats:
    """Return a cost table given in Python as float64 (K,K).

    Raises: DataError if it is no table of K rows and K columns of finite numbers.
    """
    try:
        table = np.asarray(costs, dtype=np.float64)
    except (TypeError, ValueError):
        raise DataError(f"the cost table is not a table of numbers: give {classes} rows (true) of {classes} columns (answered)") from None
    if table.shape != (classes, classes):
        raise DataError(f"the cost table has the shape {table.shape}, expected {(classes, classes)}: a row for each true and a column for each answered class")
    if not np.isfinite(table).all():
        row, column = np.argwhere(~np.isfinite(table))[0]
        raise DataError(f"the cost table has {table[row, column]} in row {row}, column {column}: costs must be finite numbers")
    return table


def cost(confusion: npt.NDArray[np.int64], table: Floats, level: float) -> Value:
    """Return the mean cost of an answer, which lies between the smallest and the largest cost of the table."""
    images = int(confusion.sum())
    mean = float((confusion * table).sum() / images)
    smallest, largest = float(table.min()), float(table.max())
    if smallest == largest:
        return without_interval(mean, level, "every answer costs the same")
    variance = float((confusion * (table - mean) ** 2).sum()) / images**2
    return effective_wilson(mean, variance, images, level, "Wilson for the number of images that gives its variance", (smallest, largest))
