"""A process that trains the jobs it is sent, one after the other, and ends when whoever sends them is gone."""

from __future__ import annotations

import os
import queue
import signal
import sys
import threading
import time
from multiprocessing.connection import Connection
from types import FrameType
from typing import Final

from rung.errors import RungError
from rung.study.executor import Job, Train
from rung.training.captured import sweep
from rung.training.journal import Interrupted

_TELL_S: Final = 0.1  # between two messages about steps


def main(handle: int) -> None:
    """Train the jobs that come through the open socket `handle`, and tell through it what became of each."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # All that is on the disk is whole at every moment. While a training takes steps it listens itself, and saves first.
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _end)
    connection = Connection(handle)
    sys.path[:] = connection.recv()
    train: Train = connection.recv()
    jobs: queue.SimpleQueue[Job] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(connection, jobs), daemon=True).start()
    with sweep():
        while True:
            _train(train, jobs.get(), connection)


def _end(number: int, frame: FrameType | None) -> None:
    os._exit(128 + number)


def _listen(connection: Connection, jobs: queue.SimpleQueue[Job]) -> None:
    """Hand jobs on; when the other side has gone, however it went, end this process, so that no training goes on unseen beside the next ladder's."""
    while True:
        try:
            jobs.put(connection.recv())
        except (EOFError, OSError):
            os._exit(0)


def _train(train: Train, job: Job, connection: Connection) -> None:
    told = 0.0

    def tell(step: int, steps: int) -> None:
        nonlocal told
        if time.monotonic() - told >= _TELL_S:
            told = time.monotonic()
            _tell(connection, "step", step, steps)

    try:
        train(job, tell)
    except Interrupted as error:
        os._exit(error.exit_code)  # whoever stopped it knows
    except RungError as error:
        _tell(connection, "failed", type(error).__name__, str(error))
    else:
        _tell(connection, "done")


def _tell(connection: Connection, *message: object) -> None:
    try:
        connection.send(message)
    except OSError:
        os._exit(0)  # nobody can hear it any more
