"""Where a page is written that somebody asked for by its path."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from rung.errors import RunError
from rung.store import atomic

_LONGEST: Final = 80  # letters of a page's name, before it is shortened


def page_name(kind: str, runs: Sequence[str]) -> str:
    """Return the file name of a page about these runs, by their ids: other runs have another page; of many runs the first and a digest of all."""
    name = "-".join((kind, *runs))
    if len(name) > _LONGEST:
        name = f"{kind}-{runs[0][: _LONGEST // 2]}-and-{len(runs) - 1}-more-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
    return f"{name}.html"


def check_place(page: Path) -> None:
    """Check before any work that a page can be written there; nothing is written yet.

    Raises: RunError where the path is a folder, lies below a file, or where this user may not write.
    """
    if os.path.isdir(page):
        raise RunError(f"{page} is a folder: give a file name, such as {page / 'check.html'}")
    above = next(folder for folder in page.absolute().parents if os.path.lexists(folder))
    if not os.path.isdir(above):
        raise RunError(f"cannot write {page}: {above} is a file, not a folder; give another path, such as check.html")
    if not os.access(above, os.W_OK | os.X_OK):
        raise RunError(f"cannot write {page}: no permission to write in {above}; give the path of another folder")


def write_page(page: Path, text: str) -> None:
    """Write a page, and the folders above it that are missing. Raises: RunError or ResourceError if that cannot be."""
    atomic.make_folder(page.absolute().parent)
    atomic.write_text(page, text)
