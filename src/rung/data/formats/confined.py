"""Reading a stranger's pickled table in a child process that can do nothing else: few bytes, little time, no file, no network.

What the pickle asks for is held to an allow-list in any case (see `pickles`); the child is the second wall. It is given the open file
and a pipe, gives up the right to open anything more, and only then looks at the first byte. What it writes is not trusted either.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import struct
import subprocess
import sys
from math import prod
from pathlib import Path
from typing import Any, BinaryIO, Final, NoReturn

import numpy as np
import numpy.typing as npt

from rung.errors import DataError

Array = npt.NDArray[Any]

MAX_BYTES: Final = 2**30
_LEAST_ROOM: Final = 256 * 2**20
_ROOM_FACTOR: Final = 5  # the content as read, its columns, the answer
_LEAST_SECONDS: Final = 10
_BYTES_A_SECOND: Final = 2_000_000  # far below what the slowest machine reads
_PROGRAM: Final = "import sys; sys.path.insert(0, sys.argv[1]); from rung.data.formats.confined import answer; answer(sys.argv[2])"


def columns(path: Path) -> dict[str, Array]:
    """Return the columns of a pickled pandas table, each (N,): numbers, or Python texts (dtype object).

    Raises: DataError naming what was refused, or the limit that was met.
    """
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size > MAX_BYTES:
                raise DataError(f"{path} has {size:,} bytes, more than {MAX_BYTES:,}: it is refused")
            return _parsed(_child(file, path, size), path)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from None


def _child(file: BinaryIO, path: Path, size: int) -> bytes:
    sources = str(Path(__file__).parents[3])
    command = [sys.executable, "-I", "-c", _PROGRAM, sources, str(path)]
    seconds = _seconds(size)
    try:
        done = subprocess.run(command, stdin=file, capture_output=True, timeout=10 * seconds, env={"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"})
    except subprocess.TimeoutExpired:
        raise DataError(f"{path} took more than {10 * seconds} s to read: it is refused") from None
    if done.returncode:
        why = f"more than {seconds} s of processor time" if done.returncode == -signal.SIGXCPU else f"signal {-done.returncode}" if done.returncode < 0 else ""
        words = done.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2]
        raise DataError(f"{path} could not be read: the process that read it ended ({why or words or done.returncode}): it is refused")
    return done.stdout


def _seconds(size: int) -> int:
    return _LEAST_SECONDS + size // _BYTES_A_SECOND


def _parsed(content: bytes, path: Path) -> dict[str, Array]:
    """Return the columns from what the child wrote: the length of a JSON head, the head, the bytes of all numbers.

    Raises: DataError with the problem that the child names, or for an answer that is none.
    """
    try:
        (length,) = struct.unpack_from("<Q", content)
        head = json.loads(content[8 : 8 + length])
        problem = head.get("problem")
        found = {} if problem else _columns(head["columns"], content, 8 + length)
    except (struct.error, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path}: the process that read it gave no answer that can be used ({error}): it is refused") from None
    if problem:
        raise DataError(str(problem))
    return found


def _columns(head: Any, content: bytes, at: int) -> dict[str, Array]:
    found: dict[str, Array] = {}
    for name, kind, held in head:
        if kind == "text":
            found[str(name)] = np.array(held, dtype=object)
            continue
        column = np.frombuffer(content, np.dtype(kind), prod(held), at)
        found[str(name)] = column
        at += column.nbytes
    return found


def answer(origin: str) -> NoReturn:
    """Read a pickled table from standard input and write its columns, or what is wrong with it, to standard output; this is the child."""
    from rung.data.formats import frame_records

    size = os.fstat(0).st_size
    confine(_ROOM_FACTOR * size + _LEAST_ROOM, _seconds(size))
    try:
        _write(frame_records.columns(sys.stdin.buffer.read(), origin))
    except DataError as error:
        _put({"problem": str(error)})
    except MemoryError:
        _put({"problem": f"{origin} needs more than {_ROOM_FACTOR} times its size in memory: it is refused"})
    sys.stdout.buffer.flush()
    os._exit(0)


def confine(room_bytes: int, seconds: int) -> None:
    """Give up, for good: more memory than now and `room_bytes`, more processor time than `seconds`, new files, sockets and processes."""
    limits = {
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_NPROC: 0,
        resource.RLIMIT_NOFILE: 0,  # what is open stays open; nothing more can be, neither file nor socket
    }
    statistics = Path("/proc/self/statm")
    if statistics.exists():  # only Linux says how much is in use, and only Linux holds to the limit
        pages = int(statistics.read_text().split()[0])
        limits |= {resource.RLIMIT_AS: pages * resource.getpagesize() + room_bytes}
    for limit, value in limits.items():
        resource.setrlimit(limit, (value, value))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))  # at the first it is told why it ends, at the second it is killed


def _write(found: dict[str, Array]) -> None:
    head: list[tuple[str, str, Any]] = []
    numbers: list[Array] = []
    for name, column in found.items():
        if column.dtype.kind in "OSU":
            head.append((name, "text", [value if value is None else str(value) for value in column.tolist()]))
        else:
            head.append((name, column.dtype.str, column.shape))
            numbers.append(column)
    _put({"columns": head})
    for column in numbers:
        sys.stdout.buffer.write(np.ascontiguousarray(column).data)


def _put(head: dict[str, Any]) -> None:
    text = json.dumps(head).encode()
    sys.stdout.buffer.write(struct.pack("<Q", len(text)) + text)
