"""Files from strangers that attack whoever reads them: none may run, none may leave its place, each is refused in one sentence.

They are read here by the functions that read users' files, under the eyes of Python's own audit.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.torture.hostile_files import npys, npzs, pickled, tars, tensors
from benchmarks.torture.runs import fresh
from benchmarks.torture.tally import Tally
from rung.data import fetch
from rung.data.formats import frame_records, pickles
from rung.data.load import load
from rung.errors import RungError
from rung.evaluate import predictions
from rung.recipe import Data, Pixels
from rung.store import arrays, slots
from rung.training import checkpoint

Maker = Callable[[Path], dict[str, bytes]]

_ACTS = (
    "os.",
    "subprocess.",
    "socket.",
    "ctypes.",
    "shutil.",
    "pickle.find_class",
    "exec",
    "pty.",
    "urllib.",
    "http.",
    "ftplib.",
    "smtplib.",
    "webbrowser.",
    "import",
    "fcntl.",
)
_HARMLESS = ("os.scandir", "os.listdir", "os.fwalk", "os.walk", "fcntl.flock")
_seen: list[str] | None = None


def _hear(event: str, arguments: tuple[Any, ...]) -> None:
    if _seen is None:
        return
    writes = event == "open" and isinstance(arguments[2], int) and bool(arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))
    if writes or (event.startswith(_ACTS) and event not in _HARMLESS):
        _seen.append(f"{event} {arguments!r:.80}")


_is_hearing = False


@contextmanager
def watching() -> Iterator[list[str]]:
    """Give the list of what Python does while the block runs that reading a file has no need of: programs, files written, sockets, imports."""
    global _seen, _is_hearing
    if not _is_hearing:  # such a hook stays as long as the process
        sys.addaudithook(_hear)
        _is_hearing = True
        b"x".decode("cp437")  # zipfile's encoding of names, imported when it is first used
    _seen = heard = []
    try:
        yield heard
    finally:
        _seen = None


def refused(read: Callable[[], object], origin: str, around: Path, mark: Path) -> str | None:
    """Read what is hostile; return what is wrong with how that ends, or None.

    origin: what the message must name; around: the folder in which nothing may change.
    """
    before = _state(around)
    with watching() as acts:
        try:
            read()
        except RungError as error:
            message = str(error)
        except Exception as error:
            return f"ended with {type(error).__name__}: {str(error)[:200]}"
        else:
            return "was read"
    if acts:
        return f"did {'; '.join(acts[:3])}"
    if mark.exists() or _state(around) != before:
        return "left something behind"
    if "\n" in message or len(message) > 500 or origin not in message:
        return f"is refused in other words than one sentence that names it: {message[:300]!r}"
    return None


def _state(folder: Path) -> list[tuple[str, int, int]]:
    return sorted((str(path), path.lstat().st_mtime_ns, path.lstat().st_size) for path in folder.rglob("*"))


def read_pickle(content: bytes, folder: Path) -> Callable[[], object]:
    return lambda: pickles.loads(content, str(folder / "file"))


def read_table(content: bytes, folder: Path) -> Callable[[], object]:
    return lambda: frame_records.columns(content, str(folder / "file"))


def _put(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def read_archive(content: bytes, folder: Path) -> Callable[[], object]:
    os.environ["RUNG_DATA"] = str(_put(folder / fetch.CIFAR100.archive, content).parent)
    return lambda: load(Data(sources=("cifar100",)), Pixels())


def _read_path(name: str) -> Callable[[bytes, Path], Callable[[], object]]:
    def reader(content: bytes, folder: Path) -> Callable[[], object]:
        path = _put(folder / name, content)
        return lambda: load(Data(sources=(str(path),)), Pixels())

    return reader


def read_npy(content: bytes, folder: Path) -> Callable[[], object]:
    np.save(folder / "y.npy", np.array([0, 1]))
    return _read_path("x.npy")(content, folder)


def read_arrays(content: bytes, folder: Path) -> Callable[[], object]:
    path = _put(folder / "file", content)
    return lambda: arrays.read(path)


def read_predictions(content: bytes, folder: Path) -> Callable[[], object]:
    path = _put(folder / "file", content)
    return lambda: predictions.load(path)


def read_checkpoint(content: bytes, folder: Path) -> Callable[[], object]:
    slots.commit(folder, "best", content, {"step": 1}, {})  # with a right SHA-256, from somebody else
    return lambda: checkpoint.load(folder, "best")


Reader = Callable[[bytes, Path], Callable[[], object]]
KINDS: dict[str, tuple[str, Maker, tuple[Reader, ...]]] = {
    "pickles": ("pickles, in the place of CIFAR files and of pandas tables", pickled, (read_pickle, read_table)),
    "archives": ("tar archives in the place of an official one", tars, (read_archive,)),
    "arrays": (".npy and .npz files", lambda mark: npys(mark) | npzs(mark), ()),
    "tensors": ("safetensors files in the place of arrays, predictions and checkpoints", tensors, (read_arrays, read_predictions, read_checkpoint)),
}


def readers(kind: str, name: str, mark: Path) -> tuple[Reader, ...]:
    """Return the functions that a hostile file of a kind is given to."""
    if kind == "arrays":
        return (read_npy,) if name in npys(mark) else (_read_path("x.npz"),)
    return KINDS[kind][2]


def judge(kind: str, name: str, content: bytes, folder: Path, mark: Path) -> str | None:
    """Give a hostile file, in a folder of its own, to each function that reads its kind; return what went wrong, or None."""
    before = os.environ.get("RUNG_DATA")
    try:
        for reader in readers(kind, name, mark):
            place = fresh(folder / "place")
            failure = refused(reader(content, place), str(place), folder.parent, mark)
            if failure:
                return f"{name}, given to {reader.__name__}: {failure}"
    finally:
        os.environ.pop("RUNG_DATA", None)
        if before is not None:
            os.environ["RUNG_DATA"] = before
    return None


def attacks(work: Path, kind: str) -> Tally:
    """Read every hostile file of a kind."""
    words, make, _ = KINDS[kind]
    tally = Tally(
        f"Hostile {kind} run nothing and leave nothing behind",
        f"hostile {words}: each is refused in one sentence that names the file; no program, no import, no socket, no file written, as Python's own audit says",
    )
    mark = work / "mark"
    for name, content in make(mark).items():
        tally.count(judge(kind, name, content, fresh(work / "files"), mark))
    return tally
