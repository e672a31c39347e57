"""Every image of a source as one array: decoded by all cores, or found in the cache.

The cache changes no bit of a result, and trouble with it means no more than that images are decoded again. One process fills a table
while others wait for it; what a killed one had kept is gone on with.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from rung.data.blocks import IMAGE, RECORD, UNREAD, Block, Records, Row, Texts, alike, block_of, join_notes, odd_bit, shape_of
from rung.data.cache import Cache, rule
from rung.data.decode import UnreadableImage
from rung.data.found import Progress, Stored
from rung.data.imageset import FORMATS, Reading
from rung.data.known import Known, content_of, fresh, identify, same_bytes
from rung.data.sniff import extension_fits
from rung.data.table import Table, block_files, open_table, read_block, replace_records, seal, write_block
from rung.errors import ResourceError, RunError
from rung.heap import freed_kept
from rung.recipe import Pixels
from rung.store import atomic, lock
from rung.store.values import now

T = TypeVar("T")

_BLOCK_ROWS: Final = 512
_BLOCK_BYTES: Final = 2**24
_CHECKED_ROWS: Final = 2**16
_SHARE_OF_FREE: Final = 0.8
_POLL_S: Final = 0.1
_PATIENCE_S: Final = 300.0
# glibc keeps freed memory of twice the size of the largest block that was ever freed (at most 64 MB); what it gives back comes again page by page,
# which can cost as much as decoding. So one such block is freed before the first image.
_FREED_BYTES: Final = 30 * 2**20


@dataclass(frozen=True)
class Job:
    """What there is to read. source: its name, for people; make(row, bytes) decodes one image; pixels: the rule of it."""

    source: str
    stored: Stored
    make: Callable[[int, bytes], Row]
    pixels: Pixels
    progress: Progress

    @property
    def step(self) -> int:
        """How many rows are one block."""
        side = self.pixels.size if isinstance(self.pixels.size, int) else 1
        return max(1, min(_BLOCK_ROWS, _BLOCK_BYTES // (3 * side * side)))


@dataclass(frozen=True)
class Gathered:
    """records: RECORD (N,), all rows; images: uint8 (n,S,S,C), one for each record of state IMAGE; texts: what notes stand for."""

    records: Records
    images: npt.NDArray[np.uint8]
    texts: Texts
    reading: Reading


def gather(job: Job, cache: Cache | None) -> Gathered:
    """Return all images of a source, in its order whatever the number of threads, and how they were read.

    Raises: DataError where no file is at fault, ResourceError where memory runs out.
    """
    started = time.monotonic()
    with _pool() as pool, freed_kept(), ExitStack() as stack:
        shelf = _Shelf(job, pool, cache, stack)
        table = shelf.attempt(shelf.find)
        pile = _Pile()
        if table is None:
            stack.enter_context(threadpool_limits(1, user_api="blas"))  # one thread a decoding thread, which are as many as there are cores
            bytearray(_FREED_BYTES)
            for start, block, kept_in in _blocks(job, pool, shelf, pile):
                pile.put(start, block, kept_in)
                is_worth_it = shelf.holds or (cache is not None and time.monotonic() - started >= cache.worth_s)
                if is_worth_it and (table := shelf.attempt(partial(shelf.keep, pile))):
                    break  # another process has filled it meanwhile
        if table is None and pile.folder:
            table = shelf.attempt(partial(shelf.seal, pile))
        if table is None:
            records, images, texts = pile.in_memory(job.pixels)
            shelf.tidy(pile)
        else:
            records, images, texts = table.records, table.images, table.texts
        reading = Reading(len(records) - pile.decoded, pile.decoded, time.monotonic() - started, str(table.folder) if table else "", shelf.trouble)
        return Gathered(records, images, texts, reading)


def _pool() -> ThreadPoolExecutor:
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return ThreadPoolExecutor(max_workers=min(16, available))


def _blocks(job: Job, pool: ThreadPoolExecutor, shelf: _Shelf, pile: _Pile) -> Iterator[tuple[int, Block, Path | None]]:
    """Yield the first row of each block, the block, and the folder it was kept in, if it was; the next is begun before this one is waited for."""
    known = shelf.known()
    count = len(job.stored)

    def begin(start: int) -> Block | Iterator[Row]:
        end = min(start + job.step, count)
        return shelf.resumed(start, end) or pool.map(partial(_row, job, known), range(start, end))

    def met(rows: Iterable[Row], start: int) -> Iterator[Row]:
        for number, row in enumerate(rows, start + 1):
            pile.decoded += not row.is_known
            if number % 32 == 0 or number == count:
                job.progress(number, count)
            yield row

    begun = begin(0)
    for start in range(0, count, job.step):
        following = begin(start + job.step) if start + job.step < count else None
        yield (start, begun, shelf.folder) if isinstance(begun, Block) else (start, block_of(met(begun, start)), None)
        if following is not None:
            begun = following


def _row(job: Job, known: Known | None, row: int) -> Row:
    """Return one row: as it is known, or decoded now. Without a cache (None) nothing is asked that only a cache needs."""
    record = np.zeros(1, RECORD)[0]
    if known is not None:
        identify(record, job.stored, row)
        if found := known.by_stamp(record):
            return found
    try:
        data = job.stored.read(row)
    except UnreadableImage as error:
        record["state"] = UNREAD
        return Row(record, None, (str(error),))
    if known is None:
        return _checked_name(job, row, _made(job, row, data))
    record["content"] = content = content_of(data)
    made = known.by_content(content) or _made(job, row, data)
    for field in ("name", "size", "modified", "changed", "inode", "settled", "content"):
        made.record[field] = record[field]
    return _checked_name(job, row, made)


def _made(job: Job, row: int, data: bytes) -> Row:
    try:
        return job.make(row, data)
    except Exception as error:
        error.add_note(f"while decoding {job.stored.address(row)}")  # the trace of a thread does not say which file it was at
        raise


def _checked_name(job: Job, row: int, made: Row) -> Row:
    """Note whether a file is what its name says, which its bytes alone do not tell."""
    suffix, is_image = job.stored.suffix(row), made.record["state"] == IMAGE
    is_odd = is_image and suffix is not None and not extension_fits(suffix, FORMATS[made.record["format"]])
    others = int(made.record["odd"]) & ~odd_bit("extension")
    made.record["odd"] = others | odd_bit("extension") if is_odd else others
    return made


def _read_again(stored: Stored, table: Table, row: int) -> np.void | None:
    record = table.records[row : row + 1].copy()[0]
    return same_bytes(record, table.texts[record["note"] - 1] if record["note"] else (), stored, row)


class _Pile:
    """Blocks as they come in, each in memory or in `folder`. decoded: how many rows were not known."""

    def __init__(self) -> None:
        self.folder: Path | None = None
        self.decoded = 0
        self._records: list[Records] = []
        self._numbers: dict[tuple[str, ...], int] = {(): 0}
        self._blocks: dict[int, Block | None] = {}
        self.bytes = 0

    @property
    def texts(self) -> Texts:
        return tuple(self._numbers)[1:]

    def put(self, start: int, block: Block, kept_in: Path | None) -> None:
        """Add the block of the rows from `start` on, which may lie in a folder already."""
        self._records.append(join_notes(block.records, block.texts, self._numbers))
        self._blocks[start] = None if kept_in else block
        self.folder = kept_in or self.folder
        self.bytes += block.pixels.nbytes

    def write(self, folder: Path) -> None:
        """Bring blocks that are in memory into the folder; raises ResourceError or RunError."""
        for start, block in self._blocks.items():
            if block is not None:
                _require_room(folder, self.bytes + block.pixels.nbytes)
                write_block(folder, start, block)
                self._blocks[start], self.folder = None, folder

    def parts(self, pixels: Pixels) -> Iterator[tuple[Records, npt.NDArray[np.uint8]]]:
        """Yield the records of each block and its images, all of one shape."""
        side, channels = shape_of(np.concatenate(self._records))
        for (start, block), records in zip(self._blocks.items(), self._records, strict=True):
            yield records, alike(block or self._read(start), side, channels, pixels)

    def _read(self, start: int) -> Block:
        assert self.folder is not None
        block = read_block(self.folder, start)
        if block is None:
            raise RunError(f"{self.folder} has lost a block that was written just now: look after that disk; RUNG_CACHE=off goes on without it")
        return block

    def in_memory(self, pixels: Pixels) -> tuple[Records, npt.NDArray[np.uint8], Texts]:
        """Return all rows as one array; blocks are let go one by one."""
        records = np.concatenate(self._records)
        side, channels = shape_of(records)
        images = np.empty((int((records["state"] == IMAGE).sum()), side, side, channels), np.uint8)
        end = 0
        for start in list(self._blocks):
            own = alike(self._blocks.pop(start) or self._read(start), side, channels, pixels)
            images[end : end + len(own)] = own
            end += len(own)
        return records, images, self.texts


def _require_room(folder: Path, needed: int) -> None:
    free = atomic.free_bytes(folder)
    if free is not None and needed > _SHARE_OF_FREE * free:
        raise ResourceError(
            f"the cache {folder.parent.parent} would need {needed:,} bytes more, and {free:,} are free: it takes {_SHARE_OF_FREE:.0%} of them at most"
        )


class _Shelf:
    """The folder of one table, if there is a cache: the first trouble with it ends its use and is kept, to be said."""

    def __init__(self, job: Job, pool: ThreadPoolExecutor, cache: Cache | None, stack: ExitStack) -> None:
        self.folder = cache.folder(job.stored, job.pixels) if cache else None
        self.holds = False
        self.trouble = ""
        self._job, self._pool, self._cache, self._stack = job, pool, cache, stack

    def attempt(self, action: Callable[[Path], T]) -> T | None:
        """Return what an action with the folder gives; None where there is no folder, or trouble."""
        if self.folder is None:
            return None
        try:
            with atomic.explained(self.folder, 0):
                return action(self.folder)
        except (ResourceError, RunError) as error:
            self.trouble, self.folder = str(error), None
            return None

    def known(self) -> Known | None:
        """Return the rows of all tables of this rule, or None without a cache."""
        return None if self._cache is None or self.folder is None else Known(self._cache.tables(self.folder))

    def find(self, folder: Path) -> Table | None:
        """Return the table if it can be believed; waits where another process fills it."""
        table = self._believed(folder)
        if table is None and folder.is_dir() and self._hold(folder):
            table = self._believed(folder)
        return table

    def keep(self, pile: _Pile, folder: Path) -> Table | None:
        """Bring a pile into the folder; where another process had the folder until now, return the table that it has filled instead."""
        if not self.holds and self._hold(folder) and (table := self._believed(folder)):
            return table
        pile.write(folder)
        return None

    def seal(self, pile: _Pile, folder: Path) -> Table | None:
        """Make the table of a pile."""
        _require_room(folder, pile.bytes)
        about = {"source": self._job.source, "bytes": pile.bytes, "rule": rule(self._job.pixels), "made": now()}
        seal(folder, partial(pile.parts, self._job.pixels), pile.texts, about)
        table = open_table(folder)
        if table is None:
            raise RunError(f"{folder} cannot be read though it was written just now: look after that disk")
        return table

    def resumed(self, start: int, end: int) -> Block | None:
        """Return a block that a process kept which was killed, if all its files are as they were."""
        if not self.holds or self.folder is None:
            return None
        block = read_block(self.folder, start)
        is_whole = block is not None and len(block.records) == end - start and bool(fresh(block.records, self._job.stored, start).all())
        return block if is_whole else None

    def tidy(self, pile: _Pile) -> None:
        """Remove what a pile kept for a table that will not be made."""
        for path in block_files(pile.folder) if pile.folder and self.holds else ():
            with suppress(OSError):  # it is the trouble that is said already
                path.unlink(missing_ok=True)

    def _hold(self, folder: Path) -> bool:
        """Hold the folder's lock until the gathering ends; returns whether another process had to be waited for."""
        atomic.make_folder(folder)
        waited, moved, before = False, time.monotonic(), -1
        while True:
            if (who := lock.holder(folder)) is None:
                try:
                    self._stack.enter_context(lock.hold(folder))
                except RunError:
                    if lock.holder(folder) is None:
                        raise
                else:
                    self.holds = True
                    atomic.sweep(folder)
                    return waited
            waited, here = True, len(block_files(folder))
            if here != before:
                moved, before = time.monotonic(), here
                self._job.progress(min(here * self._job.step, len(self._job.stored)), len(self._job.stored))
            if time.monotonic() - moved > _PATIENCE_S:
                raise RunError(f"{who} holds {folder} and has done nothing for {_PATIENCE_S:.0f} s")
            time.sleep(_POLL_S)

    def _believed(self, folder: Path) -> Table | None:
        """Open the table if each of its files is as it was and each of its images as it was written."""
        table, stored, count = open_table(folder), self._job.stored, len(self._job.stored)
        if table is None or len(table.records) != count:
            return None
        stale: list[int] = []
        for start in range(0, count, _CHECKED_ROWS):
            stale += (start + np.flatnonzero(~fresh(table.records[start : start + _CHECKED_ROWS], stored, start))).tolist()
        found = dict(zip(stale, self._pool.map(partial(_read_again, stored, table), stale), strict=True))
        if None in found.values():
            return None
        if not all(self._pool.map(table.is_sound, range(len(table.row_starts) - 1))):
            return None
        self._note_use(table, {row: record for row, record in found.items() if record is not None and record["settled"]})
        return table

    def _note_use(self, table: Table, stamps: dict[int, np.void]) -> None:
        """Write down that a table was used just now, and new stamps of files whose bytes are the same; a cache that is only read stays as it is."""
        with suppress(OSError, ResourceError, RunError):
            os.utime(table.folder)
            if stamps and lock.holder(table.folder) is None:
                records = np.array(table.records)
                for row, record in stamps.items():
                    records[row] = record
                with lock.hold(table.folder):
                    replace_records(table, records)
