"""Tar archives, read member by member and never unpacked: nothing is written, whatever they hold."""

from __future__ import annotations

import gzip
import tarfile
import zlib
from collections.abc import Collection, Iterator
from io import BufferedReader
from pathlib import Path, PurePosixPath
from typing import Any, cast

from rung.data.drive import DriveGone, SteadyFile
from rung.errors import DataError, one_line

MAX_MEMBERS = 1_000
MAX_BYTES = 2**30
MAX_RATIO = 200


class _Limited:
    """A stream that refuses to give more than it should: headers of an archive can claim any size."""

    def __init__(self, stream: gzip.GzipFile, limit: int) -> None:
        self._stream, self._left, self._limit = stream, limit, limit

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(self._left + 1 if size < 0 else min(size, self._left + 1))
        self._left -= len(data)
        if self._left < 0:
            raise DataError(f"it unpacks to more than {self._limit:,} bytes")
        return data


def members(path: Path, names: Collection[str]) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of the regular members whose last name is in `names`, in the archive's order.

    Raises: DataError, before anything of the member at fault is read, for links, devices, absolute names, "..", a
    name twice, too many members, too many bytes or a compression that no images reach; and for damage.
    """
    limit = min(MAX_BYTES, MAX_RATIO * path.stat().st_size + 2**20)
    seen: set[str] = set()
    try:
        with (
            BufferedReader(SteadyFile(path)) as file,
            gzip.GzipFile(fileobj=file) as stream,
            tarfile.open(fileobj=cast("Any", _Limited(stream, limit)), mode="r|") as archive,
        ):
            for count, member in enumerate(archive):
                _check(member, count, limit)
                name = PurePosixPath(member.name).name
                if not member.isreg() or name not in names:
                    continue
                if name in seen:
                    raise DataError(f"it holds '{name}' twice")
                seen.add(name)
                content = archive.extractfile(member)
                data = content.read() if content else b""
                if len(data) != member.size:
                    raise DataError(f"'{name}' is cut short")
                yield name, data
    except DriveGone:
        raise
    except DataError as error:
        raise DataError(f"the archive {path} is refused: {error}; get it again") from None
    except RecursionError:  # tarfile reads headers of headers by calling itself
        raise DataError(f"the archive {path} is refused: it holds headers of headers without end; get it again") from None
    except (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError, OSError, ValueError) as error:
        raise DataError(f"the archive {path} is damaged or incomplete ({one_line(str(error))}): delete it and get it again") from None


def _check(member: tarfile.TarInfo, count: int, limit: int) -> None:
    if count >= MAX_MEMBERS:
        raise DataError(f"it has more than {MAX_MEMBERS:,} members")
    if not (member.isreg() or member.isdir()):
        kind = "a link" if member.issym() or member.islnk() else "not a regular file"
        raise DataError(f"'{one_line(member.name)}' is {kind}")
    pure = PurePosixPath(member.name)
    if pure.is_absolute() or ".." in pure.parts or "\\" in member.name or ":" in member.name:
        raise DataError(f"the name '{one_line(member.name)}' leads outside of it")
    if not 0 <= member.size <= limit:
        raise DataError(f"'{one_line(member.name)}' claims {member.size:,} bytes")
