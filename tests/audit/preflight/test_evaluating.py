"""An answer depends on the image and the weights alone."""

import pytest
import torch
from torch import nn

from rung.audit.preflight import evaluating
from rung.data.batches import Batches
from tests.audit.preflight.made import batches, some


class Net(nn.Module):
    """Linear, after a batch norm or a dropout that can be stuck in one mode."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner, self.head = inner, nn.Linear(16, 4)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(self.inner(images).flatten(1))


class Always(nn.Module):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return nn.functional.dropout(images, 0.5)


class Centred(nn.Module):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images - images.mean(0)


@pytest.mark.parametrize(
    ("inner", "message"),
    [
        (nn.BatchNorm2d(1), ""),
        (nn.Dropout(0.5), ""),
        (Always(), "when the images are asked twice"),
        (Centred(), "when the images are asked in other company"),
    ],
)
def test_answers_depend_on_the_image_alone(inner: nn.Module, message: str) -> None:
    torch.manual_seed(0)
    found = evaluating.evaluation(Net(inner), batches(some(30)), "float32")
    assert (found.state == "ok") == (not message)
    assert message in found.sentence


def test_a_network_scored_in_training_mode_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def asked(model: nn.Module, part: Batches, precision: str) -> torch.Tensor:
        with torch.no_grad():
            return torch.cat([model(batch.images) for batch in part.evaluation()])

    monkeypatch.setattr(evaluating, "logits", asked)
    found = evaluating.evaluation(Net(nn.BatchNorm2d(1)), batches(some(30)), "float32")
    assert "1 of 1 batches were answered with a part of the network in training mode" in found.sentence
    assert "Answering changed 3 tensors of the network, such as inner.running_mean." in found.sentence
