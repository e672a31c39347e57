"""One writer for one folder: a lock that the kernel takes back when its holder dies, however it dies."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from rung.errors import RunError
from rung.store.atomic import done, explained
from rung.store.values import now

NAME: Final = "lock"
_WITHOUT_LOCKS: Final = (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL)
_RETRIES: Final = 500
_open_locks: set[int] = set()  # descriptors of locks of this process, to be closed in children


@dataclass(frozen=True)
class Holder:
    """Who holds a lock: process number, host name, UTC time of the start."""

    pid: int
    host: str
    started: str

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host} (since {self.started})"


@contextlib.contextmanager
def hold(folder: Path) -> Iterator[Holder | None]:
    """Hold the folder's lock (flock on folder/lock) while the block runs; gives the dead holder it was taken over from, or None.

    Raises: RunError naming the holder's pid and host if it is held, or if the folder cannot be written or has no locks.
    """
    path = folder / NAME
    owner = os.getpid()
    handle = _open(path)
    _open_locks.add(handle)
    is_taken = False
    try:
        with explained(path, 4096):
            _take(handle, path)
        is_taken = True
        dead = _read(handle)
        with explained(path, 4096):
            _write(handle, Holder(owner, socket.gethostname(), now()))
        yield dead
    finally:
        if os.getpid() == owner:  # a forked child has closed its copy already
            if is_taken:
                with contextlib.suppress(OSError):
                    os.ftruncate(handle, 0)  # an empty file says that the holder went in order
            _open_locks.discard(handle)
            with contextlib.suppress(OSError):  # a network drive that is gone says so here as well, and must not hide the first error
                os.close(handle)


def holder(folder: Path) -> Holder | None:
    """Return who holds the folder's lock now, or None; the folder may be read-only."""
    try:
        handle = os.open(folder / NAME, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _read(handle) or Holder(0, "an unknown host", "an unknown time")
    except OSError:
        return None  # a file system without locks: nobody can hold one
    finally:
        os.close(handle)
    return None


@contextlib.contextmanager
def wait_for(handle: int, path: Path) -> Iterator[None]:
    """Hold the lock of an open file while the block runs, waiting until it is free; for writes that take milliseconds.

    Raises: RunError if the file system has no locks.
    """
    owner = os.getpid()
    _open_locks.add(handle)
    try:
        _flock(handle, fcntl.LOCK_EX, path)
        yield
    finally:
        if os.getpid() == owner:
            _open_locks.discard(handle)
            fcntl.flock(handle, fcntl.LOCK_UN)


def _open(path: Path) -> int:
    return done(path, 4096, lambda: os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666))


def _take(handle: int, path: Path) -> None:
    for _ in range(_RETRIES):
        with contextlib.suppress(BlockingIOError):
            return _flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB, path)
        try:
            _flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB, path)
        except BlockingIOError:
            who = _read(handle)
            raise RunError(f"{path.parent} is in use by {who or 'another process'}: wait until it ends, or end it; two at once would spoil the run") from None
        # Only readers that ask holder() were there, each for microseconds: step aside and try again.
        _flock(handle, fcntl.LOCK_UN, path)
        time.sleep(0.002)
    raise RunError(f"the lock {path} was never free in {_RETRIES} tries, though nobody holds it: try again")


def _flock(handle: int, operation: int, path: Path) -> None:
    try:
        fcntl.flock(handle, operation)
    except OSError as error:
        if error.errno in _WITHOUT_LOCKS:
            raise RunError(
                f"the file system of {path.parent} keeps no locks ({error.strerror}), so two processes could spoil one run: "
                "choose a folder on a local disk with --out, or mount the network drive with locks"
            ) from error
        raise


def _read(handle: int) -> Holder | None:
    try:
        values = json.loads(os.pread(handle, 4096, 0))
        return Holder(int(values["pid"]), str(values["host"]), str(values["started"]))
    except (ValueError, KeyError, TypeError):
        return None


def _write(handle: int, who: Holder) -> None:
    text = (json.dumps(asdict(who)) + "\n").encode()
    os.pwrite(handle, text, 0)
    os.ftruncate(handle, len(text))


def _forget_in_child() -> None:
    # A forked child shares the parent's open file, and with it the lock: closed here, so that only the parent's life holds it.
    for handle in _open_locks:
        with contextlib.suppress(OSError):
            os.close(handle)
    _open_locks.clear()


os.register_at_fork(after_in_child=_forget_in_child)
