"""The twins of a data set, found once: kept in the user's cache where finding them took more than a moment."""

from __future__ import annotations

import hashlib
import os
import time
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

import numpy as np

from rung.data.cache import code, place
from rung.data.imageset import ImageSet
from rung.data.twins import Twins, find_twins
from rung.errors import ResourceError, RunError
from rung.store import arrays, atomic

_CODE: Final = ("data.align", "data.nearby", "data.pixels", "data.resize", "data.sketch", "data.tints", "data.twins", "keys")
_CHUNK: Final = 2**24  # bytes hashed at once


def kept_twins(images: ImageSet, say: Callable[[str], None] = lambda sentence: None) -> Twins:
    """Return `find_twins(images)`, from the cache of this user where it was found before by the same code.

    say(sentence) hears why what was found cannot be kept.
    """
    cache = place()
    if cache is None:
        return find_twins(images)
    path = cache.twins(_key(images))
    stored = _stored(path)
    if stored is not None:
        return stored
    started = time.perf_counter()
    found = find_twins(images)
    if time.perf_counter() - started > cache.worth_s:
        try:
            _keep(path, found, images)
        except (ResourceError, RunError) as trouble:
            say(f"near-duplicates are not kept in the cache: {trouble}")
    return found


def _stored(path: Path) -> Twins | None:
    """Return the twins of a file, None if there is none or it is damaged: they are found and written anew then."""
    if not path.exists():
        return None
    try:
        stored, about = arrays.read(path)
    except RunError:
        return None
    twins = Twins(stored["pairs"], stored["exact"], stored["likeness"], about["doubted"])
    if about["crc"] != _checksum(twins):
        return None
    with suppress(OSError):  # a cache that is only read stays as it is
        os.utime(path.parent)  # it was used just now
    return twins


def _keep(path: Path, twins: Twins, images: ImageSet) -> None:
    atomic.make_folder(path.parent)
    content = {"pairs": twins.pairs, "exact": twins.exact, "likeness": twins.likeness}
    arrays.write(path, content, {"source": images.name, "images": len(images), "doubted": twins.doubted, "crc": _checksum(twins)})


def _checksum(twins: Twins) -> int:
    checksum = 0
    for column in (twins.pairs, twins.exact, twins.likeness):
        checksum = zlib.crc32(np.ascontiguousarray(column).data, checksum)
    return checksum


def _key(images: ImageSet) -> str:
    """Return a digest of all that decides the twins: the pixels as prepared, which images are equal, and the code."""
    digest = hashlib.sha256(code(*_CODE).encode() + repr(images.images.shape).encode())
    step = max(1, _CHUNK // images.images[0].size)
    for start in range(0, len(images), step):
        digest.update(np.ascontiguousarray(images.images[start : start + step]).data)
    digest.update(np.ascontiguousarray(images.digests).data)
    return digest.hexdigest()
