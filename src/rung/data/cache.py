"""Where decoded images are kept between runs, under which key, and how they are cleared away.

A table's key is the rule that its pixels were made by (the fields of `pixels` up to the 8-bit image, the code that carries them out, the
versions of the decoders) and the addresses of its files in their order. Whether those files are still the same is asked each time it is
opened (known.py).
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
from rung.recipe import Pixels
from rung.store import atomic, lock
from rung.store.values import dumps

_FIELDS: Final = ("size", "colour", "fit", "filter", "antialias", "background", "reduced_jpeg")
_CODE: Final = ("blocks", "decode", "files", "imageset", "pixels", "resize", "sniff")
_DECODERS: Final = ("pil", "libjpeg_turbo", "jpg", "zlib", "zlib_ng", "webp", "libtiff")
_OFF: Final = ("off", "no", "0", "")


@dataclass(frozen=True)
class Cache:
    """A folder of tables. worth_s: what is decoded in fewer seconds is not kept."""

    root: Path
    worth_s: float = 1.0

    def folder(self, stored: Stored, pixels: Pixels) -> Path:
        """Return where the table of these images lies, or would lie."""
        digest = hashlib.sha256()
        for row in range(len(stored)):
            digest.update(os.fsencode(stored.address(row)) + b"\0")
        return self.root / hashlib.sha256(dumps(rule(pixels)).encode()).hexdigest()[:16] / digest.hexdigest()[:24]

    def tables(self, near: Path) -> list[Table]:
        """Open the tables of one rule: those beside the folder `near`, and its own."""
        return [table for folder in _folders(near.parent) if (table := open_table(folder))]


@dataclass(frozen=True)
class Kept:
    """One table: its folder, the name of its data, how many images it holds, its bytes on the disk, for how long it was not used, in seconds."""

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
    return {**fields, "code": _code(), **{name: features.version(name) for name in _DECODERS}}


@lru_cache(maxsize=1)
def _code() -> str:
    """Return a digest of the code between a file and its 8-bit image, so that no change of it can be forgotten here."""
    digest = hashlib.sha256()
    for name in _CODE:
        digest.update(Path(str(importlib.import_module(f"rung.data.{name}").__file__)).read_bytes())
    return digest.hexdigest()[:16]


def kept(cache: Cache) -> list[Kept]:
    """List what a cache holds, the longest unused first."""
    found = [_kept(folder) for rules in _folders(cache.root) for folder in _folders(rules)]
    return sorted(found, key=lambda one: -one.unused_s)


def _kept(folder: Path) -> Kept:
    table = open_table(folder)
    statuses = [path.stat() for path in folder.iterdir()]
    source = str(table.about["source"]) if table else "(not finished)"
    unused_s = max(0.0, time.time() - max((status.st_mtime for status in statuses), default=0.0))
    return Kept(folder, source, len(table.images) if table else 0, sum(status.st_size for status in statuses), unused_s)


def clear(cache: Cache, unused_s: float = 0.0) -> list[Kept]:
    """Remove the tables that were not used for so many seconds, and return them; a process that has one open keeps it until it ends.

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
