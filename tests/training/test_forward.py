import torch
from torch import nn

from rung.data.batches import Batches
from rung.recipe import Augment, Pixels, Views
from rung.training.forward import logits


class Corner(nn.Module):
    """Answers with the image's upper left pixel, and the one right of it."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images[:, 0, 0, :2]


IMAGES = torch.arange(2 * 25, dtype=torch.uint8).view(2, 1, 5, 5)


def answered(views: Views) -> torch.Tensor:
    batches = Batches(IMAGES, torch.zeros(2, dtype=torch.int64), 2, Pixels(normalise="none", colour="grey"), Augment(), 0, views=views)
    return logits(Corner(), batches, "float32")


def test_one_view_is_the_image_as_it_is() -> None:
    assert answered("one").tolist() == [[0, 1], [25, 26]]


def test_mirror_is_the_mean_of_the_image_and_its_mirror_image() -> None:
    assert answered("mirror").tolist() == [[2, 2], [27, 27]]


def test_mirror_and_shift_is_half_the_mirror_and_a_quarter_of_each_shift() -> None:
    # Moved down and right the corner shows the reflected pixel at (1, 1), moved up and left the one at (1, 1) too, and each has a mirror image.
    down, up = torch.tensor([6.0, 5.0]), torch.tensor([6.0, 7.0])
    down_mirrored, up_mirrored = torch.tensor([8.0, 9.0]), torch.tensor([8.0, 7.0])
    expected = 0.25 * torch.tensor([0.0, 1.0]) + 0.25 * torch.tensor([4.0, 3.0]) + 0.125 * (down + up + down_mirrored + up_mirrored)
    assert torch.allclose(answered("mirror_shift")[0], expected)
