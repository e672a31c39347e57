"""Writing files so that a crash at any moment leaves the old content or the new one, never a part of either.

The order is always: temporary file in the same folder, write, fsync, rename, fsync of the folder. Lines are added to
logs by one write and an fsync; a line that was cut off by a crash is found by the next reader and cut away by the next
writer, who holds the lock of the folder.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

from rung.errors import ResourceError, RunError, RungError
from rung.store.values import dumps, loads, to_bytes

T = TypeVar("T")

_TEMPORARY: Final = re.compile(r"\.\d+-[0-9a-f]{16}\.rung-tmp")
_CHUNK: Final = 64 << 20  # bytes of one write; Linux takes at most 2 GiB at once
_FULL: Final = (errno.ENOSPC, errno.EDQUOT)
GONE: Final = (errno.ESTALE, errno.ETIMEDOUT, errno.ENOTCONN, errno.EHOSTDOWN, errno.EHOSTUNREACH)  # what a network drive says that dropped
_DROPPED: Final = (*GONE, errno.EIO)
_WAITS_S: Final = (0.5, 1.0, 2.0)
_NO_FOLDER_SYNC: Final = (errno.EINVAL, errno.ENOTSUP, errno.EBADF)


@dataclass(frozen=True)
class Lines:
    """The rows of a .jsonl file; `torn`: the bytes of a last line that was not written to its end (empty if all are whole)."""

    rows: list[dict[str, Any]]
    torn: bytes


def write_bytes(path: Path, data: bytes | bytearray | memoryview) -> None:
    """Put `data` at `path`, whole or not at all.

    Raises: ResourceError if the disk or the quota is full, RunError if the folder cannot be written; the old file stays.
    """
    view = memoryview(data).cast("B")
    write_pieces(path, lambda: [view], view.nbytes)


def write_pieces(path: Path, pieces: Callable[[], Iterable[memoryview]], needed: int) -> None:
    """Put pieces of bytes, `needed` in all, one after the other at `path`, whole or not at all; they are asked for again while the drive drops.

    Raises: as write_bytes, and what `pieces` raises.
    """
    temporary = path.parent / f".{os.getpid()}-{os.urandom(8).hex()}.rung-tmp"  # one for all tries, so that the last leaves none behind

    def put() -> None:
        try:
            _write_new(temporary, pieces())
            os.replace(temporary, path)
        except BaseException:
            with contextlib.suppress(OSError):  # the first error is the one to report; sweep() removes what stays
                os.unlink(temporary)
            raise
        sync_folder(path.parent)

    done(path, needed, put)


def retried(action: Callable[[], T]) -> T:
    """Do the action; while the drive drops, as network drives do, do it again up to three times, a little later each time."""
    for wait_s in _WAITS_S:
        try:
            return action()
        except OSError as error:
            if error.errno not in _DROPPED:
                raise
        time.sleep(wait_s)
    return action()


def done(path: Path, needed: int, action: Callable[[], T]) -> T:
    """Do what writes `needed` bytes at `path`, again while the drive drops; raises as write_bytes."""
    with explained(path, needed):
        return retried(action)


def read_bytes(path: Path) -> bytes:
    """Return a file's content, reading again while the drive drops; raises OSError."""
    return retried(path.read_bytes)


def write_text(path: Path, text: str) -> None:
    """Put `text` at `path` in UTF-8, whole or not at all; raises as write_bytes."""
    write_bytes(path, to_bytes(text))


def write_json(path: Path, value: Any) -> None:
    """Put `value` at `path` as indented JSON, keys in their order, a newline at the end; raises as write_bytes."""
    write_bytes(path, to_bytes(dumps(value, indent=1) + "\n"))


def read_json(path: Path) -> Any:
    """Return the value of a JSON file; raises RunError if it is not there or damaged."""
    try:
        return loads(read_bytes(path))
    except OSError as error:
        raise unreadable(error, path) from error
    except ValueError as error:
        raise RunError(f"{path} is damaged: it is not JSON ({error})") from error


def append_line(path: Path, row: dict[str, Any]) -> None:
    """Add one row to a .jsonl file by one write and an fsync; the caller is the only writer (holds the lock).

    Raises: RunError if the last line is torn (keep_lines first) or the file cannot be written, ResourceError if the
    disk is full: then the file is as before.
    """
    line = encode_line(row)
    sizes: list[int] = []

    def add() -> None:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
        try:
            sizes.append(os.fstat(handle).st_size)
            if sizes[-1] > sizes[0]:  # a try before this one wrote, and could not take it back
                os.ftruncate(handle, sizes[0])
            append_to(handle, line, path)
        finally:
            os.close(handle)
        if sizes[0] == 0:  # the file may be new
            sync_folder(path.parent)

    done(path, len(line), add)


def encode_line(row: dict[str, Any]) -> bytes:
    """Return the bytes of one row of a .jsonl file, with its newline."""
    return to_bytes(dumps(row) + "\n")


def append_to(handle: int, line: bytes, path: Path) -> None:
    """Add `line` to the open file (read, write, append) and sync it; on an OSError the file is cut back to what it was."""
    size = os.fstat(handle).st_size
    if size and os.pread(handle, 1, size - 1) != b"\n":
        raise RunError(f"the last line of {path} is torn (a crash or a full disk): it must be cut off before a row is added; `rung resume` does it")
    try:
        written = os.write(handle, line)
        while written < len(line):  # a short write says that the disk is nearly full: the next one gives the error
            written += os.write(handle, line[written:])
        os.fsync(handle)
    except OSError:
        with contextlib.suppress(OSError):  # a torn line would be found and cut off by the next writer as well
            os.ftruncate(handle, size)
        raise


def read_lines(path: Path) -> Lines:
    """Return the whole rows of a .jsonl file and what is torn at its end; a file that is not there has no rows.

    Raises: RunError naming the line if one before the last is damaged, or if the file cannot be read.
    """
    try:
        content = read_bytes(path)
    except FileNotFoundError:
        return Lines([], b"")
    except OSError as error:
        raise unreadable(error, path) from error
    return split_lines(content, path)


def split_lines(content: bytes, path: Path) -> Lines:
    """Return the rows of the bytes of a .jsonl file; `path` is for messages; raises as read_lines."""
    lines = re.findall(rb"[^\n]*\n|[^\n]+", content)
    rows: list[dict[str, Any]] = []
    for number, line in enumerate(lines, 1):
        row = _row(line)
        if row is not None:
            rows.append(row)
        elif number == len(lines):
            return Lines(rows, line)
        else:
            raise RunError(f"line {number} of {path} is damaged: {line[:60]!r} is no row; {number - 1} rows before it are whole")
    return Lines(rows, b"")


def keep_lines(path: Path, count: int) -> int:
    """Keep the first `count` rows of a .jsonl file and return how many were cut off (a torn one counts); the caller holds the lock.

    Raises: RunError if there are fewer rows; as read_lines and write_bytes.
    """
    lines = read_lines(path)
    if len(lines.rows) < count:
        raise RunError(f"{path} has {len(lines.rows)} rows where {count} were written: the file was changed or cut")
    surplus = len(lines.rows) - count + bool(lines.torn)
    if surplus:
        done(path, 0, lambda: _cut(path, _end_of_line(read_bytes(path), count)))
    return surplus


def sweep(folder: Path) -> list[Path]:
    """Remove the temporary files that a killed writer left in a folder and below it, and return them; the caller holds the lock."""
    removed = []
    for place, _, names in os.walk(folder):
        for name in sorted(names):
            if is_temporary(name):
                path = Path(place, name)
                done(path, 0, partial(path.unlink, missing_ok=True))
                removed.append(path)
    return removed


def is_temporary(name: str) -> bool:
    """Return whether a file of this name is one of ours that was not finished."""
    return _TEMPORARY.fullmatch(name) is not None


def make_folder(path: Path) -> None:
    """Make a folder and those above it; raises ResourceError or RunError."""
    done(path, 4096, lambda: path.mkdir(parents=True, exist_ok=True))


def require_space(path: Path, needed: int) -> None:
    """Check that `needed` bytes are free where `path` will be written; raises ResourceError before anything is."""
    free = free_bytes(path.parent)
    if free is not None and free < needed:
        raise ResourceError(_full_message(path, needed, errno.ENOSPC))


def free_bytes(folder: Path) -> int | None:
    """Return how many bytes this user may still write in a folder; None where the file system does not say."""
    try:
        status = os.statvfs(folder)
    except OSError:
        return None
    return status.f_bavail * status.f_frsize if status.f_blocks else None


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable; file systems without such a call are left to their own order."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in _NO_FOLDER_SYNC:
            raise
    finally:
        os.close(handle)


@contextlib.contextmanager
def explained(path: Path, needed: int) -> Iterator[None]:
    """Turn an OSError of writing `needed` bytes at `path` into the project's error."""
    try:
        yield
    except OSError as error:
        raise explanation(error, path, needed) from error


def explanation(error: OSError, path: Path, needed: int) -> RungError:
    """Return the ResourceError or RunError that says what could not be written, why, and what to do."""
    if error.errno in _FULL:
        return ResourceError(_full_message(path, needed, error.errno))
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        reason = "the file system is read-only" if error.errno == errno.EROFS else "no permission"
        return RunError(f"cannot write {path}: {reason}; choose a folder that you may write with --out, or copy the run there")
    if error.errno in _DROPPED:
        dropped = f"{error.strerror} in four tries: the drive has dropped or is broken"
        return RunError(f"cannot write {path}: {dropped}; what was saved before is kept: bring it back, then {_onward(path)}")
    return RunError(f"cannot write {path}: {error.strerror or error}")


def exists(path: Path) -> bool:
    """Return whether a file or folder is there; raises RunError where the drive does not say, which is no No."""
    try:
        retried(partial(os.stat, path))
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise unreadable(error, path) from error
    return True


def unreadable(error: OSError, path: Path) -> RunError:
    """Return the RunError that says what could not be read and why."""
    return RunError(f"cannot read {path}: {reason(error)}")


def reason(error: OSError) -> str:
    """Return in words why something failed, with what to do if it is the drive."""
    return (
        f"{error.strerror} in four tries: the drive has dropped or is broken; bring it back and try again" if error.errno in _DROPPED else str(error.strerror)
    )


def _full_message(path: Path, needed: int, number: int | None) -> str:
    free = free_bytes(path.parent)
    what = "your quota is used up" if number == errno.EDQUOT else "the disk is full"
    space = "an unknown number" if free is None else f"{free:,}"
    return f"cannot write {path}: {what} ({needed:,} bytes needed, {space} free); what was saved before is kept: make room, then {_onward(path)}"


def _onward(path: Path) -> str:
    """Return the command that goes on with the run which a file belongs to; a drive that is gone may not say which one that is."""
    for folder in path.parents:
        try:
            os.stat(folder / "recipe.toml")
            os.stat(folder / "checkpoints")  # `rung new` puts a recipe.toml into folders that are no run
        except OSError as error:
            if error.errno in _DROPPED:
                return "go on with the run by `rung resume`"
        else:
            return f"`rung resume {folder}`"
    return "run the command again"


def _write_new(path: Path, pieces: Iterable[memoryview]) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
    try:
        for piece in pieces:
            view = piece
            while view:
                view = view[os.write(handle, view[:_CHUNK]) :]
        os.fsync(handle)
    finally:
        os.close(handle)


def _row(line: bytes) -> dict[str, Any] | None:
    if not line.endswith(b"\n"):
        return None
    try:
        row = loads(line)
    except ValueError:
        return None
    return row if isinstance(row, dict) else None


def _end_of_line(content: bytes, count: int) -> int:
    """Return where the first `count` lines end."""
    end = 0
    for _ in range(count):
        end = content.index(b"\n", end) + 1
    return end


def _cut(path: Path, size: int) -> None:
    handle = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        os.ftruncate(handle, size)
        os.fsync(handle)
    finally:
        os.close(handle)
