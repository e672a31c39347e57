"""Where the official CIFAR files lie, and getting them where they are not."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import urllib.error
import urllib.request
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import BinaryIO

from rung.data.found import Progress
from rung.errors import DataError

OFFICIAL_SITE = "https://www.cs.toronto.edu/~kriz/"

_TIMEOUT_S = 30.0
_ATTEMPTS = 4
_CHUNK_BYTES = 2**18


@dataclass(frozen=True)
class Official:
    """One official data set: its archive, the folder in it, and the files of that folder that are read."""

    archive: str
    md5: str
    folder: str
    files: tuple[str, ...]


CIFAR10 = Official(
    "cifar-10-python.tar.gz",
    "c58f30108f718f92721af3b95e74349a",
    "cifar-10-batches-py",
    ("batches.meta", *(f"data_batch_{k}" for k in range(1, 6)), "test_batch"),
)
CIFAR100 = Official("cifar-100-python.tar.gz", "eb9058c3a382ffc7106e4002c42a8d85", "cifar-100-python", ("meta", "train", "test"))


def data_folder() -> Path:
    """Return $RUNG_DATA, else rung's folder in the user's cache."""
    if os.environ.get("RUNG_DATA"):
        return Path(os.environ["RUNG_DATA"]).expanduser()
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "rung"


def locate(official: Official, progress: Progress | None = None) -> Path:
    """Return the folder or the archive of an official data set; it is downloaded where neither is there.

    Raises: DataError saying which file to put where.
    """
    folder = data_folder()
    for place in (folder / official.folder, folder):
        missing = [name for name in official.files if not (place / name).is_file()]
        if not missing:
            return place
        if place.name == official.folder and place.is_dir() and not (folder / official.archive).is_file():
            raise DataError(f"{place} lacks {', '.join(missing)}: put {'it' if len(missing) == 1 else 'them'} there, or remove the folder")
    target = folder / official.archive
    if not target.is_file():
        try:
            download(OFFICIAL_SITE + official.archive, target, official.md5, progress)
        except DataError as error:
            raise DataError(
                f"{official.folder} is not in {folder}, and {error}: put {official.archive} (from {OFFICIAL_SITE}) or the folder {official.folder} "
                f"into {folder}, or let RUNG_DATA name the folder that holds it"
            ) from None
    return target


def download(url: str, target: Path, md5: str, progress: Progress | None = None) -> None:
    """Download `url` to `target`, going on where an earlier try ended; it appears there only when its MD5 is right.

    `progress` is called with bytes here and bytes in all. Of several processes one downloads and the others wait for it.
    Raises: DataError when it cannot be had or is not what it should be.
    """
    part = target.with_name(target.name + ".part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with part.open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            try:
                if not target.is_file():
                    _complete(url, file, progress)
                    _check(url, part, md5)
                    os.replace(part, target)
            finally:
                with contextlib.suppress(FileNotFoundError):  # another that waited may have removed it
                    if not part.stat().st_size:
                        part.unlink()
    except OSError as error:
        raise DataError(f"it could not be written to {target} ({error.strerror})") from None


def _complete(url: str, file: BinaryIO, progress: Progress | None) -> None:
    """Get what `file` lacks, trying again as long as each try brings something."""
    for attempt in range(_ATTEMPTS):
        before = file.seek(0, os.SEEK_END)
        try:
            _go_on(url, file, progress)
        except (urllib.error.URLError, HTTPException, TimeoutError, ConnectionError) as error:
            file.flush()
            if attempt + 1 == _ATTEMPTS or file.tell() <= before:
                raise DataError(f"it could not be downloaded from {url} ({getattr(error, 'reason', error)})") from None
        else:
            return


def _go_on(url: str, file: BinaryIO, progress: Progress | None) -> None:
    """Append to `file` what it lacks; a server that knows no ranges sends all again."""
    have = file.tell()
    request = urllib.request.Request(url, headers={"User-Agent": "rung"} | ({"Range": f"bytes={have}-"} if have else {}))
    try:
        response = urllib.request.urlopen(request, timeout=_TIMEOUT_S)
    except urllib.error.HTTPError as error:
        with error:
            if error.code == 416 and have:  # nothing is left to send; the checksum will tell
                return
        raise
    with response:
        if response.status != 206:
            have = 0
            file.truncate(0)
        length = response.headers.get("Content-Length")
        total = have + int(length) if length else 0
        while chunk := response.read(_CHUNK_BYTES):
            file.write(chunk)
            have += len(chunk)
            if progress:
                progress(have, max(total, have))
    file.flush()
    os.fsync(file.fileno())
    if have < total:
        raise ConnectionError(f"the connection ended at {have:,} of {total:,} bytes")


def _check(url: str, part: Path, md5: str) -> None:
    with part.open("rb") as file:
        found = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    if found != md5:
        part.unlink()
        raise DataError(f"what came from {url} has the MD5 {found}, not {md5}: it was deleted")
