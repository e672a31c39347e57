"""Who opened which test set when: one append-only file for a folder of runs, each line chained to the one before by SHA-256.

    {"ledger": "5f0c..", "time": "..", "hash": ".."}                                        the first line names the ledger
    {"key": "..", "opening": 1, "time": "..", "version": "..", .., "before": "..", "hash": ".."}

`hash` is the SHA-256 of the line without it; `before` is the hash of the line before. A changed, removed, added or moved line
breaks the chain. Lines cut off at the end do not, so each run keeps its own last line as a receipt (opening.json).
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from rung import __version__
from rung.errors import RunError, VerificationError
from rung.store import atomic, lock
from rung.store.values import dumps, loads, now, to_bytes

RECEIPT: Final = "opening.json"
_NAME: Final = "ledger.jsonl"
_STUDIES: Final = ("ladder.json", "search.json")  # beside the folder `runs` of a study
_OWN_FIELDS: Final = ("ledger", "key", "opening", "time", "version", "torn_bytes_cut", "before", "hash")


def home(folder: Path) -> Path:
    """Return whose ledger counts the openings of the runs in a folder: the folder itself; of the runs of a study, ROOT/NAME/runs, its ROOT."""
    is_study = folder.name == "runs" and any(atomic.exists(folder.parent / name) for name in _STUDIES)
    return folder.parent.parent if is_study else folder


def record(root: Path, key: str, entry: Mapping[str, Any]) -> dict[str, Any]:
    """Write an opening of the test set `key` and return the line, on the disk then; its "opening" is the how-manieth of that key it is.

    entry: JSON values, such as the run's id; time (UTC), package version and number are added. Safe among many writers.

    Raises: RunError if the ledger is damaged or cannot be written, ResourceError if the disk is full.
    """
    taken = [name for name in entry if name in _OWN_FIELDS]
    if taken:
        raise ValueError(f"the ledger itself writes {', '.join(taken)}")
    path = root / _NAME
    atomic.make_folder(root)
    # Where a drive drops in the middle, a line of a try before may stay: an opening too many is counted, never one too few.
    return atomic.done(path, 4096, lambda: _recorded(path, key, entry))


def _recorded(path: Path, key: str, entry: Mapping[str, Any]) -> dict[str, Any]:
    """Add the line of an opening under the ledger's lock; raises OSError and RunError."""
    with _opened(path) as handle:
        content, cut = _repaired(handle, path)
        if not content:
            first = _sealed({"ledger": os.urandom(8).hex(), "time": now()})
            content = atomic.encode_line(first)
            atomic.append_to(handle, content, path)
            atomic.sync_folder(path.parent)
        ends = _row(content[: content.index(b"\n") + 1], path), _row(content[content.rfind(b"\n", 0, -1) + 1 :], path)
        number = 1 + content.count(b"\n" + to_bytes(dumps({"key": key, "opening": 0}))[: -len("0}")])
        line = {"key": key, "opening": number, "time": now(), "version": __version__, **entry}
        if cut:
            line["torn_bytes_cut"] = cut
        line = _sealed({**line, "before": ends[1].get("hash")})
        atomic.append_to(handle, atomic.encode_line(line), path)
        return {**line, "ledger": ends[0].get("ledger")}


def openings(root: Path, key: str) -> list[dict[str, Any]]:
    """Return the openings of a test set, oldest first; raises RunError if the ledger is damaged."""
    return [row for row in atomic.read_lines(root / _NAME).rows if row.get("key") == key]


def verify(root: Path) -> int:
    """Check the chain, the numbers and the receipts of the runs below `root`, those of studies too, and return how many openings there are.

    Raises: VerificationError naming the first line that was changed, or the run whose opening is gone; RunError if the ledger cannot be read.
    """
    root = home(root)
    path = root / _NAME
    rows: list[dict[str, Any]] = []
    counts: dict[str, int] = {}
    for number, line in enumerate(_whole_lines(path), 1):
        place = f"line {number} of {path}"
        row = _row_or_none(line)
        if row is None or atomic.encode_line(_sealed({k: v for k, v in row.items() if k != "hash"})) != line:
            raise VerificationError(f"{place} was changed: its SHA-256 does not fit its content")
        if not rows and "ledger" not in row:
            raise VerificationError(f"{place} does not name a ledger, as its first line does: that one was removed")
        if rows:
            if row.get("before") != rows[-1]["hash"]:
                raise VerificationError(f"{place} does not follow line {number - 1}: a line was removed, added or moved")
            key = str(row.get("key"))
            counts[key] = counts.get(key, 0) + 1
            if row.get("opening") != counts[key]:
                raise VerificationError(f"{place} says it is opening {row.get('opening')} of its test set, but it is number {counts[key]}")
        rows.append(row)
    name = rows[0].get("ledger") if rows else None
    hashes = {str(row["hash"]) for row in rows}
    for receipt in sorted([*root.glob(f"*/{RECEIPT}"), *root.glob(f"*/runs/*/{RECEIPT}")]):
        _check_receipt(receipt, name, hashes, path)
    return sum(counts.values())


def _check_receipt(receipt: Path, name: str | None, hashes: set[str], path: Path) -> None:
    row = atomic.read_json(receipt)
    if not isinstance(row, dict) or "hash" not in row:
        raise VerificationError(f"{receipt} is damaged: it is no line of a ledger")
    if name is None:
        raise VerificationError(
            f"{path} is gone, but {receipt} says that a test set was opened at {row.get('time')}: put the ledger back; "
            "if the run was copied from another folder of runs, copy the ledger from there as well"
        )
    if row.get("ledger") == name and row["hash"] not in hashes:  # a run copied from another folder of runs has another ledger's name
        raise VerificationError(f"{path} lacks opening {row.get('opening')} of {row.get('time')}, which {receipt} holds: its end was cut off")


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    """Open the ledger for appending and hold its lock while the block runs."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
    try:
        with lock.wait_for(handle, path):
            yield handle
    finally:
        os.close(handle)


def _repaired(handle: int, path: Path) -> tuple[bytes, int]:
    """Return the bytes of the whole lines, after cutting off what a killed writer left of a last one, and how many bytes that was."""
    content = os.pread(handle, os.fstat(handle).st_size, 0)
    start = content.rfind(b"\n", 0, -1) + 1
    torn = content[start:]
    if not torn or (torn.endswith(b"\n") and _row_or_none(torn) is not None):
        return content, 0
    os.ftruncate(handle, start)
    return content[:start], len(torn)


def _row(line: bytes, path: Path) -> dict[str, Any]:
    row = _row_or_none(line)
    if row is None:
        raise RunError(f"{path} is damaged: {line[:60]!r} is no line of a ledger; put back a copy of it, or choose another folder of runs with --out")
    return row


def _whole_lines(path: Path) -> list[bytes]:
    try:
        content = atomic.read_bytes(path)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise atomic.unreadable(error, path) from error
    return [line + b"\n" for line in content.split(b"\n")[:-1]]  # what follows the last newline was never acknowledged


def _row_or_none(line: bytes) -> dict[str, Any] | None:
    try:
        row = loads(line)
    except ValueError:
        return None
    return row if isinstance(row, dict) else None


def _sealed(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "hash": hashlib.sha256(to_bytes(dumps(row))).hexdigest()}
