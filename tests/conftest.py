"""Data that tests of several parts need: real CIFAR images where RUNG_TEST_DATA names them, digits as files."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.torture.forks import Forks


def make_layout(what: str, *arguments: str) -> None:
    """Run `cifar.py` of $RUNG_TEST_DATA, which writes the real images in one of the layouts that users have."""
    folder = os.environ.get("RUNG_TEST_DATA")
    if not folder:
        pytest.skip("RUNG_TEST_DATA is not set: it names the folder that holds cifar.py and the real images")
    subprocess.run([sys.executable, str(Path(folder) / "cifar.py"), what, *arguments], check=True, timeout=120)


@pytest.fixture(scope="session", autouse=True)
def _cache_of_the_tests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep decoded images of tests out of the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RUNG_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def cifar_official(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder, as RUNG_DATA names it, that holds cifar-10-batches-py with real images."""
    folder = tmp_path_factory.mktemp("official")
    make_layout("official", "cifar10", str(folder))
    return folder


@pytest.fixture(scope="session")
def digits_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of ten class folders with thirty real digits each, grey PNG files of 8 x 8 pixels; not to be changed."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    folder = tmp_path_factory.mktemp("folders") / "digits"
    for label in range(10):
        (folder / str(label)).mkdir(parents=True)
        for row in np.flatnonzero(digits.target == label)[:30]:
            Image.fromarray(np.rint(digits.images[row] * 255 / 16).astype(np.uint8)).save(folder / str(label) / f"{row:04d}.png")
    return folder


@pytest.fixture(scope="session")
def forks() -> Iterator[Forks]:
    """The process that runs the command line in forked children: `forks.run(["train", "digits"], folder)`."""
    with Forks() as process:
        yield process
