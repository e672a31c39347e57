"""Named checkpoints in a folder: data and state change together or not at all, and damage is found before use.

    step-00000625-0123456789ab.safetensors   data, named by step and content, never written over
    last.json  previous.json  best.json      the slots: which data file, its length and SHA-256, and the state that belongs to it

A save writes the data file, then renames a new slot file into place: that is the moment it counts. Only then what was
`last` becomes `previous`, and only then data that no slot names are removed. So at every moment a whole checkpoint is
there, and a slot never names data that are not. A slot file holds the SHA-256 of its own content as well.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from rung.errors import ResourceError, RunError
from rung.store import atomic
from rung.store.values import dumps, loads, to_bytes

Slot = Literal["last", "best"]

_SLOTS: Final = ("last", "previous", "best")
_DATA_NAME: Final = re.compile(r"step-\d{8,}-[0-9a-f]{12}\.safetensors")
_DATA_NAME_BYTES: Final = re.compile(_DATA_NAME.pattern.encode())
_FIELDS: Final = ("file", "bytes", "sha256", "state", "environment")


@dataclass(frozen=True)
class Stored:
    """What a slot holds, verified; `notes`: sentences about what was damaged and what is used instead."""

    data: bytes
    state: dict[str, Any]
    environment: dict[str, Any]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Pointer:
    file: str
    bytes: int
    sha256: str
    state: dict[str, Any]
    environment: dict[str, Any]


class _DamageError(Exception):
    """A slot or its data do not hold what was written."""


def commit(folder: Path, slot: Slot, data: bytes, state: dict[str, Any], environment: dict[str, Any]) -> None:
    """Store data and state in a slot; state["step"] is an int of 0 or more. The caller holds the run's lock.

    Raises: ResourceError if the disk is full, RunError if the folder cannot be written; the checkpoints before stay.
    """
    digest = hashlib.sha256(data).hexdigest()
    target = folder / f"step-{state['step']:08d}-{digest[:12]}.safetensors"
    pointer = _render(_Pointer(target.name, len(data), digest, state, environment))
    before = _bytes_or_none(folder / "last.json") if slot == "last" else None
    atomic.make_folder(folder)
    with contextlib.suppress(OSError):  # what a save that was killed left takes room; if it cannot be told apart it stays for now
        _purge(folder)
    try:
        if not _holds(target, digest, len(data)):
            atomic.require_space(target, len(data) + len(pointer))
            atomic.write_bytes(target, data)
        atomic.write_bytes(folder / f"{slot}.json", pointer)
        if before is not None and before != pointer and _stands(folder, before):
            atomic.write_bytes(folder / "previous.json", before)
    except ResourceError:
        with contextlib.suppress(OSError):  # give back what this save took; the disk is full and that is being said
            _purge(folder)
        raise
    atomic.done(target, 0, lambda: _purge(folder))


def fetch(folder: Path, slot: Slot) -> Stored | None:
    """Return what a slot holds, verified; for "last", the one before if the newest is damaged; None if nothing was ever saved.

    Nothing is written, so a read-only folder will do.

    Raises: RunError if all that could be used is damaged.
    """
    names = ("last", "previous") if slot == "last" else (slot,)
    damage: list[str] = []
    for name in names:
        path = folder / f"{name}.json"
        try:
            pointer, data = _verified(path)
        except FileNotFoundError:
            continue
        except _DamageError as error:
            damage.append(str(error))
            continue
        if not damage and name != names[0]:
            damage.append(f"{folder / 'last.json'} is missing")
        used = f"used instead: {path} of step {pointer.state['step']} ({pointer.file})"
        return Stored(data, pointer.state, pointer.environment, (*damage, used) if damage else ())
    if damage:
        raise RunError(
            f"no checkpoint in {folder} can be used as '{slot}': {'; '.join(damage)}; "
            "train again with `rung train RUN/recipe.toml`: the same recipe gives the same weights"
        )
    return None


def _render(pointer: _Pointer) -> bytes:
    content = dumps({field: getattr(pointer, field) for field in _FIELDS}, indent=1)
    return to_bytes(f'{{"sha256_of_content": "{hashlib.sha256(to_bytes(content)).hexdigest()}",\n"content": {content}}}\n')


def _parse(text: bytes, path: Path) -> _Pointer:
    try:
        pointer = _Pointer(**loads(text)["content"])
        is_whole = _render(pointer) == text
        fits = _DATA_NAME.fullmatch(pointer.file) and isinstance(pointer.bytes, int) and isinstance(pointer.state["step"], int)
    except (ValueError, KeyError, TypeError) as error:
        raise _DamageError(f"{path} is damaged: it is not a slot file ({type(error).__name__})") from error
    if not is_whole:  # one changed bit anywhere: another content, or another text of the same content
        raise _DamageError(f"{path} is damaged: its SHA-256 does not fit its content")
    if not fits:
        raise _DamageError(f"{path} names no data file of a checkpoint")
    return pointer


def _verified(path: Path) -> tuple[_Pointer, bytes]:
    try:
        pointer = _parse(atomic.read_bytes(path), path)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise _unread(error, path, "") from error
    target = path.parent / pointer.file
    try:
        size = atomic.retried(target.stat).st_size
        data = atomic.read_bytes(target) if size == pointer.bytes else b""
    except OSError as error:
        raise _unread(error, target, f", which {path.name} names,") from error
    if size != pointer.bytes:
        raise _DamageError(f"{target} is damaged: it has {size:,} bytes, not {pointer.bytes:,}")
    if hashlib.sha256(data).hexdigest() != pointer.sha256:
        raise _DamageError(f"{target} is damaged: its SHA-256 is not the one that was saved")
    return pointer, data


def _unread(error: OSError, path: Path, which: str) -> _DamageError | RunError:
    """Return what to raise: of a drive that is gone no file is damaged, and the checkpoint before would be no better."""
    if error.errno in atomic.GONE:
        return atomic.unreadable(error, path)
    return _DamageError(f"{path}{which} cannot be read: {error.strerror}")


def _holds(path: Path, digest: str, size: int) -> bool:
    """Return whether the file is there already, whole: the same content saved to two slots is written once."""
    try:
        return path.stat().st_size == size and hashlib.sha256(atomic.read_bytes(path)).hexdigest() == digest
    except OSError:
        return False


def _stands(folder: Path, slot_text: bytes) -> bool:
    """Return whether a slot's text is whole and its data are there in full length (their SHA-256 is checked when they are used)."""
    try:
        pointer = _parse(slot_text, folder)
        return (folder / pointer.file).stat().st_size == pointer.bytes
    except (_DamageError, OSError):
        return False


def _bytes_or_none(path: Path) -> bytes | None:
    try:
        return atomic.read_bytes(path)
    except OSError:
        return None


def _purge(folder: Path) -> None:
    """Remove data files that no slot names; in a damaged slot file the name counts wherever it can still be read.

    Raises: OSError, with nothing removed, if a slot file is there and cannot be read: what it names is not known then.
    """
    named: set[str] = set()
    for slot in _SLOTS:
        with contextlib.suppress(FileNotFoundError):
            named |= {name.decode() for name in _DATA_NAME_BYTES.findall((folder / f"{slot}.json").read_bytes())}
    for path in sorted(folder.iterdir()):
        if _DATA_NAME.fullmatch(path.name) and path.name not in named:
            path.unlink(missing_ok=True)
