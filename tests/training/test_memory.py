import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from benchmarks.torture.runs import small
from rung import recipe as recipes
from rung import workbench
from rung.data.load import load
from rung.errors import ResourceError
from rung.pipeline import prepare
from rung.pipeline.execute import fit, predict_part
from rung.pipeline.own_parts import gather
from rung.training import memory
from rung.training.journal import NoJournal

# What they say: torch on the processor (two wordings), on a GPU, oneDNN and C++ below it, Python and numpy.
RAN_OUT = [
    RuntimeError(
        "[enforce fail at alloc_cpu.cpp:124] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to allocate 17179869184 bytes. Error code 12"
    ),
    RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 17179869184 bytes."),
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has a total capacity of 139.72 GiB"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    RuntimeError("std::bad_alloc"),
    RuntimeError("could not create a primitive"),
    RuntimeError("could not execute a primitive"),
    RuntimeError("could not create a memory object"),
    MemoryError(),
]
NUMBERS = r"this process holds [1-9][\d,]{6,} bytes, [1-9][\d,]{6,} are free"


@pytest.mark.parametrize("error", RAN_OUT, ids=lambda error: f"{type(error).__name__} {str(error)[:20]}")
def test_memory_that_runs_out_in_a_step_becomes_one_error_with_a_smaller_batch(error: Exception) -> None:
    def loss(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        raise error

    wanted, own = gather(recipes.change(small(), {"train.batch_size": 50}), None, loss=loss)
    prepared = prepare.prepare(wanted, load(wanted.data, wanted.pixels), own)
    with pytest.raises(ResourceError, match=rf"out of memory while training in steps of 50 images \(.*{NUMBERS}\); .*train.batch_size=25 or below") as caught:
        fit(prepared, NoJournal())
    assert caught.value.exit_code == 4
    assert caught.value.__cause__ is error


@pytest.mark.parametrize(("error", "asked"), [(RAN_OUT[0], "17,179,869,184 bytes"), (RAN_OUT[2], "20.00 GiB")])
def test_what_was_asked_for_is_named(error: Exception, asked: str) -> None:
    with (
        pytest.raises(ResourceError, match=rf"\({re.escape(asked)} more were asked for; {NUMBERS}\); try"),
        memory.explained("x", "try"),
    ):
        raise error


def test_where_no_number_is_given_the_library_is_quoted() -> None:
    with pytest.raises(ResourceError, match=rf"out of memory while x \(could not create a primitive; {NUMBERS}\); try"), memory.explained("x", "try"):
        raise RuntimeError("could not create a primitive\nmore")


def test_a_real_allocation_that_is_too_large_is_recognised() -> None:
    for allocate in (lambda: torch.empty(1 << 62, dtype=torch.uint8), lambda: np.empty(1 << 62, np.uint8), lambda: bytearray(1 << 62)):
        with pytest.raises(ResourceError, match="out of memory while trying"), memory.explained("trying", ""):
            allocate()


def test_other_errors_stay_what_they_are() -> None:
    with pytest.raises(RuntimeError, match="shapes"), memory.explained("x", "y"):
        raise RuntimeError("shapes cannot be multiplied")


def test_a_batch_of_one_leaves_other_ways() -> None:
    with (
        pytest.raises(ResourceError, match=r"the batch is one image already; smaller images"),
        memory.in_steps(recipes.change(small(), {"train.batch_size": 1})),
    ):
        raise MemoryError


class Greedy(nn.Module):
    """Has no memory for more than two images in evaluation mode, enough for the checks before a training."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(64, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if len(x) > 2 and not self.training:
            raise MemoryError
        out: torch.Tensor = self.head(x.flatten(1))
        return out


def test_memory_that_runs_out_in_evaluation_names_fewer_images_at_once() -> None:
    """In the validation after an epoch, and when a part is scored."""
    wanted, own = gather(small(), None, network=Greedy)
    prepared = prepare.prepare(wanted, load(wanted.data, wanted.pixels), own)
    words = (
        r"^out of memory while answering images, 500 at once \(.*\); fewer at once need less: --set train.evaluation_batch_size=250 or below; smaller images"
    )
    for doing in (lambda: fit(prepared, NoJournal()), lambda: predict_part(prepared, prepared.network(), "train")):
        with pytest.raises(ResourceError, match=words):
            doing()
    alone = recipes.change(prepared.recipe, {"train.evaluation_batch_size": 2})
    assert len(predict_part(replace(prepared, recipe=alone), prepared.network(), "train").logits)
    with pytest.raises(ResourceError, match=r"at once .*; that is one image already; smaller images"), memory.in_evaluation(1, 500, "cpu"):
        raise MemoryError


def test_data_that_do_not_fit_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    def too_much(*_: object, **__: object) -> None:
        np.empty(1 << 62, np.uint8)

    monkeypatch.setattr(prepare.loading, "load", too_much)
    with pytest.raises(ResourceError, match=r"out of memory while reading the images \(.* more were asked for; .*--set data.per_class=N"):
        workbench.train("digits", small(), out=tmp_path)
    assert not list(tmp_path.iterdir())
