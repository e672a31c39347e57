"""The good folder that the tests of nasty inputs spoil."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.data.nasty import tree


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A good folder of two classes, to be made nasty."""
    return tree.photos(tmp_path)
