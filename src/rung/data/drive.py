"""Reading from drives that can drop for a moment, as network drives do: tried again, and never taken for a fault of a file."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar, final

from rung.errors import DataError
from rung.store import atomic

T = TypeVar("T")


class DriveGone(DataError):
    """The drive that holds the data does not answer; none of its files is at fault."""


def steadily(path: Path | str, action: Callable[[], T]) -> T:
    """Do what reads `path`, three times more while the drive drops.

    Raises: DriveGone if it does not come back; every other OSError as it is.
    """
    try:
        return atomic.retried(action)
    except OSError as error:
        if error.errno in atomic.GONE:
            raise DriveGone(f"{path} cannot be read: {error.strerror}, and the drive did not come back in three more tries; mount it and start again") from None
        raise


def read_bytes(path: Path) -> bytes:
    """Return a file's content; raises DataError where it cannot be read."""
    try:
        return steadily(path, path.read_bytes)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from None


@final
class SteadyFile(io.RawIOBase):
    """A file open for reading that is opened again, at the same place, when the drive drops: an old handle stays stale for good."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._at = 0
        self._file: io.FileIO | None = None
        self._steadily(lambda file: None)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        self._at = self._steadily(lambda file: file.seek(offset, whence))
        return self._at

    def readinto(self, buffer: bytearray | memoryview, /) -> int | None:  # type: ignore[override]
        count = self._steadily(lambda file: file.readinto(buffer))
        self._at += count or 0
        return count

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
        super().close()

    def _steadily(self, action: Callable[[io.FileIO], T]) -> T:
        def once() -> T:
            if self._file is None:
                self._file = io.FileIO(self._path)
                self._file.seek(self._at)
            try:
                return action(self._file)
            except OSError:
                self._file.close()
                self._file = None
                raise

        return steadily(self._path, once)
