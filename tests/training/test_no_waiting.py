"""Nothing between two readings waits for the GPU: on torch's fake CUDA tensors, which compute nothing, no value is read and nothing is brought there or back.

The backward pass and torch's fused updates need a real GPU and are left out here.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from rung.data.batches import Batches
from rung.models.fast import FastCNN
from rung.recipe import Augment, Fast, Pixels, Train
from rung.training.losses import build_loss
from rung.training.muon import Muon
from rung.training.optimizers import add_l2_gradient, clip, set_rate, tensor_rates
from rung.training.steps import Work, numbers

pytestmark = pytest.mark.skipif(torch.version.cuda is None, reason="this torch was built without CUDA, and has no fake GPU either")


class Waits(TorchDispatchMode):
    """Collects the operations that wait: values read, and copies between devices."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.seen = 0

    def __torch_dispatch__(self, function: Any, types: Any, arguments: tuple[Any, ...] = (), named: Mapping[str, Any] | None = None) -> Any:
        named, name = dict(named or {}), str(function)
        self.seen += 1
        if "_local_scalar_dense" in name or "nonzero" in name:
            self.found.append(name)
        if "copy" in name:
            devices = {argument.device.type for argument in arguments if isinstance(argument, torch.Tensor)}
            devices |= {torch.device(named["device"]).type} if named.get("device") is not None else set()
            if len(devices) > 1:
                self.found.append(f"{name} {sorted(devices)}")
        return function(*arguments, **named)


@contextmanager
def fake_gpu() -> Iterator[None]:
    with FakeTensorMode(allow_non_fake_inputs=True):
        yield


@pytest.mark.parametrize(
    "settings",
    [{}, {"mixup_alpha": 0.4}, {"cutmix_alpha": 1.0}, {"rotation_degrees": 5.0, "cutout_pixels": 8, "contrast_fraction": 0.1}],
    ids=str,
)
def test_making_batches_waits_for_nothing(settings: dict[str, Any]) -> None:
    standard = Pixels(normalise="standard", mean=(0.5, 0.5, 0.5), deviation=(0.2, 0.2, 0.2))
    augment = Augment(flip_horizontal=True, flip_alternating=True, shift_pixels=2.0, rising_sizes=(20, 24, 32), **settings)
    with fake_gpu():
        images = torch.empty(1003, 32, 32, 3, dtype=torch.uint8, device="cuda").permute(0, 3, 1, 2)
        batches = Batches(images, torch.empty(1003, dtype=torch.long, device="cuda"), 10, standard, augment, 0, total_steps=11)
        assert batches._ahead(100) > 11
        with Waits() as waits:
            sizes = [tuple(batch.images.shape) for batch in batches.training(0, 100)]
    assert sizes == [(100, 3, 20, 20)] * 4 + [(100, 3, 24, 24)] * 4 + [(100, 3, 32, 32)] * 2 + [(3, 3, 32, 32)]
    assert waits.seen > 100
    assert waits.found == []


@pytest.mark.parametrize(
    "settings",
    [{}, {"weight_decay": 0.1, "loss": "hinge", "momentum": 0.8}, {"label_smoothing": 0.1, "clip_norm": 1.0, "clip_value": 1.0, "l2_convolution": 1e-3}],
    ids=str,
)
def test_a_step_waits_for_nothing(settings: dict[str, Any]) -> None:
    train = Train.model_validate({"optimizer": "muon", "learning_rate": 0.1, **settings})
    with fake_gpu():
        with torch.device("cuda"):
            model = FastCNN(Fast(filters=(8, 16, 16)), classes=10, channels=3, size=32)
            weights = torch.ones(10)
        work = Work.of(model, train, build_loss(train), "float32", weights)
        tensor_rates(work.optimizers)
        images, labels = torch.empty(32, 3, 24, 24, device="cuda"), torch.zeros(32, dtype=torch.long, device="cuda")
        for turn in range(2):  # the first makes the optimizer's state
            with Waits() as waits:
                losses, answers = work.losses(images, labels)
                for parameter in model.parameters():
                    parameter.grad = torch.empty_like(parameter) if parameter.requires_grad else None
                add_l2_gradient(work.kernels)
                norm = clip(model, train)
                set_rate(work.optimizers, 0.05 + turn)
                for optimizer in work.optimizers:
                    if isinstance(optimizer, Muon):
                        optimizer.step()
                found = numbers(losses, answers, labels, losses.mean(), norm)
        assert found.device.type == "cuda"
    assert waits.seen > 100
    assert waits.found == []


def test_what_waits_is_seen() -> None:
    with fake_gpu(), Waits() as waits:
        numbers = torch.tensor([1.0, 2.0], device="cuda")
        numbers.cpu()
    assert [name.split(" ", 1)[1] for name in waits.found] == ["['cpu', 'cuda']"] * 2
    with fake_gpu(), Waits() as waits, pytest.raises(Exception, match="_local_scalar_dense"):
        bool(torch.isfinite(torch.ones((), device="cuda")))
    assert len(waits.found) == 1
