import pytest
import torch

from rung.errors import RecipeError
from rung.models.build import build
from rung.models.fast import FastCNN
from rung.recipe import Fast


def made(channels: int = 3, size: int = 32, network: Fast | None = None) -> FastCNN:
    model = build(network or Fast(filters=(32, 40)), classes=4, channels=channels, size=size, seed=1)
    assert isinstance(model, FastCNN)
    return model


def correlated(count: int, channels: int) -> torch.Tensor:
    """Images whose neighbouring pixels and channels are alike."""
    noise = torch.randn(count, channels, 12, 12, generator=torch.Generator().manual_seed(0))
    smooth = torch.nn.functional.avg_pool2d(noise, 3, stride=1)
    return smooth + smooth.mean(1, keepdim=True)


@pytest.mark.parametrize("channels", [1, 3])
def test_the_stem_whitens_patches_and_gives_their_negatives_too(channels: int) -> None:
    model, images = made(channels), correlated(400, channels)
    model.fit_stem(images)
    answers = model.stem(images).detach().transpose(0, 1).flatten(1)
    half = min(4 * channels, 8)  # of twelve directions in colour the eight of most variance
    assert answers.shape[0] == 2 * half
    assert torch.allclose(answers[:half], -answers[half:])
    second_moment = answers[:half] @ answers[:half].T / answers.shape[1]
    assert torch.allclose(second_moment, torch.eye(half), atol=0.05)  # the variances carry a little more than their own


def test_stem_and_norms_scales_stay_as_they_are() -> None:
    frozen = {name for name, parameter in made().named_parameters() if not parameter.requires_grad}
    assert frozen == {"stem.weight", *(f"blocks.{b}.norms.{n}.weight" for b in (0, 1) for n in (0, 1))}


def test_convolutions_begin_by_passing_their_input_on() -> None:
    block = made().blocks[1]
    maps = torch.rand(2, 32, 9, 9)
    assert torch.allclose(block.convolutions[0](maps)[:, :32], maps, atol=1e-6)
    wide = torch.rand(2, 40, 9, 9)
    assert torch.allclose(block.convolutions[1](wide), wide, atol=1e-6)


@pytest.mark.parametrize("size", [5, 12, 20, 31, 48])
def test_images_of_any_size_are_answered(size: int) -> None:
    assert made().eval()(torch.rand(2, 3, size, size)).shape == (2, 4)


def test_images_too_small_for_the_blocks_are_refused() -> None:
    with pytest.raises(RecipeError, match=r"halves the side 3 times, and the images have 8 pixels a side: give fewer blocks, or pixels.size = 9 or more"):
        made(size=8, network=Fast())
    made(size=9, network=Fast()).eval()(torch.rand(1, 3, 9, 9))
