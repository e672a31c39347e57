"""Corruptions against what they promise: nothing at strength 0, more at each strength, the same bits again, the published amounts."""

import colorsys
import io

import numpy as np
import pytest
from PIL import Image

from rung.errors import RunError
from rung.evaluate.corruptions import CORRUPTIONS, STRENGTHS, Images, amounts, corrupt, keys_of

NAMES = sorted(CORRUPTIONS)
kinds = pytest.mark.parametrize("name", NAMES)


def pictures(count: int, size: int, channels: int) -> Images:
    """Return images with shapes and texture in the middle range of brightness."""
    y, x = np.mgrid[:size, :size] / size
    waves = [np.sin(7 * x + i) * np.cos(5 * y - i) + 0.4 * np.sin(31 * x * y + i) for i in range(count * channels)]
    values = np.stack(waves).reshape(count, channels, size, size).transpose(0, 2, 3, 1)
    return np.clip(128 + 50 * values, 0, 255).astype(np.uint8)


def keys_for(count: int) -> np.ndarray:
    return keys_of(np.arange(count, dtype=np.int64))


@kinds
@pytest.mark.parametrize(("size", "channels"), [(8, 1), (32, 3), (48, 1)])
def test_shape_and_strength_nothing(name: str, size: int, channels: int) -> None:
    images = pictures(3, size, channels)
    assert np.array_equal(corrupt(images, keys_for(3), name, 0), images)
    for strength in STRENGTHS:
        changed = corrupt(images, keys_for(3), name, strength)
        assert (changed.shape, changed.dtype) == (images.shape, np.uint8)
        assert (changed != images).any()


@kinds
@pytest.mark.parametrize(("size", "channels"), [(16, 1), (32, 3), (48, 3)])
def test_each_strength_changes_more_than_the_one_before(name: str, size: int, channels: int) -> None:
    images = pictures(4, size, channels)
    distances = [np.abs(corrupt(images, keys_for(4), name, strength).astype(float) - images).mean() for strength in STRENGTHS]
    assert distances == sorted(distances)
    assert distances[0] > 0.1


@kinds
def test_the_same_image_gets_the_same_bits_in_any_batch_and_order(name: str) -> None:
    images, image_keys = pictures(6, 32, 3), keys_for(6)
    whole = corrupt(images, image_keys, name, 3)
    assert np.array_equal(corrupt(images, image_keys, name, 3), whole)
    order = np.array([4, 0, 5])
    assert np.array_equal(corrupt(images[order], image_keys[order], name, 3), whole[order])
    assert np.array_equal(corrupt(images[2:3], image_keys[2:3], name, 3), whole[2:3])


@pytest.mark.parametrize("name", ["noise", "shift", "rotation"])
def test_images_draw_their_own(name: str) -> None:
    images = np.repeat(pictures(1, 32, 3), 6, axis=0)
    assert len({image.tobytes() for image in corrupt(images, keys_for(6), name, 2)}) > 1


def test_the_amounts_are_those_of_the_paper_and_go_over_from_small_to_large() -> None:
    assert amounts("noise", 32) == pytest.approx((0.04, 0.06, 0.08, 0.09, 0.10))
    assert amounts("noise", 224) == pytest.approx((0.08, 0.12, 0.18, 0.26, 0.38))
    assert amounts("blur", 448) == pytest.approx((2, 4, 6, 8, 12))
    assert amounts("noise", 448) == amounts("noise", 224)
    for name in NAMES:
        assert amounts(name, 8) == amounts(name, 32)
        for small, middle, large in zip(amounts(name, 32), amounts(name, 85), amounts(name, 224), strict=True):
            assert min(small, large) - 1e-12 <= middle <= max(small, large) + 1e-12


def test_noise_has_the_deviation_that_it_says() -> None:
    grey = np.full((20, 32, 32, 3), 128, np.uint8)
    assert corrupt(grey, keys_for(20), "noise", 5).astype(float).std() == pytest.approx(25.5, rel=0.02)


def test_a_shift_is_as_long_as_it_says() -> None:
    size = 100
    image = np.zeros((10, size, size, 1), np.uint8)
    image[:, 45:55, 45:55] = 255
    moved = corrupt(image, keys_for(10), "shift", 4).astype(float)[..., 0]
    y, x = np.mgrid[:size, :size]
    weight = moved.sum(axis=(1, 2))
    apart = np.hypot((moved * x).sum(axis=(1, 2)) / weight - 49.5, (moved * y).sum(axis=(1, 2)) / weight - 49.5)
    assert apart == pytest.approx(np.full(10, 12.0), abs=0.05)


def test_a_rotation_turns_by_the_angle_that_it_says() -> None:
    image = np.zeros((4, 101, 101, 1), np.uint8)
    image[:, 48:53, 80:90] = 255
    turned = corrupt(image, keys_for(4), "rotation", 5).astype(float)[..., 0]
    y, x = np.mgrid[:101, :101] - 50
    weight = turned.sum(axis=(1, 2))
    angle = np.degrees(np.arctan2((turned * y).sum(axis=(1, 2)) / weight, (turned * x).sum(axis=(1, 2)) / weight))
    assert np.abs(angle) == pytest.approx(np.full(4, 30.0), abs=0.3)
    assert len(set(np.sign(angle))) == 2


def test_brightness_raises_the_largest_channel_and_keeps_the_hue() -> None:
    image = np.array([100, 50, 25], np.uint8).reshape(1, 1, 1, 3).repeat(8, 1).repeat(8, 2)
    bright = corrupt(image, keys_for(1), "brightness", 5)[0, 0, 0] / 255
    before, after = colorsys.rgb_to_hsv(*(image[0, 0, 0] / 255)), colorsys.rgb_to_hsv(*bright)
    assert after[2] - before[2] == pytest.approx(0.3, abs=0.01)
    assert after[:2] == pytest.approx(before[:2], abs=0.01)
    black = np.zeros((1, 8, 8, 3), np.uint8)
    assert corrupt(black, keys_for(1), "brightness", 2).max() == round(0.1 * 255)


def test_contrast_keeps_the_mean_and_shrinks_the_spread() -> None:
    image = pictures(2, 32, 3)
    flat = corrupt(image, keys_for(2), "contrast", 4).astype(float)
    assert flat.std(axis=(1, 2)) == pytest.approx(0.3 * image.std(axis=(1, 2)), rel=0.05)
    assert flat.mean(axis=(1, 2)) == pytest.approx(image.mean(axis=(1, 2)), abs=0.6)


@pytest.mark.parametrize("channels", [1, 3])
def test_jpeg_is_that_of_pillow(channels: int) -> None:
    image = pictures(1, 32, channels)
    buffer = io.BytesIO()
    Image.fromarray(image[0, ..., 0] if channels == 1 else image[0]).save(buffer, "JPEG", quality=40)
    assert np.array_equal(corrupt(image, keys_for(1), "jpeg", 5)[0].squeeze(), np.asarray(Image.open(buffer)))


def test_no_images_and_what_is_not_there() -> None:
    none = np.zeros((0, 8, 8, 1), np.uint8)
    assert corrupt(none, keys_for(0), "blur", 1).shape == none.shape
    with pytest.raises(RunError, match="there is no corruption 'blurr': did you mean 'blur'"):
        corrupt(none, keys_for(0), "blurr", 1)
    with pytest.raises(RunError, match="the strength is 6: expected 0"):
        corrupt(none, keys_for(0), "blur", 6)
