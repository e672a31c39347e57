"""Decoded images on the disk: blocks while they come in, then one table whose images are mapped into memory.

A table is a folder: `table.json` (sealed by its SHA-256, written last) names `images-*` (uint8, row after row) and `records-*` (RECORD, row
after row) and holds a checksum (CRC-32) of each block of both. None of these files is ever changed: new ones are written beside them and
table.json is replaced, so that a process that has mapped the old ones goes on with them.
"""

from __future__ import annotations

import hashlib
import mmap
import os
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from rung.data.blocks import RECORD, Block, Records, Texts
from rung.errors import RunError
from rung.store import arrays, atomic
from rung.store.values import dumps, loads

_VERSION: Final = 1
_SEAL: Final = "table.json"
_BLOCK: Final = "block-{:09d}.safetensors"
_PIECE_BYTES: Final = 2**22

Images = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Table:
    """A sealed table, opened: records RECORD (N,) and images uint8 (n,S,S,C) are mapped, one image for each record of state IMAGE.

    about: what table.json says; texts: what notes stand for; row_starts, image_starts: where the B blocks begin, and the ends, int64 (B+1,).
    Changing a value of the images changes this process's copy of it only.
    """

    folder: Path
    records: Records
    images: Images
    about: Mapping[str, Any]
    texts: Texts
    row_starts: npt.NDArray[np.int64]
    image_starts: npt.NDArray[np.int64]
    _sound: dict[int, bool] = field(default_factory=dict)

    def is_sound(self, block: int) -> bool:
        """Return whether the images of a block are as they were written; each is read once."""
        if block not in self._sound:
            start, end = self.image_starts[block : block + 2].tolist()
            row = int(np.prod(self.images.shape[1:]))
            try:
                found = _checksum(self.folder / self.about["images"], start * row, (end - start) * row)
            except FileNotFoundError:  # the table has been replaced, and what is mapped stays
                found = zlib.crc32(self.images[start:end].data)
            self._sound[block] = found == self.about["blocks"][block]["images_crc"]
        return self._sound[block]


def open_table(folder: Path) -> Table | None:
    """Open the table of a folder, None if there is none or it is damaged; records are compared with their checksums, images only by is_sound."""
    for _ in range(3):  # another process may replace the table between two looks
        try:
            return _opened(folder)
        except FileNotFoundError:
            if not (folder / _SEAL).exists():
                return None
        except (OSError, ValueError, KeyError, TypeError):
            return None
    return None


def _opened(folder: Path) -> Table:
    sealed = loads(atomic.read_bytes(folder / _SEAL))
    about = sealed["table"]
    if sealed["version"] != _VERSION or _seal_of(about) != sealed["sha256"]:
        raise ValueError("the seal is broken")
    records = _mapped(folder / about["records"]).view(RECORD)
    images = _mapped(folder / about["images"]).reshape(-1, about["side"], about["side"], about["channels"])
    row_starts, image_starts = (np.concatenate([[0], np.cumsum([block[what] for block in about["blocks"]])]).astype(np.int64) for what in ("rows", "images"))
    if (len(records), len(images)) != (row_starts[-1], image_starts[-1]):
        raise ValueError("a file is shorter or longer than it was written")
    for block, start, end in zip(about["blocks"], row_starts, row_starts[1:], strict=False):
        if zlib.crc32(records[start:end].view(np.uint8).data) != block["records_crc"]:
            raise ValueError("records are damaged")
    return Table(folder, records, images, about, tuple(tuple(own) for own in about["texts"]), row_starts, image_starts)


def _seal_of(about: Mapping[str, Any]) -> str:
    return hashlib.sha256(dumps(dict(about)).encode()).hexdigest()


def _mapped(path: Path) -> Images:
    with open(path, "rb") as file:
        if not os.fstat(file.fileno()).st_size:
            return np.empty(0, np.uint8)
        try:
            content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)  # like an array of one's own: torch warns of what cannot be written
        except OSError:  # a kernel that will not promise so many bytes that could be changed
            content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    return np.frombuffer(content, np.uint8)


def _checksum(path: Path, start: int, count: int) -> int:
    """Read bytes past the mapping, for its pages would count as this process's memory; -1 if the file is too short."""
    buffer, checksum = memoryview(bytearray(max(1, min(count, _PIECE_BYTES)))), 0
    with open(path, "rb", buffering=0) as file:
        file.seek(start)
        while count:
            read = file.readinto(buffer[: min(count, len(buffer))])
            if not read:
                return -1
            checksum, count = zlib.crc32(buffer[:read], checksum), count - read
    return checksum


def write_block(folder: Path, start: int, block: Block) -> None:
    """Keep the block whose first row is `start` until the table is sealed; raises ResourceError or RunError."""
    content = {"records": block.records.view(np.uint8), "pixels": block.pixels}
    arrays.write(folder / _BLOCK.format(start), content, {"texts": block.texts, "crc": _checksum_of(block)})


def read_block(folder: Path, start: int) -> Block | None:
    """Return a block that was kept, None if there is none or it is damaged."""
    try:
        content, about = arrays.read(folder / _BLOCK.format(start))
        block = Block(content["records"].view(RECORD), content["pixels"], tuple(tuple(own) for own in about["texts"]))
        return block if about["crc"] == _checksum_of(block) else None
    except (RunError, ValueError, KeyError, TypeError):
        return None


def block_files(folder: Path) -> list[Path]:
    """Return the files of the blocks that are kept in a folder."""
    return sorted(folder.glob("block-*"))


def _checksum_of(block: Block) -> int:
    return zlib.crc32(block.pixels.data, zlib.crc32(block.records.view(np.uint8).data))


def seal(folder: Path, parts: Callable[[], Iterable[tuple[Records, Images]]], texts: Texts, about: Mapping[str, Any]) -> None:
    """Write the table of a folder from parts of records (n,) and their images (m,S,S,C), which may be asked for more than once.

    Blocks that were kept and an older table are removed. The caller holds the lock of the folder. Raises: ResourceError or RunError.
    """
    blocks: list[dict[str, int]] = []
    records: list[Records] = []
    shape: list[tuple[int, ...]] = []

    def pieces() -> Iterator[memoryview]:
        blocks.clear()
        records.clear()
        for own, images in parts():
            blocks.append({"rows": len(own), "images": len(images), "images_crc": zlib.crc32(images.data), "records_crc": zlib.crc32(own.view(np.uint8).data)})
            records.append(own)
            shape[:] = [images.shape]
            yield images.reshape(-1).data

    name = os.urandom(8).hex()
    atomic.write_pieces(folder / f"images-{name}", pieces, int(about["bytes"]))
    atomic.write_bytes(folder / f"records-{name}", np.concatenate(records).view(np.uint8).data)
    side, channels = shape[0][2:]
    _put(folder, {**about, "images": f"images-{name}", "records": f"records-{name}", "side": side, "channels": channels, "texts": texts, "blocks": blocks})


def replace_records(table: Table, records: Records) -> None:
    """Put other records in place of a table's own; the caller holds the lock of the folder. Raises: as seal."""
    name = os.urandom(8).hex()
    blocks = []
    for block, start, end in zip(table.about["blocks"], table.row_starts, table.row_starts[1:], strict=False):
        blocks.append({**block, "records_crc": zlib.crc32(records[start:end].view(np.uint8).data)})
    atomic.write_bytes(table.folder / f"records-{name}", records.view(np.uint8).data)
    _put(table.folder, {**table.about, "records": f"records-{name}", "blocks": blocks})


def _put(folder: Path, about: Mapping[str, Any]) -> None:
    about = loads(dumps(dict(about)))
    atomic.write_json(folder / _SEAL, {"version": _VERSION, "sha256": _seal_of(about), "table": about})
    for path in folder.iterdir():
        if path.name.startswith(("images-", "records-", "block-")) and path.name not in (about["images"], about["records"]):
            path.unlink(missing_ok=True)
