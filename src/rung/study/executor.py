"""Trainings side by side: jobs go to processes that live as long as the study, each training on one thread.

As many processes as processors: two trainings on one thread each end sooner than one after the other on two threads. A process imports torch once and
takes job after job. They share nothing but the disk: each job has its run folder, so whatever is stopped or killed is gone on with where it was.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, Pipe, wait
from types import TracebackType
from typing import Any, Final, Self

from rung import errors
from rung.errors import DivergedError, RunError, RungError
from rung.training.journal import Interrupted
from rung.training.process import stop_signals, thread_variables, usable_processors

_LISTEN_S: Final = 0.2  # between two looks at whether a stop was asked for
_SAVE_S: Final = 30.0  # that a training may take to save when it is stopped
# Until it listens itself, Ctrl-C ends a process without a traceback of its imports.
_QUIET: Final = "import signal as s; s.getsignal(s.SIGINT) is s.default_int_handler and s.signal(s.SIGINT, s.SIG_DFL)"
AGAIN: Final = "what was saved stays: the same command goes on"


@dataclass(frozen=True)
class Job:
    """One training. key: the name of its run folder; settings: all that it changes of the study's recipe; label: what it is called in messages."""

    key: str
    settings: Mapping[str, Any]
    seed: int
    label: str


# Trains a job in its run folder, goes on with it or finds it finished; calls progress(step, steps). It goes to other processes by its name, so it
# is a function of a module, or a functools.partial of one.
Train = Callable[[Job, Callable[[int, int], None]], None]
Observe = Callable[[Job, int, int], None]


@dataclass(eq=False)
class _Worker:
    process: subprocess.Popen[bytes]
    connection: Connection
    job: Job | None = field(default=None)


class Executor:
    """Runs jobs, in this process if there is one worker; as a context, for its processes are to be ended.

    workers: how many trainings at once; None: as many as processors.
    """

    def __init__(self, train: Train, workers: int | None = None) -> None:
        if workers is not None and workers < 1:
            raise RunError(f"workers = {workers}: expected how many trainings may run at once, 1 or more")
        self.train = train
        self.count = workers or usable_processors()
        self._workers: list[_Worker] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for worker in self._workers:
            worker.connection.close()  # a worker ends when nobody can hear it any more
        for worker in self._workers:
            worker.process.wait()
        self._workers.clear()

    def run(self, jobs: Sequence[Job], observe: Observe = lambda job, step, steps: None, until: float | None = None) -> dict[str, str]:
        """Run all jobs; returns {key: why} of those whose training diverged, which is the fault of their settings.

        until: of the monotonic clock: then what trains is saved and stops, and the rest is left.

        Raises: Interrupted after a stop signal, when all has been saved; RunError if a process died; what a job raises otherwise.
        """
        distinct = list({job.key: job for job in jobs}.values())
        return self._here(distinct, observe) if self.count == 1 and until is None else self._aside(distinct, observe, until)

    def _here(self, jobs: Sequence[Job], observe: Observe) -> dict[str, str]:
        diverged: dict[str, str] = {}
        for job in jobs:
            try:
                self.train(job, lambda step, steps, job=job: observe(job, step, steps))  # type: ignore[misc]
            except DivergedError as error:
                diverged[job.key] = str(error)
            except Interrupted as error:
                raise Interrupted(f"stopped; {AGAIN}", error.exit_code - 128) from None
            except RungError as error:
                raise _of(job, type(error).__name__, str(error)) from error
        return diverged

    def _aside(self, jobs: Sequence[Job], observe: Observe, until: float | None) -> dict[str, str]:
        diverged: dict[str, str] = {}
        waiting = deque(jobs)
        with stop_signals() as stop_signal:
            while waiting or any(worker.job for worker in self._workers):
                self._assign(waiting)
                busy = {worker.connection: worker for worker in self._workers if worker.job}
                ready = wait(list(busy), timeout=_LISTEN_S)
                if number := stop_signal():
                    self._stop()
                    raise Interrupted(f"stopped; {AGAIN}", number)
                for connection in ready:
                    self._hear(busy[connection], observe, diverged)  # type: ignore[index]
                if until is not None and time.monotonic() >= until:
                    for worker in busy.values():  # what has failed by now is said, and not stopped in silence
                        while worker.job and worker.connection.poll():
                            self._hear(worker, observe, diverged)
                    self._stop()
                    break
        return diverged

    def _assign(self, waiting: deque[Job]) -> None:
        """Give a job to each worker that has none, and start workers while there are jobs for them."""
        while waiting and (worker := next((one for one in self._workers if one.job is None), None) or self._started()):
            worker.job = waiting.popleft()
            with contextlib.suppress(OSError):  # it has died: the next look at it says so
                worker.connection.send(worker.job)

    def _started(self) -> _Worker | None:
        if len(self._workers) >= self.count:
            return None
        ours, theirs = Pipe()
        environment = os.environ | thread_variables(1)
        words = [sys.executable, "-c", f"{_QUIET}; from rung.study.worker import main; main({theirs.fileno()})"]
        # Not multiprocessing's own way to start a process, which would run the user's script again; what a job prints goes to the error stream.
        process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=2, pass_fds=[theirs.fileno()], env=environment)
        theirs.close()
        worker = _Worker(process, ours)
        with contextlib.suppress(OSError):
            ours.send(sys.path)
            ours.send(self.train)
        self._workers.append(worker)
        return worker

    def _hear(self, worker: _Worker, observe: Observe, diverged: dict[str, str]) -> None:
        """Take one message of a worker: a step that was done, the end of its job, or why it ended otherwise."""
        job = worker.job
        assert job is not None
        try:
            word, *values = worker.connection.recv()
        except (EOFError, OSError):
            raise self._death(worker, job) from None
        if word == "step":
            observe(job, *values)
            return
        worker.job = None
        if word == "failed":
            name, message = values
            if name == DivergedError.__name__:
                diverged[job.key] = message
                return
            self._stop()
            raise _of(job, name, message)

    def _death(self, worker: _Worker, job: Job) -> RunError:
        code = worker.process.wait()
        self._workers.remove(worker)
        worker.connection.close()
        self._stop()
        how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        memory = ", perhaps for want of memory, which fewer --workers need" if code == -signal.SIGKILL else ""
        return RunError(f"the process that trained {job.label} {how}{memory}; {AGAIN}")

    def _stop(self) -> None:
        """Tell all workers to save and end, and wait until they have; one that does not is killed."""
        for worker in self._workers:
            worker.process.terminate()
        until = time.monotonic() + _SAVE_S
        for worker in self._workers:
            try:
                worker.process.wait(max(until - time.monotonic(), 0.0))
            except subprocess.TimeoutExpired:
                worker.process.kill()
                worker.process.wait()
            worker.connection.close()
        self._workers.clear()


def _of(job: Job, name: str, message: str) -> RungError:
    """Return the error of this name, which may have come from another process, with the job it is of."""
    kind = getattr(errors, name, RunError)
    return kind(f"{job.label}: {message}") if isinstance(kind, type) and issubclass(kind, RungError) else RunError(f"{job.label}: {message}")
