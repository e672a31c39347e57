"""Where decoded images, and what was found in them, are kept between runs, under which key, and how they are cleared away.

A table's key is the rule that its pixels were made by (the fields of `pixels` up to the 8-bit image, the code that carries them out, the
versions of the decoders) and the addresses of its files in their order. Whether those files are still the same is asked each time it is
opened (known.py). The near-duplicates of a data set lie beside the tables, each set in a folder of its own (twins_kept.py).
"""

from __future__ import annotations

import hashlib
import importlib
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from PIL import features

from rung.data.found import Stored
from rung.data.table import Table, open_table
from rung.errors import RunError
from rung.recipe import Pixels
from rung.store import arrays, atomic, lock
from rung.store.values import dumps

_FIELDS: Final = ("size", "colour", "fit", "filter", "antialias", "background", "reduced_jpeg")
_CODE: Final = ("data.blocks", "data.decode", "data.files", "data.imageset", "data.pixels", "data.resize", "data.sniff")
_DECODERS: Final = ("pil", "libjpeg_turbo", "jpg", "zlib", "zlib_ng", "webp", "libtiff")
_OFF: Final = ("off", "no", "0", "")
_TWINS: Final = "twins.safetensors"


@dataclass(frozen=True)
class Cache:
    """A folder of tables and of twins. worth_s: what takes fewer seconds is not kept."""

    root: Path
    worth_s: float = 1.0

    def folder(self, stored: Stored, pixels: Pixels) -> Path:
        """Return where the table of these images lies, or would lie."""
        digest = hashlib.sha256()
        for row in range(len(stored)):
            digest.update(os.fsencode(stored.address(row)) + b"\0")
        return self.root / hashlib.sha256(dumps(rule(pixels)).encode()).hexdigest()[:16] / digest.hexdigest()[:24]

    def twins(self, key: str) -> Path:
        """Return the file of the twins that were found under a key, or would be kept under it, in a folder of its own."""
        return self.root / "twins" / key[:24] / _TWINS

    def tables(self, near: Path) -> list[Table]:
        """Open the tables of one rule: those beside the folder `near`, and its own."""
        return [table for folder in _folders(near.parent) if (table := open_table(folder))]


@dataclass(frozen=True)
class Kept:
    """One table, or the twins of one data set: the folder, what it holds, of how many images, bytes on the disk, seconds since it was used."""

    folder: Path
    source: str
    images: int
    bytes: int
    unused_s: float


def place() -> Cache | None:
    """Return the cache of this user: $RUNG_CACHE, else `images` in rung's folder of the user's cache; None where RUNG_CACHE is off."""
    named = os.environ.get("RUNG_CACHE")
    if named is not None:
        return None if named.lower() in _OFF else Cache(Path(named).expanduser())
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Cache(Path(base) / "rung" / "images")


def rule(pixels: Pixels) -> dict[str, Any]:
    """Return all that decides the 8-bit image of a file, as plain values."""
    fields = pixels.model_dump(mode="json", include=set(_FIELDS))
    return {**fields, "code": code(*_CODE), **{name: features.version(name) for name in _DECODERS}}


@lru_cache
def code(*modules: str) -> str:
    """Return a digest of the code of these modules of rung, so that no change of it can be forgotten in a key."""
    digest = hashlib.sha256()
    for name in modules:
        digest.update(Path(str(importlib.import_module(f"rung.{name}").__file__)).read_bytes())
    return digest.hexdigest()[:16]


def kept(cache: Cache) -> list[Kept]:
    """List what a cache holds, the longest unused first."""
    found = [_kept(folder) for rules in _folders(cache.root) for folder in _folders(rules)]
    return sorted(found, key=lambda one: -one.unused_s)


def _kept(folder: Path) -> Kept:
    source, images = _content(folder)
    statuses = [path.stat() for path in folder.iterdir()]
    unused_s = max(0.0, time.time() - max(status.st_mtime for status in (folder.stat(), *statuses)))  # the folder's time is set at each use
    return Kept(folder, source, images, sum(status.st_size for status in statuses), unused_s)


def _content(folder: Path) -> tuple[str, int]:
    """Return what a folder holds, in words, and of how many images."""
    if table := open_table(folder):
        return str(table.about["source"]), len(table.images)
    try:
        _, about = arrays.read(folder / _TWINS)
    except RunError:
        return "(not finished)", 0
    return f"near-duplicates in {about['source']}", int(about["images"])


def clear(cache: Cache, unused_s: float = 0.0) -> list[Kept]:
    """Remove what was not used for so many seconds, and return it; a process that has a table open keeps it until it ends.

    A table that a process fills now stays. Raises: RunError if one cannot be removed.
    """
    removed = []
    for one in kept(cache):
        if one.unused_s < unused_s or lock.holder(one.folder):
            continue
        with lock.hold(one.folder), atomic.explained(one.folder, 0):
            shutil.rmtree(one.folder)
        removed.append(one)
    for rules in _folders(cache.root):
        with suppress(OSError):  # tables are left in it
            rules.rmdir()
    return removed


def _folders(base: Path) -> Iterator[Path]:
    return (path for path in sorted(base.iterdir()) if path.is_dir()) if base.is_dir() else iter(())
