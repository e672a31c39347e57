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
from rung.pipeline.prepare import resolve_compute
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


def test_exact_on_the_processor_changes_nothing_but_is_kept(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    runs = [workbench.train("digits", recipes.change(small(), {"compute.exact": exact}), out=tmp_path, name=f"r{exact}") for exact in (False, True)]
    weights = [(run.folder / "weights.safetensors").read_bytes() for run in runs]
    assert weights[0] == weights[1]
    assert "exact = true" in runs[1].read_recipe()
    assert os.environ.pop("CUBLAS_WORKSPACE_CONFIG") == ":4096:8"
    assert not torch.are_deterministic_algorithms_enabled()


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
