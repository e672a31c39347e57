"""N51, N52: data on a network drive that drops are read again, and no file is left out for it."""

from __future__ import annotations

import errno
import io
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from rung.data import drive
from rung.data.decode import UnreadableImage, read_file
from rung.data.drive import DriveGone, SteadyFile
from rung.data.formats import archives
from rung.data.load import load
from rung.errors import DataError
from rung.recipe import Data, Pixels
from rung.store import atomic


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that were waited, without waiting."""
    waited: list[float] = []
    monkeypatch.setattr(atomic.time, "sleep", waited.append)
    return waited


def failing(times: list[int], number: int, real: Callable[..., Any], concerns: Callable[..., bool] = lambda *_: True) -> Callable[..., Any]:
    """Return a stand-in for a call that fails `times[0]` times with an error number where it concerns the drive."""

    def call(*arguments: Any, **options: Any) -> Any:
        if times[0] and concerns(*arguments):
            times[0] -= 1
            raise OSError(number, os.strerror(number))
        return real(*arguments, **options)

    return call


class Dropping(io.FileIO):
    """A file on a drive: `left[0]` reads fail, and what was open then stays stale for good."""

    left: ClassVar = [0]
    opened = 0
    number = errno.ESTALE

    def __init__(self, path: Path) -> None:
        Dropping.opened += 1
        self.stale = False
        super().__init__(path)

    def readinto(self, buffer: Any) -> int | None:
        if Dropping.left[0]:
            Dropping.left[0] -= 1
            self.stale = True
        if self.stale:
            raise OSError(Dropping.number, os.strerror(Dropping.number))
        return super().readinto(buffer)


@pytest.fixture
def dropping(monkeypatch: pytest.MonkeyPatch, waits: list[float]) -> type[Dropping]:
    monkeypatch.setattr(Dropping, "left", [0])
    monkeypatch.setattr(Dropping, "opened", 0)
    monkeypatch.setattr(drive.io, "FileIO", Dropping)
    return Dropping


def test_a_stale_handle_is_opened_again_at_the_same_place(tmp_path: Path, dropping: type[Dropping], waits: list[float]) -> None:
    (tmp_path / "a").write_bytes(bytes(range(256)) * 100)
    with SteadyFile(tmp_path / "a") as file:
        first = file.read(1000)
        dropping.left[0] = 3
        rest = file.readall()
        assert file.seek(-3, os.SEEK_END) == 25_597
        assert file.read(9) == b"\xfd\xfe\xff"
    assert first + rest == bytes(range(256)) * 100
    assert waits == [0.5, 1.0, 2.0]
    assert dropping.opened == 4


def npz(path: Path) -> str:
    images = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 3), dtype=np.uint8)
    np.savez_compressed(path / "a.npz", x=images, y=np.arange(40) % 4)
    return str(path / "a.npz")


def test_an_npz_file_is_read_again(tmp_path: Path, dropping: type[Dropping], waits: list[float]) -> None:
    source = Data(sources=(npz(tmp_path),))
    calm = load(source, Pixels())
    dropping.left[0] = 3
    assert load(source, Pixels()).content_hash() == calm.content_hash()
    assert len(waits) == 3
    dropping.left[0] = 4
    with pytest.raises(DriveGone, match=r"a\.npz cannot be read: Stale file handle, and the drive did not come back in three more tries; mount it"):
        load(source, Pixels())


def test_an_archive_is_read_again(tmp_path: Path, dropping: type[Dropping], waits: list[float]) -> None:
    content = np.random.default_rng(0).bytes(300_000)
    (tmp_path / "train").write_bytes(content)
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "train", "data/train")
    dropping.left[0] = 3
    assert list(archives.members(tmp_path / "a.tar.gz", {"train"})) == [("train", content)]
    assert len(waits) == 3
    dropping.left[0] = 4
    with pytest.raises(DriveGone, match=r"gz cannot be read: Stale file handle, and the drive did not come back"):
        list(archives.members(tmp_path / "a.tar.gz", {"train"}))


@pytest.mark.parametrize("call", ["open", "scandir", "stat", "lstat"])
@pytest.mark.parametrize("number", [errno.ESTALE, errno.ETIMEDOUT])
def test_a_folder_is_read_again_and_nothing_is_left_out(
    call: str, number: int, digits_folder: Path, waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    source = Data(sources=(str(digits_folder),))
    calm = load(source, Pixels())

    def concerns(what: Any, *_: Any, **__: Any) -> bool:
        return str(digits_folder / "3") in str(what)

    times = [3]
    monkeypatch.setattr(os, call, failing(times, number, getattr(os, call), concerns))
    images = load(source, Pixels())
    assert (images.content_hash(), images.dropped) == (calm.content_hash(), ())
    assert times == [0]
    assert len(waits) >= 3
    times[0] = 10**6
    with pytest.raises(DriveGone, match=rf"cannot be read: {os.strerror(number)}, and the drive did not come back"):
        load(source, Pixels())


def test_a_bad_spot_on_a_disk_is_a_fault_of_its_file(tmp_path: Path, waits: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x").write_bytes(b"whole")
    times = [4]
    monkeypatch.setattr(os, "open", failing(times, errno.EIO, os.open, lambda path, *_: path == tmp_path / "x"))
    with pytest.raises(UnreadableImage, match=r"cannot be read \(Input/output error\)"):
        read_file(tmp_path / "x")
    assert read_file(tmp_path / "x") == b"whole"
    with pytest.raises(DataError, match=r"nothing cannot be read: No such file"):
        drive.read_bytes(tmp_path / "nothing")


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_a_read_that_the_kernel_refuses_three_times_gives_the_file(tmp_path: Path) -> None:
    """The real system call: nothing of ours stands in for it."""
    (tmp_path / "x").write_bytes(b"whole")
    code = "import sys; from rung.store import atomic; atomic._WAITS_S = (0, 0, 0); from rung.data.decode import read_file; print(read_file(sys.argv[1]))"
    told = []
    for when in ("1..3", "1..4"):
        tracer = ["strace", "-o", "/dev/null", "-P", str(tmp_path / "x"), "-e", "trace=read", "-e", f"inject=read:error=ESTALE:when={when}"]
        done = subprocess.run([*tracer, sys.executable, "-c", code, str(tmp_path / "x")], capture_output=True, text=True, check=False)
        told.append(done.stdout + done.stderr)
    assert told[0] == "b'whole'\n"
    assert "DriveGone" in told[1]
