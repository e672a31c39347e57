import contextlib
import os
import signal
import subprocess
import sys

import pytest
import torch

from benchmarks.torture.runs import small
from rung import recipe as recipes
from rung.data.load import load
from rung.pipeline.own_parts import OwnParts
from rung.pipeline.prepare import prepare
from rung.recipe import Compute
from rung.training.process import computing, random_states_kept, stop_signals


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_that_came_too_late_for_the_loop_goes_to_who_listened_before(number: signal.Signals) -> None:
    heard: list[int] = []
    before = signal.signal(number, lambda received, _: heard.append(received))
    try:
        with stop_signals() as stop_signal:
            assert stop_signal() is None
            signal.raise_signal(number)
            assert stop_signal() == number
            assert heard == []
        assert heard == [number]
    finally:
        signal.signal(number, before)


def test_a_signal_that_is_ignored_stays_so() -> None:
    """As under nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stop_signals() as stop_signal:
            signal.raise_signal(signal.SIGHUP)
            assert stop_signal() is None
    finally:
        signal.signal(signal.SIGHUP, before)


def test_ctrl_c_in_python_is_a_keyboard_interrupt_the_second_time() -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
    survived = []

    def press_twice() -> None:
        with stop_signals():
            for press in (1, 2):
                signal.raise_signal(signal.SIGINT)
                survived.append(press)

    try:
        with pytest.raises(KeyboardInterrupt):
            press_twice()
    finally:
        signal.signal(signal.SIGINT, before)
    assert survived == [1]


def test_exact_on_a_gpu_holds_torch_to_deterministic_algorithms(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":16:8")
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", True)
    for exact in (False, True):
        with computing(Compute(device="cuda", threads=1, exact=exact)):
            assert torch.are_deterministic_algorithms_enabled() is exact
            assert torch.backends.cudnn.benchmark is not exact
        assert not torch.are_deterministic_algorithms_enabled()
        assert torch.backends.cudnn.benchmark
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        with computing(Compute(device="cuda", threads=1, exact=True)):
            assert not torch.is_deterministic_algorithms_warn_only_enabled()
        assert torch.is_deterministic_algorithms_warn_only_enabled(), "what the user has set stays"
    finally:
        torch.use_deterministic_algorithms(False)
    wanted = recipes.change(small(), {"compute.exact": True})
    assert prepare(wanted, load(wanted.data, wanted.pixels), OwnParts()).recipe.compute.exact
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":16:8", "what the user has set stays"


@pytest.mark.parametrize(("device", "awake", "expected"), [("cpu", False, []), ("cpu", True, [0, 1]), ("cuda:1", False, [0, 1])])
def test_the_random_states_of_all_gpus_are_kept_where_a_seed_reaches_them(
    device: str, awake: bool, expected: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[list[int]] = []
    monkeypatch.setattr(torch.random, "fork_rng", lambda devices: kept.append(list(devices)) or contextlib.nullcontext())
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: awake)
    with random_states_kept(Compute(device=device)):
        pass
    assert kept == [expected]


MEASURED = """
from pathlib import Path
import torch
from rung.recipe import Compute
from rung.training.process import computing

def resident():
    torch.ones(2**24)  # 64 MiB, freed at once
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4 // 1024

compute = Compute(device="cpu", threads=1)
with computing(compute):
    pass  # what torch imports for it
before = resident()
with computing(compute):
    kept = resident()
after = resident()
print(kept - before, after - before)
"""


def test_freed_memory_is_kept_while_computing_and_given_back_after() -> None:
    said = subprocess.run([sys.executable, "-c", MEASURED], capture_output=True, text=True, check=True).stdout
    kept, after = (int(word) for word in said.split())  # MiB
    assert kept > 48
    assert after < 16
