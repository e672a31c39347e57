"""What the tests of nasty inputs share: a good folder, something nasty put into it, and what is asked of the images that were read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rung.data.imageset import ImageSet
from rung.data.load import load
from rung.errors import DataError
from rung.recipe import Data, Pixels
from tests.data.nasty.tree import FILES, FOLDERS, PER_CLASS


def loaded(*sources: Path | str, pixels: Pixels | None = None, **data: Any) -> ImageSet:
    return load(Data(sources=tuple(map(str, sources)), **data), pixels or Pixels())


def built(root: Path, row: str) -> Path:
    """Make the folder of one row below `root`, and return the folder `photos` in it."""
    (root / row).mkdir()
    FOLDERS[row](root / row)
    return root / row / "photos"


def put(photos: Path, file: str) -> str:
    """Put one nasty file ("n17/none.jpg") among the cats, and return its name there."""
    name = file.partition("/")[2]
    (photos / "cat" / name).write_bytes(FILES[file]())
    return name


def of_row(row: str) -> list[str]:
    return [file for file in FILES if file.startswith(f"{row}/")]


def check_left_out(photos: Path, name: str, reason: str) -> None:
    """The one bad file is left out with its path and reason, and is an error when strict."""
    images = loaded(photos)
    assert len(images) == 2 * PER_CLASS
    assert [note.path for note in images.dropped] == [f"cat/{name}"]
    assert reason in images.dropped[0].reason
    with pytest.raises(DataError, match=r"data\.strict allows none"):
        loaded(photos, strict=True)


def check_warned(*sources: Path, words: str, **data: Any) -> ImageSet:
    """The data are read with one warning of these words, which is an error when strict."""
    images = loaded(*sources, **data)
    assert sum(words in warning for warning in images.warnings) == 1, images.warnings
    with pytest.raises(DataError, match=r"data\.strict allows no"):
        loaded(*sources, **data, strict=True)
    return images


def row_of(images: ImageSet, name: str) -> np.ndarray:
    return images.images[images.sources.index(f"cat/{name}")]


def reasons(images: ImageSet, name: str) -> str:
    return "; ".join(note.reason for note in images.repaired if note.path == f"cat/{name}")
