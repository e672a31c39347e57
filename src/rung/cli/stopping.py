"""The end of a command by a signal."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Final, NoReturn

if TYPE_CHECKING:
    from rung.store.run import Run

SAVED: Final = "what was saved stays"
AGAIN: Final = f"{SAVED}: the same command goes on"

# For the words of a process that is stopped: the run that it is at work on, None while that is still to come, SAVED or AGAIN where there is none;
# empty for a command that saves nothing.
begun: list[Run | str | None] = []


@contextmanager
def stopped_at_once() -> Iterator[None]:
    """Let Ctrl-C, SIGTERM and the end of the terminal end the process here and now; a training listens itself while it takes steps.

    All that is on the disk is whole at every moment, so nothing has to be tidied up. An exception instead of the end could be swallowed
    where a library catches all of them, or wait for threads that read files.
    """

    def stop(number: int, frame: FrameType | None) -> NoReturn:
        cursor = "\x1b[?25h" if os.isatty(2) else ""  # a progress bar hides it
        os.write(2, f"{cursor}\nrung: stopped at once{_what_stays()}\n".encode())
        os._exit(128 + number)

    begun.clear()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:  # nohup and a shell's background jobs set it
            signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _what_stays() -> str:
    if not begun:
        return ""
    run = begun[-1]
    if run is None:
        return "; nothing was saved yet"
    return f"; {run}" if isinstance(run, str) else f"; {SAVED}; go on with: rung resume {run.folder}"
