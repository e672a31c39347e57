"""Which paths may be read as image files, looked at without opening them: no pipe, no broken link, no way out of the folder unless allowed."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field

from rung.data.classes import shown
from rung.data.drive import steadily
from rung.data.sniff import RAW, RAW_SUFFIXES
from rung.errors import DataError

ALLOW = "follow it with --set data.follow_links=true"


def entries(folder: str) -> list[tuple[str, bool]]:
    """Return what a folder holds, each name with whether it is a folder, links followed; raises DataError where it cannot be read."""

    def listed() -> list[tuple[str, bool]]:
        with os.scandir(folder) as found:
            return [(entry.name, entry.is_dir()) for entry in found]

    try:
        return steadily(shown(folder), listed)
    except OSError as error:
        raise DataError(f"cannot read the folder {shown(folder)} ({error.strerror})") from None


@dataclass
class Gate:
    """What may be read below a folder; base: its real path; led_out: the paths that led out of it and were followed."""

    base: str
    follow: bool
    led_out: list[str] = field(default_factory=list)

    def why_not(self, path: str) -> str | None:
        """Return why a path cannot be an image file, or None; of its folder nothing is asked."""
        try:
            mode = steadily(shown(path), lambda: os.lstat(path)).st_mode
            if stat.S_ISLNK(mode):
                mode = steadily(shown(path), lambda: os.stat(path)).st_mode
                if (real := self.outside(path)) and (reason := self.why_not_out(path, real)):
                    return reason
        except FileNotFoundError:
            return f"is a broken link to {shown(os.readlink(path))}" if os.path.islink(path) else "does not exist"
        except OSError as error:
            return f"cannot be looked at ({error.strerror})"
        if not stat.S_ISREG(mode):
            return f"is {_kind(mode)}, not a file"
        return RAW if os.path.splitext(path)[1].lower() in RAW_SUFFIXES else None

    def outside(self, path: str) -> str | None:
        """Return the real path of what lies out of the folder, else None; raises OSError where it does not exist."""
        real = steadily(shown(path), lambda: os.path.realpath(path, strict=True))
        return None if real == self.base or real.startswith(self.base.rstrip(os.sep) + os.sep) else real

    def why_not_out(self, path: str, real: str) -> str | None:
        """Return why a path that leads out of the folder, to `real`, is not followed; None where it is, which is remembered."""
        if self.follow:
            self.led_out.append(path)
            return None
        return f"leads out of the folder, to {shown(real)}: copy what it leads to (cp -rL), or {ALLOW}"

    def warnings(self) -> tuple[str, ...]:
        """Return a warning with the count of what led out of the folder and was followed."""
        if not self.led_out:
            return ()
        example = shown(os.path.relpath(self.led_out[0], self.base))
        return (f"{len(self.led_out)} paths lead out of the folder {shown(self.base)} and were followed (such as {example})",)


def _kind(mode: int) -> str:
    kinds = ((stat.S_ISFIFO, "a pipe"), (stat.S_ISSOCK, "a socket"), (stat.S_ISCHR, "a device"), (stat.S_ISBLK, "a device"), (stat.S_ISDIR, "a folder"))
    return next((word for test, word in kinds if test(mode)), "something else")
