"""Memory that is freed and asked for anew again and again: kept by the process, where glibc would give it back each time."""

from __future__ import annotations

import contextlib
import ctypes
import threading
from collections.abc import Iterator
from typing import Final

# glibc's names for what mallopt sets, from malloc.h. What it grows to by itself, at most, as a program frees large blocks (mallopt(3)), is set afterwards: its
# beginning, 128 KiB, would make all that follows slower, and once it was set it no longer grows.
_TRIM_THRESHOLD: Final = -1
_MMAP_THRESHOLD: Final = -3
_USUAL: Final = 32 * 2**20
_KEPT: Final = 2**30

_lock = threading.Lock()
_within = 0  # how many ask for it now


@contextlib.contextmanager
def freed_kept() -> Iterator[None]:
    """Keep freed blocks of less than 1 GiB for what comes next, and give them back to the system at the end; other C libraries are left as they are.

    A training step frees all its maps and the next one asks for them anew, as decoding does with each photo. Given back and mapped again, each page is
    cleared each time: a tenth of the time.
    """
    global _within
    with _lock:
        _within += 1
        if _within == 1:
            _set(_KEPT)
    try:
        yield
    finally:
        with _lock:
            _within -= 1
            if _within == 0:
                _set(_USUAL)


def _set(threshold: int) -> None:
    library = ctypes.CDLL(None)
    if hasattr(library, "mallopt"):
        library.mallopt(_MMAP_THRESHOLD, threshold)
        library.mallopt(_TRIM_THRESHOLD, threshold)
        if threshold == _USUAL:
            library.malloc_trim(0)
