"""The command line in a fresh child for each trial, forked from a process that has imported everything.

Importing torch takes seconds of every process. A child that is forked after the imports, and before torch has started a
thread, is as good as a new process that has come to the first line of the command; it leads a session of its own, so
that its whole process group can be killed. What this leaves out, deaths while the interpreter starts and imports, is tried
with real processes beside it.

    with Forks() as forks:
        ended = forks.run(["train", "digits"], folder, signals=[(0.3, signal.SIGKILL)])
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import resource
import select
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

ROOT = Path(__file__).parents[2]
LIMIT_S = 120.0  # a trial that takes longer hangs

# No library may start a thread when it is imported, for threads do not outlive a fork (the third is for pyarrow, which pandas imports);
# and what a trial decodes is not kept for the next.
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "JE_ARROW_MALLOC_CONF": "background_thread:false", "RUNG_CACHE": "off"}
# What a training, its report and its test import before they end.
MODULES = (
    "rung.cli", "rung.display", "rung.recipes", "rung.workbench", "rung.pipeline.execute", "rung.pipeline.reporting", "rung.pipeline.testing",
    "rung.pipeline.predicting", "rung.data.load", "torch._dynamo", "torch.utils._device", "sklearn.datasets", "sklearn.metrics",
    "sklearn.model_selection", "scipy.stats", "scipy.special", "tomlkit", "PIL.PngImagePlugin", "PIL.JpegImagePlugin",
)  # fmt: skip


@dataclass(frozen=True)
class Ended:
    """How a trial ended: exit code (negative: the signal that killed it), seconds, what it said, and whether its process group outlived it."""

    code: int
    seconds: float
    out: str
    err: str
    left_over: bool


class Forks:
    """The forking process, as a context; `run` runs one trial in it at a time."""

    def __enter__(self) -> Self:
        environment = os.environ | ENVIRONMENT | {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'src'}"}
        self._server = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.torture.forks"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, cwd=ROOT
        )
        if self._answer() != "ready":
            raise RuntimeError("the forking process did not start")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.close()
        self._server.wait()
        self._server.stdout.close()

    def run(
        self,
        words: Sequence[str | Path],
        folder: Path,
        *,
        signals: Sequence[tuple[float, int]] = (),
        address_bytes: int | None = None,
        environment: Mapping[str, str] | None = None,
        processors: Sequence[int] | None = None,
    ) -> Ended:
        """Run `rung WORDS` in `folder`, send its process group each signal after so many seconds, and wait for its end.

        address_bytes: how much address space it may take, the forking process's own included. environment: variables to set.
        processors: those that it may use.
        """
        order = {
            "words": list(map(str, words)), "folder": str(folder), "signals": [(after_s, int(number)) for after_s, number in signals],
            "address_bytes": address_bytes, "environment": dict(environment or {}), "processors": None if processors is None else list(processors),
        }  # fmt: skip
        out, err = folder / ".out", folder / ".err"
        for path in (out, err):
            path.write_text("")  # a child that is killed at once makes none
        assert self._server.stdin is not None
        self._server.stdin.write(json.dumps(order) + "\n")
        self._server.stdin.flush()
        answer = self._answer()
        return Ended(answer["code"], answer["seconds"], out.read_text(), err.read_text(), answer["left_over"])

    def _answer(self) -> Any:
        assert self._server.stdout is not None
        return json.loads(self._server.stdout.readline() or '"it has ended"')


def _serve() -> None:
    for name in MODULES:
        importlib.import_module(name)
    if len(os.listdir("/proc/self/task")) != 1:
        raise RuntimeError("an import has started a thread: what is forked now could hang")
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)  # a shell that starts the tests in the background lets some be ignored
    gc.freeze()  # a collection in a child would touch, and so copy, all memory
    answers = os.dup(1)
    os.write(answers, b'"ready"\n')
    for line in sys.stdin:
        os.write(answers, (json.dumps(_trial(json.loads(line))) + "\n").encode())
    os._exit(0)


def _trial(order: dict[str, Any]) -> dict[str, Any]:
    reader, writer = os.pipe()
    started = time.monotonic()
    child = os.fork()
    if child == 0:
        os.setsid()
        os.close(reader)
        os.close(writer)
        _become_rung(order)
    os.close(writer)
    os.read(reader, 1)  # the end of the pipe: the child leads its session
    os.close(reader)
    poll = select.poll()
    poll.register(ends := os.pidfd_open(child), select.POLLIN)
    for after_s, number in [*order["signals"], (LIMIT_S, signal.SIGKILL)]:
        if poll.poll(1000 * max(started + after_s - time.monotonic(), 0.0)):
            break
        os.killpg(child, number)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    os.close(ends)
    seconds = time.monotonic() - started
    try:
        os.killpg(child, signal.SIGKILL)
    except ProcessLookupError:
        return {"code": code, "seconds": seconds, "left_over": False}
    return {"code": code, "seconds": seconds, "left_over": True}


def _become_rung(order: dict[str, Any]) -> None:
    """Run the command in this child, and end as a process of its own would."""
    from rung.__main__ import main

    os.chdir(order["folder"])
    for target, path in ((0, os.devnull), (1, ".out"), (2, ".err")):
        handle = os.open(path, os.O_RDONLY if target == 0 else os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
        os.dup2(handle, target)
        os.close(handle)
    os.environ.update(order["environment"])
    if order["processors"] is not None:
        os.sched_setaffinity(0, order["processors"])
    if order["address_bytes"] is not None:
        resource.setrlimit(resource.RLIMIT_AS, (order["address_bytes"],) * 2)
    sys.argv = ["rung", *order["words"]]
    code: object = 0
    try:
        main()
    except SystemExit as end:
        code = end.code
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    atexit._run_exitfuncs()
    os._exit(code if isinstance(code, int) else int(code is not None))  # taking a thousand imported modules apart would take longer than the trial


if __name__ == "__main__":
    _serve()
