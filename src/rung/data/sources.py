"""Which reader reads a source: a name, a folder of class folders, a table, arrays, or a folder of tables or arrays."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from rung.data import classes as naming
from rung.data.drive import steadily
from rung.data.formats import cifar, comma, digits, folder, frames, npy, npz, parquet, tables
from rung.data.found import Found, Progress
from rung.data.sniff import IMAGE_SUFFIXES
from rung.errors import DataError, did_you_mean
from rung.recipe import Data

NAMES = ("digits", "cifar10", "cifar100")
_TABLES: dict[str, Callable[[Path, Data], tables.Sheet]] = {
    ".csv": comma.read, ".tsv": comma.read, ".parquet": parquet.read, ".pq": parquet.read, ".pkl": frames.read, ".pickle": frames.read,
}  # fmt: skip
FILE_SUFFIXES = (*_TABLES, ".npy", ".npz")


def is_name(source: str) -> bool:
    """Return whether a source is the name of known data, which beats a folder of that name ("./digits" is the folder)."""
    return source in NAMES or source.startswith("cifar100:")


def read(source: str, data: Data, download_progress: Progress | None = None) -> Found:
    """Read one source: a name, or else a path; names beat folders.

    Raises: DataError where there is nothing, or nothing that can be read so.
    """
    if is_name(source):
        return digits.read() if source == "digits" else cifar.read(source, download_progress)
    path = Path(source).expanduser()
    if path.is_dir():
        files = _files_of(path)
        if files:
            return _read_files(files, naming.class_name(path.resolve().name) or "files", data)
        found = folder.read(path, data.allow_empty_classes, data.follow_links)
        if len(found.classes) == 1 and len(data.sources) == 1:
            _refuse_tables_beside(path, source, found.classes[0])
        return found
    if not os.path.lexists(path):
        raise DataError(_not_there(source, path))
    if path.is_file() and path.suffix.lower() in FILE_SUFFIXES:
        return _read_files([path], naming.class_name(path.stem), data)
    raise DataError(
        f"{source} is neither a folder nor a file of a known kind ({', '.join(FILE_SUFFIXES)}): give a folder of class folders, one of these, "
        f"or a name ({', '.join(NAMES)})"
    )


def _read_files(paths: list[Path], name: str, data: Data) -> Found:
    kind = paths[0].suffix.lower()
    if kind == ".npz":
        return npz.read(paths[0], data.layout)
    return npy.read(paths, name, data.layout) if kind == ".npy" else tables.read(paths, name, data, _TABLES[kind])


def _files_of(path: Path) -> list[Path]:
    """Return the tables or arrays that a folder holds in place of class folders, or none.

    They may lie in a folder `data`, as Hugging Face has it. Raises: DataError where there are several kinds, or several .npz.
    """
    try:
        entries = steadily(path, lambda: [(entry.name, entry.is_dir()) for entry in os.scandir(path) if not entry.name.startswith(".")])
    except OSError as error:
        raise DataError(f"cannot read the folder {path} ({error.strerror})") from None
    names = sorted((name for name, _ in entries), key=naming.natural)
    folders = [name for name, is_folder in entries if is_folder]
    found = [name for name in names if name not in folders and os.path.splitext(name)[1].lower() in FILE_SUFFIXES]
    if not found and folders == ["data"]:
        return _files_of(path / "data")
    if not found or folders or any(os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES for name in names):
        return []
    kinds = sorted({os.path.splitext(name)[1].lower() for name in found})
    if len(kinds) > 1 or (kinds == [".npz"] and len(found) > 1):
        some = ", ".join(naming.shown(name) for name in found[:5])
        raise DataError(f"{path} holds several files that could be the data ({some}{' ..' if len(found) > 5 else ''}): name those to use, one by one")
    return [path / name for name in found]


def _refuse_tables_beside(path: Path, source: str, only: str) -> None:
    """Raises: DataError where a folder with one class folder holds tables as well, which may be what was meant."""
    tables = sorted((name for name in os.listdir(path) if os.path.splitext(name)[1].lower() in FILE_SUFFIXES), key=naming.natural)
    if tables:
        raise DataError(
            f"there is only one class folder in {source}, {only}, and there are tables ({', '.join(map(naming.shown, tables[:5]))}): to read one, "
            f"rung data {os.path.join(source, naming.shown(tables[0]))}",
            "classes",
        )


def _not_there(source: str, path: Path) -> str:
    if len(path.parts) == 1 and not source.startswith((".", "~")):
        here = (entry.name for entry in os.scandir() if entry.is_dir() or entry.name.lower().endswith(FILE_SUFFIXES))
        close = did_you_mean(source, [*NAMES, *map(naming.shown, here)])
        close = close if close.startswith("did") else did_you_mean(source, NAMES)
        return f"'{source}' is no data that rung knows, and no folder of that name is in {Path.cwd()}: {close}"
    parent = next((p for p in path.absolute().parents if p.is_dir()), Path("/"))
    held = sorted((naming.shown(n) for n in os.listdir(parent) if not n.startswith(".")), key=naming.natural)
    step = path.absolute().relative_to(parent).parts[0]
    names = f"it holds {', '.join(held[:5])}{' ..' if len(held) > 5 else ''}" if held else "it is empty"
    close = did_you_mean(step, held) if held else ""
    return f"{source} does not exist; the nearest folder that does is {parent}: {names}" + (f"; {close}" if close.startswith("did") else "")
