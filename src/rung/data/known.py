"""What earlier reading has found, and when it may be believed: by a file's stamp, else by its bytes.

A stamp is a file's size, its two times in nanoseconds (changed in content, changed at all) and its inode number. It says that the bytes are the
same where all four are as they were when the bytes were read, and where both times lay two seconds back then: a file that changes
within the same tick of a clock would otherwise keep its stamp. The system sets the second time itself, so that a tool that sets the
first one back does not hide a change. Where the stamp says nothing, the bytes are read and their SHA-256 (its first 128 bits) is compared.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from rung.data.blocks import IMAGE, UNREAD, Records, Row
from rung.data.decode import UnreadableImage
from rung.data.found import Stored
from rung.data.table import Table

_STAMP: Final = ("size", "modified", "changed", "inode")
_TICK_NS: Final = 2_000_000_000  # FAT keeps times to two seconds, older file systems to one


def name_of(address: str) -> int:
    """Return 64 bits of a digest (BLAKE2b) of where a row lies."""
    return int.from_bytes(hashlib.blake2b(os.fsencode(address), digest_size=8).digest(), "little")


def content_of(data: bytes) -> tuple[int, int]:
    """Return 128 bits of a digest (SHA-256) of a file's bytes."""
    digest = hashlib.sha256(data).digest()
    return int.from_bytes(digest[:8], "little"), int.from_bytes(digest[8:16], "little")


def identify(record: np.void, stored: Stored, row: int) -> None:
    """Put a row's name and its stamp of this moment into its record; what is read after this is at least as new."""
    stamp = _stamp(stored, row)
    record["name"] = name_of(stored.address(row))
    record["settled"] = stamp is not None and time.time_ns() - max(stamp[1:3]) > _TICK_NS
    for field, value in zip(_STAMP, stamp or (0,) * len(_STAMP), strict=True):
        record[field] = value


def _stamp(stored: Stored, row: int) -> tuple[int, ...] | None:
    """Return the values of _STAMP; inode numbers of some file systems take all 64 bits, of which 63 are kept."""
    stamp = stored.stamp(row)
    return None if stamp is None else (*stamp[:3], stamp.inode & 2**63 - 1)


def fresh(records: Records, stored: Stored, start: int) -> npt.NDArray[np.bool_]:
    """Return for each record, those of the rows from `start` on, whether its stamp says that the bytes are the same, bool (n,)."""
    stamps = [_stamp(stored, row) or (-1,) * len(_STAMP) for row in range(start, start + len(records))]
    same: npt.NDArray[np.bool_] = (records["settled"] == 1) & (records["state"] != UNREAD)
    for field, values in zip(_STAMP, np.array(stamps, np.int64).reshape(len(records), len(_STAMP)).T, strict=True):
        same &= records[field] == values
    return same


def same_bytes(record: np.void, texts: tuple[str, ...], stored: Stored, row: int) -> np.void | None:
    """Read a row whose stamp says nothing: its record with the stamp of now if the bytes are as they were (or as unreadable), else None."""
    found = record.copy()
    identify(found, stored, row)
    try:
        content = content_of(stored.read(row))
    except UnreadableImage as error:
        return found if record["state"] == UNREAD and texts == (str(error),) else None
    return found if record["state"] != UNREAD and content == tuple(record["content"].tolist()) else None


class Known:
    """The rows of tables that were made by one rule, found by name and stamp or by content; several threads may ask at once."""

    def __init__(self, tables: Sequence[Table]) -> None:
        self._tables = tables
        self._ends = np.cumsum([len(table.records) for table in tables])
        self._places = [np.cumsum(table.records["state"] == IMAGE) - 1 for table in tables]
        self._names = _index([table.records["name"] for table in tables])
        self._contents = _index([table.records["content"][:, 0] for table in tables])

    def by_stamp(self, wanted: np.void) -> Row | None:
        """Return the row of this name and stamp, if there is one."""

        def is_it(record: np.void) -> bool:
            return bool(record["settled"]) and all(record[field] == wanted[field] for field in _STAMP)

        return self._find(self._names, wanted["name"], is_it) if wanted["settled"] else None

    def by_content(self, content: tuple[int, int]) -> Row | None:
        """Return a row of these bytes, if there is one."""
        return self._find(self._contents, np.uint64(content[0]), lambda record: int(record["content"][1]) == content[1])

    def _find(self, index: _Index, value: np.uint64, is_it: Callable[[np.void], bool]) -> Row | None:
        keys, order = index
        for at in range(int(np.searchsorted(keys, value)), len(keys)):
            if keys[at] != value:
                break
            number = int(np.searchsorted(self._ends, order[at], side="right"))
            row = int(order[at]) - (int(self._ends[number - 1]) if number else 0)
            if is_it(self._tables[number].records[row]) and (found := self._row(number, row)):
                return found
        return None

    def _row(self, number: int, row: int) -> Row | None:
        """Return a row as it was when it was decoded; None where the table has it otherwise, or damaged."""
        table = self._tables[number]
        record = table.records[row].copy()
        texts = table.texts[record["note"] - 1] if record["note"] else ()
        if record["state"] != IMAGE:
            return None if record["state"] == UNREAD else Row(record, None, texts, is_known=True)
        block = int(np.searchsorted(table.row_starts, row, side="right")) - 1
        if record["side"] != table.images.shape[1] or not table.is_sound(block):
            return None
        return Row(record, table.images[self._places[number][row], ..., : record["channels"]].copy(), texts, is_known=True)


_Index = tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64]]


def _index(columns: Sequence[npt.NDArray[np.uint64]]) -> _Index:
    """Return values in ascending order, and where each stood."""
    values = np.concatenate(columns) if columns else np.empty(0, np.uint64)
    order = np.argsort(values, kind="stable")
    return values[order], order
