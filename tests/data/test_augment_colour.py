import colorsys
import math

import numpy as np
import pytest
import torch
from scipy import ndimage, stats

from rung import keys
from rung.data.augment import augment
from rung.data.colour import blur, channel_means, contrast_brightness, cutout, noise, saturation_hue
from rung.data.draws import Draw, draw
from rung.errors import RecipeError
from rung.recipe import Augment


def pictures(count: int = 64, side: int = 32, channels: int = 3) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).random((count, channels, side, side))).float()


def row_keys(count: int = 64) -> torch.Tensor:
    return keys.row_keys(3, torch.arange(count))


def drawn(count: int = 64) -> torch.Tensor:
    return draw(row_keys(count))


@pytest.mark.parametrize("side", [1, 5, 32])
def test_channel_means_are_means_and_equal_bits_for_any_batch_and_layout(side: int) -> None:
    images = pictures(16, side)
    means = channel_means(images)
    torch.testing.assert_close(means, images.double().mean(dim=(2, 3), keepdim=True).float())
    assert torch.equal(channel_means(images.contiguous(memory_format=torch.channels_last)), means)
    assert torch.equal(torch.cat([channel_means(images[i : i + 1]) for i in range(16)]), means)


def test_contrast_and_brightness_are_keras_formulas() -> None:
    images, draws = pictures(), drawn()
    result = contrast_brightness(images, draws, Augment(contrast_fraction=0.4, brightness_fraction=0.2)).double()
    factor = (1 + (2 * draws[Draw.CONTRAST] - 1) * 0.4)[:, None, None, None]
    added = ((2 * draws[Draw.BRIGHTNESS] - 1) * 0.2)[:, None, None, None]
    means = images.double().mean(dim=(2, 3), keepdim=True)
    torch.testing.assert_close(result, (images.double() - means) * factor + means + added, rtol=0, atol=1e-6)
    torch.testing.assert_close(contrast_brightness(images, draws, Augment(brightness_fraction=0.2)).double(), images.double() + added, rtol=0, atol=1e-6)
    assert -0.2 <= added.min() < -0.15
    assert 0.15 < added.max() < 0.2


def test_values_are_cut_to_the_range_once_at_the_end() -> None:
    images = pictures()
    result = augment(images, row_keys(), Augment(brightness_fraction=0.9))
    expected = contrast_brightness(images, drawn(), Augment(brightness_fraction=0.9))
    assert expected.min() < 0
    assert expected.max() > 1
    assert torch.equal(result, expected.clamp(0, 1))


def test_saturation_and_hue_scale_and_turn_the_chroma() -> None:
    images, draws = pictures(8, 4), drawn(8)
    result = saturation_hue(images, draws, Augment(saturation_fraction=0.5, hue_degrees=90)).double().numpy()
    for number in range(8):
        factor = 1 + (2 * draws[Draw.SATURATION, number].item() - 1) * 0.5
        angle = math.radians((2 * draws[Draw.HUE, number].item() - 1) * 90)
        before = colorsys.rgb_to_yiq(*images[number, :, 1, 2].tolist())
        after = colorsys.rgb_to_yiq(*result[number, :, 1, 2])
        chroma = complex(before[1], before[2]) * factor * complex(math.cos(angle), math.sin(angle))
        # colorsys rounds the matrix to two digits
        assert after == pytest.approx((before[0], chroma.real, chroma.imag), abs=0.015)


def test_without_saturation_images_are_grey_of_the_same_luma() -> None:
    images = pictures(4, 4)
    draws = drawn(4)
    draws[Draw.SATURATION] = 0.0
    result = saturation_hue(images, draws, Augment(saturation_fraction=1.0))
    luma = 0.299 * images[:, 0] + 0.587 * images[:, 1] + 0.114 * images[:, 2]
    torch.testing.assert_close(result, luma[:, None].expand(4, 3, 4, 4), rtol=0, atol=1e-6)


def test_grey_images_have_no_colour_to_change() -> None:
    with pytest.raises(RecipeError, match=r"augment.saturation_fraction and augment.hue_degrees need colour, and these images are grey"):
        augment(pictures(channels=1), row_keys(), Augment(saturation_fraction=0.1, hue_degrees=5))


@pytest.mark.parametrize("pixels", [0.4, 1.0, 2.5])
@pytest.mark.parametrize("channels", [1, 3])
def test_blur_is_scipy_s_gaussian(pixels: float, channels: int) -> None:
    images, draws = pictures(6, 13, channels), drawn(6)
    draws[Draw.BLUR, 0] = 0.0
    result = blur(images, draws, Augment(blur_pixels=pixels))
    assert torch.equal(result[0], images[0])
    for number in range(1, 6):
        deviation = draws[Draw.BLUR, number].item() * pixels
        expected = ndimage.gaussian_filter(images[number, 0].double().numpy(), deviation, mode="nearest", radius=math.ceil(3 * pixels))
        np.testing.assert_allclose(result[number, 0].numpy(), expected, atol=1e-5)


def test_noise_is_normal_and_independent() -> None:
    images = torch.full((40, 3, 31, 31), 0.5)
    values = (noise(images, row_keys(40), Augment(noise_fraction=0.1)) - images).double().numpy() / 0.1
    assert abs(values.mean()) < 4 / math.sqrt(values.size)
    assert abs(values.std() - 1) < 0.01
    assert stats.kstest(values[:, 0].flatten(), "norm").pvalue > 0.001
    assert abs(np.corrcoef(values[0].flatten(), values[1].flatten())[0, 1]) < 0.1
    assert abs(np.corrcoef(values[:, 0, :, :-1].flatten(), values[:, 0, :, 1:].flatten())[0, 1]) < 0.02
    assert abs(np.corrcoef(values[:, 0].flatten(), values[:, 1].flatten())[0, 1]) < 0.02


def test_cutout_is_one_grey_square_that_may_hang_over() -> None:
    images = pictures(2000, 16, 1) * 0.4
    result = cutout(images, drawn(2000), Augment(cutout_pixels=6))
    grey = (result == 0.5)[:, 0]
    assert torch.equal(result[:, 0][~grey], images[:, 0][~grey])
    rows, columns = grey.any(dim=2).sum(dim=1), grey.any(dim=1).sum(dim=1)
    assert torch.equal(rows * columns, grey.sum(dim=(1, 2)))
    assert rows.max() == columns.max() == 6
    assert rows.min() == columns.min() == 3
    coverage = grey.float().mean(dim=0)
    assert coverage.min() > 0
