"""A folder of class folders, or of train, validation and test folders that each hold class folders."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path

import numpy as np
import numpy.typing as npt

from rung.data.classes import class_name, natural, shown
from rung.data.drive import steadily
from rung.data.formats.entries import Gate, entries
from rung.data.found import Files, Found, Refused
from rung.data.imageset import TRAIN, FileNote
from rung.data.parts import part_of
from rung.data.sniff import IMAGE_SUFFIXES
from rung.errors import DataError

_NOT_A_CLASS = frozenset({"__macosx", "@eadir", "lost+found", "__pycache__", "$recycle.bin", "system volume information"})
_RUBBISH = frozenset({"thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r"})
_RUBBISH_SUFFIXES = frozenset({".txt", ".csv", ".json", ".xml", ".md", ".ini", ".log", ".db"})


@dataclass
class _Pile:
    """What the walk gathers; texts only, so that a million files stay below a gigabyte."""

    gate: Gate
    paths: list[str] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    roots: list[int] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    ignored: list[FileNote] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)
    visited: set[tuple[int, int]] = field(default_factory=set)
    alike: int = 0
    example: str = ""

    @property
    def base(self) -> str:
        return self.gate.base

    def note_alike(self, below: str, files: Sequence[str]) -> None:
        """Count names that differ by case only; `files` are in natural order, where such names are neighbours."""
        for _, group in groupby(files, str.casefold):
            names = list(group)
            if len(names) > 1:
                self.alike += len(names)
                self.example = self.example or " and ".join(shown(os.path.join(below, name)) for name in names[:2])

    def warnings(self) -> tuple[str, ...]:
        """Return what may be wrong with names and links."""
        if not self.alike:
            return self.gate.warnings()
        return (*self.gate.warnings(), f"{self.alike} files have names that differ by case only (such as {self.example}): some systems keep one of them only")

    def ignore(self, path: str, reason: str) -> None:
        self.ignored.append(FileNote(shown(path), reason))


def read(path: Path, allow_empty_classes: bool = False, follow_links: bool = False) -> Found:
    """Return the image files below `path` with the classes that their folders name; links that lead out of it are refused or followed.

    Raises: DataError for a folder without images, images beside class folders, empty class folders, and for parts
    (train, test) beside folders that are none.
    """
    base = os.path.realpath(path)
    pile = _Pile(Gate(base, follow_links))
    folders, _ = _list(pile, "")
    splits = _split_folders(pile, folders, path)
    name = class_name(os.path.basename(base)) or "images"
    roots = [(split, split, part) for split, part in splits] or [(name, "", TRAIN)]
    index: dict[str, int] = {}
    empty: list[str] = []
    for number, (_, below, _) in enumerate(roots):
        _read_root(pile, below, number, index, empty)
    if not pile.paths and not pile.refused:
        held = f"the first names in it are {', '.join(pile.seen[:5])}" if pile.seen else "it is empty"
        raise DataError(f"no image found in {shown(str(path))}: {held}; expected one folder for each class with image files in it{_pickled(base, pile.seen)}")
    if empty and not allow_empty_classes:
        raise DataError(
            f"{len(empty)} class {'folder is' if len(empty) == 1 else 'folders are'} empty: {', '.join(empty[:20])}"
            f"{' ..' if len(empty) > 20 else ''}; fill or remove them, or leave them out with --set data.allow_empty_classes=true",
            "classes",
        )
    remarks = [f"{len(empty)} empty class folders were left out: {', '.join(empty)}"] if empty else []
    return _found(pile, name, index, [r[0] for r in roots], np.array([r[2] for r in roots], np.int8), remarks)


def _pickled(base: str, names: Sequence[str]) -> str:
    """Return what to do with pickled pandas tables whose names do not say so; "" where the first files are none."""
    for name in names[:5]:
        file = Path(base, name)
        with contextlib.suppress(OSError):  # what cannot be read is no reason to say another thing than what is wrong
            if stat.S_ISREG(file.lstat().st_mode) and b"pandas" in (start := _start_of(file)) and start.startswith(b"\x80"):
                return f"; {name} is a pickled table: give such files names that end with .pkl"
    return ""


def _start_of(file: Path) -> bytes:
    with file.open("rb") as opened:
        return opened.read(200)


def files_below(path: Path) -> tuple[list[Path], list[Refused]]:
    """Return the files below a folder that are taken for images in a class folder, in its order, and those that are not opened; links are followed."""
    pile = _Pile(Gate(os.path.realpath(path), follow=True))
    _walk(pile, "", 0, 0)
    return [path / file for file in pile.paths], pile.refused


def _found(pile: _Pile, name: str, index: dict[str, int], root_names: list[str], root_parts: npt.NDArray[np.int8], remarks: list[str]) -> Found:
    roots = np.array(pile.roots, np.int64)
    sources = pile.paths if all(p.isascii() for p in pile.paths) else [shown(p) for p in pile.paths]
    if pile.ignored:
        kinds = ", ".join(sorted({note.path for note in pile.ignored}, key=natural)[:5])
        remarks.append(f"{len(pile.ignored)} files and folders that are no images were ignored, such as {kinds}")
    classes = tuple(sorted(index, key=natural))
    position = np.array([classes.index(name) for name in index], np.int64)
    return Found(
        name=name,
        origin=pile.base,
        images=Files(pile.base, pile.paths),
        labels=position[np.array(pile.labels, np.int64)],
        classes=classes,
        sources=sources,
        parts=root_parts[roots],
        roots=roots,
        root_names=tuple(shown(r) for r in root_names),
        refused=tuple(replace(r, label=int(position[r.label])) for r in pile.refused),
        repaired=tuple(pile.ignored),
        warnings=pile.warnings(),
        remarks=tuple(remarks),
    )


def _split_folders(pile: _Pile, folders: list[str], path: Path) -> list[tuple[str, int]]:
    """Return the folders that are parts of the data with their part, or none where the folders are classes."""
    splits = [(f, part) for f in folders if (part := part_of(f)) is not None and _holds_class_folders(pile, f)]
    if not splits:
        return []
    others = [f for f in folders if f not in dict(splits)]
    if not others:
        return sorted(splits, key=lambda split: split[1])
    if any(part == TRAIN for _, part in splits) and len(splits) > 1:
        raise DataError(
            f"{shown(str(path))} holds parts of the data ({', '.join(shown(f) for f, _ in splits)}) and other folders ({', '.join(map(shown, others[:5]))}): "
            f"move the others out, or name the folders to use one by one"
        )
    return []


def _holds_class_folders(pile: _Pile, folder: str) -> bool:
    folders, files = _list(pile, folder, note=False)
    return bool(folders) and not any(_is_image_name(f) for f in files)


def _read_root(pile: _Pile, below: str, number: int, index: dict[str, int], empty: list[str]) -> None:
    place = os.path.join(pile.base, below)
    real = pile.gate.outside(place)
    if real and (reason := pile.gate.why_not_out(place, real)):
        raise DataError(f"{shown(place)} {reason}")
    folders, files = _list(pile, below)
    lying = [f for f in files if _is_image_name(f)]
    where = shown(os.path.join(pile.base, below)) if below else shown(pile.base)
    if lying:
        beside = f"beside the class folders {', '.join(map(shown, folders[:5]))}" if folders else "and no class folder"
        raise DataError(
            f"{len(lying)} images lie in {where} itself ({', '.join(map(shown, lying[:5]))}) {beside}: which class are they? "
            f"Put each into the folder of its class"
        )
    for file in files:
        pile.ignore(os.path.join(below, file), "not in a class folder")
        pile.seen.append(shown(os.path.join(below, file)))
    for folder in folders:
        relative = os.path.join(below, folder)
        before = len(pile.paths), len(pile.refused)
        label = index.setdefault(class_name(folder), len(index))
        _walk(pile, relative, label, number)
        if (len(pile.paths), len(pile.refused)) == before:
            empty.append(shown(relative))
            pile.seen.append(shown(relative) + os.sep)


def _walk(pile: _Pile, below: str, label: int, root: int) -> None:
    """Gather the image files of one class folder and its subfolders, each folder once."""
    place = os.path.join(pile.base, below)
    is_link = stat.S_ISLNK(steadily(shown(place), lambda: os.lstat(place)).st_mode)
    real = pile.gate.outside(place) if is_link else None
    if real and (reason := pile.gate.why_not_out(place, real)):
        pile.refused.append(Refused(shown(below), reason, label))
        return
    status = steadily(shown(place), lambda: os.stat(place))
    if (status.st_dev, status.st_ino) in pile.visited:
        pile.ignore(below, "a link to a folder that was read already")
        return
    pile.visited.add((status.st_dev, status.st_ino))
    folders, files = _list(pile, below)
    pile.note_alike(below, files)
    for file in files:
        path = os.path.join(below, file)
        if _is_rubbish(file):
            pile.ignore(path, "no image by its name")
            pile.seen.append(shown(path))
        elif reason := pile.gate.why_not(os.path.join(pile.base, path)):
            pile.refused.append(Refused(shown(path), reason, label))
        else:
            pile.paths.append(path)
            pile.labels.append(label)
            pile.roots.append(root)
    for folder in folders:
        _walk(pile, os.path.join(below, folder), label, root)


def _is_rubbish(file: str) -> bool:
    return file.startswith(".") or file.lower() in _RUBBISH or os.path.splitext(file)[1].lower() in _RUBBISH_SUFFIXES


def _is_image_name(file: str) -> bool:
    return not file.startswith(".") and os.path.splitext(file)[1].lower() in IMAGE_SUFFIXES


def _list(pile: _Pile, below: str, note: bool = True) -> tuple[list[str], list[str]]:
    """Return the names of folders that can hold classes and of all else, each in natural order."""
    folders, files = [], []
    for name, is_folder in entries(os.path.join(pile.base, below) if below else pile.base):
        if not is_folder:
            files.append(name)
        elif name.startswith(".") or name.lower() in _NOT_A_CLASS:
            if note:
                pile.ignore(os.path.join(below, name), "a folder of the system, not of images")
        else:
            folders.append(name)
    return sorted(folders, key=natural), sorted(files, key=natural)
