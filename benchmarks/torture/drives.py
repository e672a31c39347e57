"""Torture of a training by the drive it writes to: it drops, as network drives do, for a moment or for good, at each call."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import io
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from benchmarks.torture.kills import NOTHING, RESUME
from benchmarks.torture.runs import NAME, Training, content, differs, fresh
from benchmarks.torture.tally import Tally
from rung import cli
from rung.store import atomic

TRAINING = Training({"train.epochs": 2}, checkpoint_s=0)
ERRORS = (errno.ESTALE, errno.ETIMEDOUT, errno.EIO, errno.EHOSTDOWN)
TRIES = 4
FOR_GOOD = 10**9

_BY_PATH = ("open", "replace", "unlink", "mkdir", "stat", "scandir")
_BY_HANDLE = ("write", "fsync", "ftruncate", "close")


_WORDS = {
    "for a moment": (
        "A network drive that drops for a moment changes nothing",
        "at each call of a training that touches its folder, three in a row fail: it waits, tries again, and ends with the bits of an undisturbed one",
    ),
    "for good": (
        "A network drive that drops for good costs what came after the last save",
        "from each call of a training that touches its folder on, all fail: exit code 2 and a message that says so; when the drive is back, `rung resume` "
        "gives the bits of an undisturbed run",
    ),
}


class Drive:
    """Stands before the calls of `os` that touch a folder: from one of them on, so many fail with an error number.

    drops_at: which call (from 0) is the first that fails; calls: how many there were; waits_s: the waits of the program, which are not waited.
    """

    def __init__(self, folder: Path, drops_at: int | None = None, failures: int = 0, number: int = errno.ESTALE) -> None:
        self.folder = str(folder)
        self.drops_at, self.failures, self.number = drops_at, failures, number
        self.calls = 0
        self.waits_s: list[float] = []
        self._handles: set[int] = set()

    @contextlib.contextmanager
    def mounted(self) -> Iterator[None]:
        """Stand there while the block runs."""
        calls = ((os, _BY_PATH + _BY_HANDLE), (io, ("open",)), (fcntl, ("flock",)))
        before = [(module, name, getattr(module, name)) for module, names in calls for name in names]
        for module, name, real in before:
            setattr(module, name, self._guarded(name, real, is_os=module is os))
        slept = atomic.time.sleep
        atomic.time.sleep = self.waits_s.append  # type: ignore[assignment]
        try:
            yield
        finally:
            atomic.time.sleep = slept
            for module, name, real in before:
                setattr(module, name, real)

    def _guarded(self, name: str, real: Callable[..., Any], *, is_os: bool) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            if not self._is_mine(arguments[0] if arguments else "."):
                return real(*arguments, **options)
            if name == "close":
                self._handles.discard(arguments[0])
                real(*arguments)
            number, self.calls = self.calls, self.calls + 1
            if self.drops_at is not None and number >= self.drops_at and self.failures > 0:
                self.failures -= 1
                raise OSError(self.number, os.strerror(self.number), str(arguments[0]))
            if name == "close":
                return None
            answer = real(*arguments, **options)
            if name == "open" and is_os:
                self._handles.add(answer)
            return answer

        return call

    def _is_mine(self, what: object) -> bool:
        if isinstance(what, int):
            return what in self._handles
        return isinstance(what, str | os.PathLike) and os.path.abspath(os.fspath(what)).startswith(self.folder)


def command(words: Sequence[str]) -> tuple[int, str]:
    """Run the command line here; return its exit code and what it said, or a traceback's last line."""
    said = io.StringIO()
    before = sys.argv
    sys.argv = ["rung", *words]
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(said):
            cli.main()
    except SystemExit as end:
        return (end.code if isinstance(end.code, int) else int(end.code is not None)), said.getvalue()
    except Exception as error:
        return -1, f"Traceback: {type(error).__name__}: {error}"
    finally:
        sys.argv = before
    return 0, said.getvalue()


def trained(folder: Path, drive: Drive) -> tuple[int, str]:
    """Train in a new folder on the drive; return exit code and message."""
    words = TRAINING.words()
    words[words.index("--out") + 1] = str(fresh(folder))
    with drive.mounted():
        return command(words)


def drops(work: Path, which: Literal["for a moment", "for good"], share: float = 1.0) -> Tally:
    """Let the drive drop at calls of a training, for as many calls as are tried again, or until somebody brings it back."""
    tally = Tally(*_WORDS[which])
    calm = Drive(work / "calm")
    code, said = trained(work / "calm", calm)
    if code != 0:
        raise RuntimeError(f"the undisturbed training ended with {code}: {said}")
    whole = content(work / "calm" / NAME)
    moments = range(0, calm.calls, max(1, round(1 / share)))
    for trial, at in enumerate(moments):
        number = ERRORS[trial % len(ERRORS)]
        drive = Drive(work / "trial", at, TRIES - 1 if which == "for a moment" else FOR_GOOD, number)
        code, said = trained(work / "trial", drive)
        judge = _moment if which == "for a moment" else _for_good
        failure = judge(work / "trial", code, said, whole)
        tally.count(failure and f"{os.strerror(number)} at call {at} of {calm.calls}: {failure}")
    return tally


def _moment(folder: Path, code: int, said: str, whole: dict[str, Any]) -> str | None:
    return f"ended with {code}: {said}" if code else differs(folder / NAME, whole)


def _for_good(folder: Path, code: int, said: str, whole: dict[str, Any]) -> str | None:
    run = folder / NAME
    if code == 0:  # what failed was not needed any more
        return differs(run, whole)
    if code != 2 or "the drive has dropped or is broken" not in said or "Traceback" in said:
        return f"ended with {code}: {said}"
    code, again = command([*RESUME[:-1], str(folder)])
    if not (run / "recipe.toml").exists():
        return None if code == 2 and any(words in again for words in NOTHING) else f"there was nothing to resume, but it ended with {code}: {again}"
    if code == 0:
        return differs(run, whole)
    return f"the resume ended with {code}: {again}"
