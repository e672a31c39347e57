"""What a training borrows of its process and gives back: threads, random states, signals, and how freed memory is kept."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType

import torch

from rung.heap import freed_kept
from rung.recipe import Compute


def usable_processors() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def thread_variables(threads: int) -> dict[str, str]:
    """Return the environment variables by which the libraries of a new process are held to so many threads."""
    return {name: str(threads) for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}


@contextlib.contextmanager
def random_states_kept(compute: Compute) -> Iterator[None]:
    """Put torch's own random states back afterwards: the processor's, and those of all GPUs where one is used, for a seed goes to all of them."""
    on_gpu = torch.device(compute.device).type == "cuda" or torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    with torch.random.fork_rng(devices=range(torch.cuda.device_count()) if on_gpu else ()):
        yield


@contextlib.contextmanager
def computing(compute: Compute) -> Iterator[None]:
    """Hold torch to the recipe's threads, and on a GPU to deterministic algorithms if it asks for exactness; put all back after."""
    threads, benchmark = torch.get_num_threads(), torch.backends.cudnn.benchmark
    deterministic, only_warns = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    torch.set_num_threads(int(compute.threads))
    if compute.exact and compute.device.startswith("cuda"):
        torch.use_deterministic_algorithms(True)
        torch.backends.cudnn.benchmark = False  # it chooses among algorithms by the clock
    try:
        with freed_kept():
            yield
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(deterministic, warn_only=only_warns)
        torch.backends.cudnn.benchmark = benchmark


@contextlib.contextmanager
def stop_signals() -> Iterator[Callable[[], int | None]]:
    """Give a function that tells which stop signal has come. Only the main thread can listen.

    A second Ctrl-C, and a signal that came too late for the last step, are left to whoever listened before.
    """
    received: list[int] = []
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    before = {number: handler for number, handler in handlers.items() if handler not in (signal.SIG_IGN, None)}  # nohup ignores: so be it

    def note(number: int, frame: FrameType | None) -> None:
        earlier = before[signal.Signals(number)]
        if number == signal.SIGINT and received and callable(earlier):
            earlier(number, frame)
        received.append(number)

    if threading.current_thread() is not threading.main_thread():
        yield lambda: None
        return
    try:
        for number in before:
            signal.signal(number, note)
        yield lambda: received[0] if received else None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if received:
        signal.raise_signal(received[0])
