"""What a training borrows of its process and gives back: threads, random states, signals, and how freed memory is kept."""

from __future__ import annotations

import contextlib
import ctypes
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Final

import torch

from rung.recipe import Compute

# glibc's names for what mallopt sets, from malloc.h, and its defaults (mallopt(3)).
_TRIM_THRESHOLD: Final = -1
_MMAP_THRESHOLD: Final = -3
_DEFAULT_THRESHOLD: Final = 128 * 1024
_KEPT: Final = 2**30


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
    _keep_freed(_KEPT)
    if compute.exact and compute.device.startswith("cuda"):
        torch.use_deterministic_algorithms(True)
        torch.backends.cudnn.benchmark = False  # it chooses among algorithms by the clock
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(deterministic, warn_only=only_warns)
        torch.backends.cudnn.benchmark = benchmark
        _keep_freed(_DEFAULT_THRESHOLD)


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


def _keep_freed(threshold: int) -> None:
    """Let glibc give memory back to the system only from blocks of so many bytes, from now on; other C libraries are left as they are.

    A step frees all its maps and the next one asks for them anew. Given back and mapped again, each page is cleared each time: a tenth of a training.
    """
    library = ctypes.CDLL(None)
    if hasattr(library, "mallopt"):
        for parameter in (_TRIM_THRESHOLD, _MMAP_THRESHOLD):
            library.mallopt(parameter, threshold)
        if threshold == _DEFAULT_THRESHOLD:
            library.malloc_trim(0)
