"""Tables of images: what one or several files of rows, each with a label, become; the readers of file formats give Sheets."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rung.data.classes import shown
from rung.data.formats.arrays import alike, as_labels
from rung.data.formats.entries import Gate
from rung.data.found import Files, Found, Refused, Stored, several
from rung.data.imageset import TRAIN, FileNote
from rung.data.parts import part_of, part_of_file
from rung.errors import DataError
from rung.recipe import Data

_WHOLE = re.compile(r"(-?(?:0|[1-9]\d*))(?:\.0*)?")
_NUMBER = re.compile(r"[-+]?\d+(?:\.\d*)?(?:[eE][-+]?\d+)?")


@dataclass(frozen=True)
class Sheet:
    """The used columns of one table file, of N rows; first_row: the number by which a user calls row 0.

    images: N paths as written, or pixel rows (N,values), or stored images. labels: text or numbers (N,); classes: the names of numbers.
    parts, groups: N cells, or None where there is no such column.
    """

    path: Path
    images: list[str] | npt.NDArray[Any] | Stored
    labels: npt.NDArray[Any]
    classes: tuple[str, ...] | None = None
    parts: Sequence[str] | None = None
    groups: Sequence[str] | None = None
    first_row: int = 0
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Rows:
    """The images of all sheets, as Found has them; kept: which rows of all sheets they are."""

    images: npt.NDArray[np.uint8] | Stored
    sources: list[str]
    kept: npt.NDArray[np.int64]
    refused: tuple[Refused, ...] = ()
    repaired: tuple[FileNote, ...] = ()
    warnings: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()


def read(paths: Sequence[Path], name: str, data: Data, reader: Callable[[Path, Data], Sheet]) -> Found:
    """Return the files of one kind that make up one source, each a root; where there are several, their names say their parts.

    Raises: DataError naming file and row for what does not fit.
    """
    sheets = [reader(path, data) for path in paths]
    for sheet in sheets:
        if not len(sheet.labels):
            raise DataError(f"{sheet.path} has no rows")
    texts = {f"the labels of {sheet.path}": sheet.labels for sheet in sheets}
    named = {sheet.classes for sheet in sheets}
    if len(named) > 1:
        raise DataError(f"the tables of {name} name their classes differently: give one at a time, or give them the same class names")
    labels, classes = as_labels(texts, next(iter(named)))
    own = np.concatenate(labels)
    rows = _images(sheets, own, classes, data)
    roots = np.repeat(np.arange(len(sheets)), [len(sheet.labels) for sheet in sheets])
    groups = [cell for sheet in sheets for cell in (sheet.groups or [""] * len(sheet.labels))]
    return Found(
        name=name,
        origin=os.path.realpath(paths[0] if len(paths) == 1 else paths[0].parent),
        images=rows.images,
        labels=own[rows.kept],
        classes=classes,
        sources=rows.sources,
        parts=np.concatenate([_parts(sheet, len(sheets) > 1) for sheet in sheets])[rows.kept],
        roots=roots[rows.kept],
        root_names=tuple(sheet.path.stem for sheet in sheets) if len(sheets) > 1 else (name,),
        groups=[groups[row] for row in rows.kept] if any(groups) else None,
        numbered=next(iter(named)) is None and all(sheet.labels.dtype.kind != "U" for sheet in sheets),
        refused=rows.refused,
        repaired=rows.repaired,
        warnings=rows.warnings,
        remarks=(*(remark for sheet in sheets for remark in sheet.remarks), *rows.remarks),
    )


def typed(cells: Sequence[str]) -> npt.NDArray[Any]:
    """Return cells as whole numbers if all are, else as floating point if all are numbers, else as text; "007" is text."""
    whole = [_WHOLE.fullmatch(cell) for cell in cells]
    if all(whole):
        return np.array([int(match[1]) for match in whole if match])
    if all(_NUMBER.fullmatch(cell) and not re.match(r"[-+]?0\d", cell) for cell in cells):
        return np.array([float(cell) for cell in cells])
    return np.array(cells, dtype=str)


def _parts(sheet: Sheet, by_name: bool) -> npt.NDArray[np.int8]:
    """Return the part of each row: as its column says, else as the file's name says."""
    count = len(sheet.labels)
    if sheet.parts is None:
        part = part_of_file(sheet.path.stem) if by_name else TRAIN
        if part is None:
            part = TRAIN
        return np.full(count, part, np.int8)
    known: dict[str, int] = {}
    for row, cell in enumerate(sheet.parts):
        if cell not in known:
            part = part_of(cell.strip())
            if part is None:
                raise DataError(
                    f"{sheet.path}: row {row + sheet.first_row} is of the part '{cell}': expected train, validation or test; "
                    f"if that column is no part, --set data.part_column=''"
                )
            known[cell] = part
    return np.array([known[cell] for cell in sheet.parts], np.int8)


def _images(sheets: Sequence[Sheet], labels: npt.NDArray[np.int64], classes: Sequence[str], data: Data) -> _Rows:
    kinds = {"paths" if isinstance(s.images, list) else "images" if isinstance(s.images, Stored) else "pixel columns" for s in sheets}
    if len(kinds) > 1:
        raise DataError(
            f"of the tables {', '.join(s.path.name for s in sheets)} some hold {' and some '.join(sorted(kinds))}: give those of one kind at a time"
        )
    if kinds == {"paths"}:
        return _paths(sheets, labels, classes, data)
    sources = [f"{sheet.path.stem}#{row}" for sheet in sheets for row in range(len(sheet.labels))]
    everything = np.arange(len(labels))
    if kinds == {"images"}:
        return _Rows(several([s.images for s in sheets if isinstance(s.images, Stored)]), sources, everything)
    images, remarks = alike({str(s.path): s.images for s in sheets if isinstance(s.images, np.ndarray)}, data.layout)
    return _Rows(np.concatenate(images), sources, everything, remarks=remarks)


def _paths(sheets: Sequence[Sheet], labels: npt.NDArray[np.int64], classes: Sequence[str], data: Data) -> _Rows:
    """Return the files that the sheets name, each once; what cannot be an image or has two classes is refused.

    Raises: DataError where a row has no path, or no path of any row exists.
    """
    base = os.path.realpath(sheets[0].path.parent)
    gate = Gate(base, data.follow_links)
    folders: dict[str, str | None] = {}
    first: dict[str, tuple[int, str]] = {}
    paths, sources, kept = [], [], []
    refused, repaired = {}, []
    row = -1
    for sheet in sheets:
        assert isinstance(sheet.images, list)
        for number, cell in enumerate(sheet.images, sheet.first_row):
            row += 1
            where = f"row {number} of {sheet.path.name}"
            if not cell.strip() or "\0" in cell:
                raise DataError(f"{where} has no path to an image")
            path = os.path.relpath(os.path.join(base, cell), base)
            source = shown(path)
            if path in first:
                before, there = first[path]
                if labels[before] == labels[row]:
                    repaired.append(FileNote(source, f"stands in {there} and in {where}: read once"))
                else:
                    one, other = f"of class '{classes[labels[before]]}' in {there}", f"of class '{classes[labels[row]]}' in {where}"
                    refused[before] = Refused(source, f"is {one} and {other}", int(labels[before]))
                    refused[row] = Refused(source, f"is {other} and {one}", int(labels[row]))
                continue
            first[path] = row, where
            folder = os.path.dirname(path)
            if folder not in folders:
                folders[folder] = gate.outside(os.path.join(base, folder)) if os.path.isdir(os.path.join(base, folder)) else None
            full, real = os.path.join(base, path), folders[folder]
            if reason := (real and gate.why_not_out(full, real)) or gate.why_not(full):
                refused[row] = Refused(source, reason, int(labels[row]))
            paths.append(path)
            sources.append(source)
            kept.append(row)
    if not any(os.path.lexists(os.path.join(base, path)) for path in paths):
        tables = ", ".join(str(sheet.path) for sheet in sheets)
        raise DataError(
            f"none of the {len(paths)} paths of {tables} exist (such as {sources[0]}): they are taken below {shown(base)}; "
            f"write them as they lie below it, or move the table",
            "files",
        )
    stay = [k for k, row in enumerate(kept) if row not in refused]
    return _Rows(
        Files(base, [paths[k] for k in stay]),
        [sources[k] for k in stay],
        np.array([kept[k] for k in stay], np.int64),
        tuple(refused[row] for row in sorted(refused)),
        tuple(repaired),
        gate.warnings(),
    )
