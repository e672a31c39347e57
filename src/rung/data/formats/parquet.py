"""Parquet tables: images as bytes (as Hugging Face stores them), paths or pixel columns, and labels; needs pyarrow."""

from __future__ import annotations

import json
import os
import threading
from dataclasses import dataclass, replace
from io import BufferedReader
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast, final

import numpy as np
import numpy.typing as npt

from rung.data.classes import shown
from rung.data.decode import UnreadableImage
from rung.data.drive import SteadyFile
from rung.data.formats import columns
from rung.data.formats.tables import Sheet, typed
from rung.data.found import Stamp, Stored, stamp_of
from rung.errors import DataError
from rung.recipe import Data

if TYPE_CHECKING:
    from pyarrow import ChunkedArray, DataType
    from pyarrow.parquet import ParquetFile

MAX_RATIO = 200
_ROOM_BYTES = 2**24
_KEPT_GROUPS = 2  # threads that decode are a little apart, so that two row groups are in use at once


def read(path: Path, data: Data) -> Sheet:
    """Return the used columns of a parquet file; of encoded images only where they lie.

    Raises: DataError without pyarrow, for damage, for a column of a type that is not read, and for cells without a value.
    """
    file = _open(path)
    if not file.metadata.num_rows:
        raise DataError(f"{path} has no rows")
    schema = file.schema_arrow
    kinds = dict(zip(schema.names, schema.types, strict=True)) if len(set(schema.names)) == len(schema.names) else {}
    found = columns.find(schema.names, data, str(path), [name for name, kind in kinds.items() if _holds_bytes(kind)])
    _check_size(file, path)
    encoded = _holds_bytes(kinds[found.images[0]])
    wanted = [name for name in (found.label, found.part, found.group, *(() if encoded else found.images)) if name is not None]
    with _explained(path):
        table = file.read(columns=wanted)
    if encoded:
        images: Any = _Encoded(_Groups(file, path, found.images[0]), np.arange(file.metadata.num_rows))
    elif found.are_pixels:
        images = np.stack([_numbers(table.column(name), name, path) for name in found.images], axis=1)
    else:
        images = _texts(table.column(found.images[0]), found.images[0], path)
    return Sheet(
        path=path,
        images=images,
        labels=_labels(table.column(found.label), found.label, path),
        classes=_class_names(schema.metadata or {}, found.label),
        parts=_texts(table.column(found.part), found.part, path) if found.part else None,
        groups=[shown(t) for t in _texts(table.column(found.group), found.group, path)] if found.group else None,
        remarks=found.remarks,
    )


def _open(path: Path) -> ParquetFile:
    try:
        import pyarrow.parquet
    except ImportError:
        raise DataError(f"reading {path} needs pyarrow, which is not installed: pip install 'rung[frames]'") from None
    with _explained(path):
        return pyarrow.parquet.ParquetFile(BufferedReader(SteadyFile(path)))


@final
class _explained:
    """Say which file it is that pyarrow cannot read."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        from pyarrow import ArrowException

        if isinstance(error, ArrowException | OSError):
            raise DataError(f"{self.path} is damaged or no parquet file ({str(error).partition(chr(10))[0]}): write it again") from None


def _holds_bytes(kind: DataType) -> bool:
    from pyarrow import types

    if types.is_struct(kind):
        return any(field.name == "bytes" and _holds_bytes(field.type) for field in kind)
    return bool(types.is_binary(kind) or types.is_large_binary(kind))


def _check_size(file: ParquetFile, path: Path) -> None:
    groups = [file.metadata.row_group(k) for k in range(file.metadata.num_row_groups)]
    if sum(group.total_byte_size for group in groups) > MAX_RATIO * path.stat().st_size + _ROOM_BYTES:
        raise DataError(f"{path} claims to unpack to more than {MAX_RATIO} times its size: it is refused")


def _class_names(metadata: dict[bytes, bytes], label: str) -> tuple[str, ...] | None:
    """Return the names of label numbers that Hugging Face keeps in a schema, or None."""
    try:
        names = json.loads(metadata[b"huggingface"])["info"]["features"][label]["names"]
    except (KeyError, TypeError, ValueError):
        return None
    return tuple(map(str, names)) if isinstance(names, list) and names else None


def _labels(column: ChunkedArray, name: str, path: Path) -> npt.NDArray[Any]:
    from pyarrow import types

    kind = column.type.value_type if types.is_dictionary(column.type) else column.type
    if types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind):
        return _numbers(_whole(column, name, path), name, path)
    return typed([shown(text) for text in _texts(column, name, path)])


def _whole(column: ChunkedArray, name: str, path: Path) -> ChunkedArray:
    if column.null_count:
        row = next(k for k, valid in enumerate(column.is_valid().to_pylist()) if not valid)
        raise DataError(f"{path}: row {row} has no {name}: every image needs one")
    return column


def _texts(column: ChunkedArray, name: str, path: Path) -> list[str]:
    from pyarrow import types

    kind = column.type.value_type if types.is_dictionary(column.type) else column.type
    if not (types.is_string(kind) or types.is_large_string(kind) or types.is_integer(kind)):
        raise DataError(f"{path}: the column '{name}' is of the type {column.type}: expected text, numbers, or for images bytes")
    return [str(cell) for cell in _whole(column, name, path).to_pylist()]


def _numbers(column: ChunkedArray, name: str, path: Path) -> npt.NDArray[Any]:
    from pyarrow import types

    if not (types.is_integer(column.type) or types.is_floating(column.type) or types.is_boolean(column.type)):
        raise DataError(f"{path}: the column '{name}' is of the type {column.type}: expected numbers")
    return cast("npt.NDArray[Any]", _whole(column, name, path).to_numpy())


@final
class _Groups:
    """The encoded images of one parquet file, read a row group at a time; several threads may ask."""

    def __init__(self, file: ParquetFile, path: Path, column: str) -> None:
        self._file, self.path, self.column = file, path, column
        self.place = os.path.realpath(path)
        counts = [file.metadata.row_group(k).num_rows for k in range(file.metadata.num_row_groups)]
        self._starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        self._kept: dict[int, Any] = {}
        self._turnstile = threading.Lock()

    def bytes_of(self, row: int) -> bytes | None:
        """Return the bytes of one image, None where the table has none; raises DataError for a damaged file."""
        number = int(np.searchsorted(self._starts, row, side="right")) - 1
        with self._turnstile:
            if number not in self._kept:
                self._kept = dict(list(self._kept.items())[1 - _KEPT_GROUPS :])
                self._kept[number] = self._read(number)
            group = self._kept[number]
        content: bytes | None = group[row - int(self._starts[number])].as_py()
        return content

    def _read(self, number: int) -> ChunkedArray:
        from pyarrow import compute, types

        with _explained(self.path):
            column = self._file.read_row_group(number, columns=[self.column]).column(0)
            return compute.struct_field(column, "bytes") if types.is_struct(column.type) else column


@final
@dataclass(frozen=True)
class _Encoded(Stored):
    """Encoded images that lie in a column of a parquet file; rows: which of its rows (int64)."""

    groups: _Groups
    rows: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.rows)

    def read(self, row: int) -> bytes:
        content = self.groups.bytes_of(int(self.rows[row]))
        if content is None:
            raise UnreadableImage("has no bytes in the table")
        return content

    def suffix(self, row: int) -> str | None:
        return None

    def address(self, row: int) -> str:
        return f"{self.groups.place}#{self.groups.column}#{self.rows[row]}"

    def stamp(self, row: int) -> Stamp | None:
        return stamp_of(self.groups.place)

    def take(self, rows: npt.NDArray[np.int64]) -> _Encoded:
        return replace(self, rows=self.rows[rows])
