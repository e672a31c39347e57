import contextlib
import os
import signal
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.torture.runs import small
from rung import recipe as recipes
from rung import workbench
from rung.data.imageset import TRAIN, VALIDATION
from rung.data.load import load
from rung.errors import RecipeError
from rung.pipeline.execute import _signals, computing, random_states_kept
from rung.pipeline.own_parts import OwnParts
from rung.pipeline.prepare import prepare, resolve_compute
from rung.recipe import Compute, Data, Pixels


def test_a_run_in_another_thread_trains_without_listening(tmp_path) -> None:
    before = signal.getsignal(signal.SIGTERM)
    found = []
    thread = threading.Thread(target=lambda: found.append(workbench.train("digits", small(), settings={"train.epochs": 1}, out=tmp_path)))
    thread.start()
    thread.join()
    assert found[0].state() == "finished"
    assert signal.getsignal(signal.SIGTERM) is before


def test_scores_without_twins_are_those_of_parts_that_were_not_fitted_on(tmp_path: Path) -> None:
    images = load(Data(sources=("digits",), per_class=20), Pixels())
    images = images.take(np.r_[0:200, 0:10])  # ten training images stand in validation again
    images = replace(images, parts=np.repeat(np.array([TRAIN, VALIDATION], np.int8), [150, 60]))
    scores = workbench.train(images, small(), settings={"train.epochs": 1, "split.test_fraction": 0.0}, out=tmp_path).read_scores()
    assert scores["validation"]["twins"] >= 10
    assert scores["validation"]["without_twins"]["accuracy"]["value"] is not None
    assert (scores["train"]["twins"], scores["train"]["without_twins"]) == (0, {})


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_that_came_too_late_for_the_loop_goes_to_who_listened_before(number: signal.Signals) -> None:
    heard: list[int] = []
    before = signal.signal(number, lambda received, _: heard.append(received))
    try:
        with _signals() as stop_signal:
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
        with _signals() as stop_signal:
            signal.raise_signal(signal.SIGHUP)
            assert stop_signal() is None
    finally:
        signal.signal(signal.SIGHUP, before)


def test_ctrl_c_in_python_is_a_keyboard_interrupt_the_second_time() -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
    survived = []

    def press_twice() -> None:
        with _signals():
            for press in (1, 2):
                signal.raise_signal(signal.SIGINT)
                survived.append(press)

    try:
        with pytest.raises(KeyboardInterrupt):
            press_twice()
    finally:
        signal.signal(signal.SIGINT, before)
    assert survived == [1]


def test_exact_on_the_processor_changes_nothing_but_is_kept(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    runs = [workbench.train("digits", recipes.change(small(), {"compute.exact": exact}), out=tmp_path, name=f"r{exact}") for exact in (False, True)]
    weights = [(run.folder / "weights.safetensors").read_bytes() for run in runs]
    assert weights[0] == weights[1]
    assert "exact = true" in runs[1].read_recipe()
    assert os.environ.pop("CUBLAS_WORKSPACE_CONFIG") == ":4096:8"
    assert not torch.are_deterministic_algorithms_enabled()


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


def test_exact_is_refused_where_cuda_has_started_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    wanted = Compute(device="cuda", precision="float32", threads=1, exact=True)
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    with pytest.raises(RecipeError, match="has used the GPU already, and CUBLAS_WORKSPACE_CONFIG was not set: set it to :4096:8 before Python starts"):
        resolve_compute(wanted, 0.0)
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: False)
    assert resolve_compute(wanted, 0.0) == wanted
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    assert resolve_compute(wanted, 0.0) == wanted, "it was set by the one before"
    assert os.environ.pop("CUBLAS_WORKSPACE_CONFIG") == ":4096:8"
