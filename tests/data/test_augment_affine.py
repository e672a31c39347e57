import math

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import ndimage

from rung import keys
from rung.data.affine import move
from rung.data.draws import Draw, draw
from rung.recipe import Augment


def pictures(count: int = 64, side: int = 32, channels: int = 3) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).random((count, channels, side, side))).float()


def smooth_pictures(count: int = 8, side: int = 32) -> torch.Tensor:
    return torch.from_numpy(ndimage.gaussian_filter(np.random.default_rng(0).random((count, 3, side, side)), (0, 0, 2, 2), mode="reflect")).float()


def drawn(count: int = 64) -> torch.Tensor:
    return draw(keys.row_keys(3, torch.arange(count)))


def chosen(number: Draw, value: float, count: int = 8) -> torch.Tensor:
    """Draws that are the middle of everything but for one."""
    draws = torch.full((len(Draw), count), 0.5, dtype=torch.float64)
    draws[number] = value
    return draws


@pytest.mark.parametrize(("field", "number", "dimension"), [("flip_horizontal", Draw.FLIP_HORIZONTAL, 3), ("flip_vertical", Draw.FLIP_VERTICAL, 2)])
@pytest.mark.parametrize("exact", [True, False])
def test_flip_mirrors_half_of_the_images(field: str, number: Draw, dimension: int, exact: bool) -> None:
    images, draws = pictures(), drawn()
    mirrored = draws[number] < 0.5
    assert 20 < mirrored.sum() < 44
    expected = torch.where(mirrored[:, None, None, None], images.flip(dimension), images)
    if exact:
        once = move(images, draws, Augment.model_validate({field: True}))
        assert torch.equal(once, expected)
        assert torch.equal(move(once, draws, Augment.model_validate({field: True})), images)
    else:
        draws[Draw.ZOOM] = 0.5
        torch.testing.assert_close(move(images, draws, Augment.model_validate({field: True, "zoom_fraction": 0.3})), expected, rtol=0, atol=1e-5)


def test_flips_have_probability_one_half() -> None:
    images = torch.tensor([0.0, 1.0]).view(1, 1, 1, 2).expand(20_000, 1, 1, 2)
    flipped = move(images, drawn(20_000), Augment(flip_horizontal=True))[:, 0, 0, 0]
    assert abs(flipped.mean().item() - 0.5) < 4 * 0.5 / math.sqrt(20_000)


@pytest.mark.parametrize("turns", [-2, -1, 1, 2])
def test_quarter_turns_are_exact_and_anticlockwise(turns: int) -> None:
    images = pictures(8)
    result = move(images, chosen(Draw.ROTATION, 1.0 if turns > 0 else 0.0), Augment(rotation_degrees=90 * abs(turns)))
    torch.testing.assert_close(result, torch.rot90(images, turns, (2, 3)), rtol=0, atol=2e-5)


def test_rotation_agrees_with_scipy_and_pil() -> None:
    images, draws = smooth_pictures(), drawn(8)
    result = move(images, draws, Augment(rotation_degrees=18)).numpy()
    angles = ((2 * draws[Draw.ROTATION] - 1) * 18).tolist()
    middle = np.s_[8:24, 8:24]
    for number, angle in enumerate(angles):
        image = images[number, 0].numpy()
        by_scipy = ndimage.rotate(image, angle, reshape=False, order=1)
        by_pil = np.asarray(Image.fromarray(image).rotate(angle, Image.Resampling.BILINEAR))
        np.testing.assert_allclose(result[number, 0][middle], by_scipy[middle], atol=1e-4)
        np.testing.assert_allclose(result[number, 0][middle], by_pil[middle], atol=1e-4)


@pytest.mark.parametrize(("fill", "mode"), [("reflect", "reflect"), ("edge", "nearest"), ("zero", "grid-constant")])
@pytest.mark.parametrize("position", [0.0, 0.3, 0.8])
def test_zoom_and_its_edges_agree_with_scipy(fill: str, mode: str, position: float) -> None:
    images = smooth_pictures()
    view = 1 + (2 * position - 1) * 0.4
    result = move(images, chosen(Draw.ZOOM, position), Augment.model_validate({"zoom_fraction": 0.4, "fill": fill}))
    expected = ndimage.affine_transform(images[2, 1].numpy(), [view, view], offset=15.5 * (1 - view), order=1, mode=mode)
    np.testing.assert_allclose(result[2, 1].numpy(), expected, atol=1e-4)


@pytest.mark.parametrize(("fill", "mode"), [("reflect", "reflect"), ("edge", "nearest"), ("zero", "grid-constant")])
def test_shift_by_a_fraction_agrees_with_scipy(fill: str, mode: str) -> None:
    images = smooth_pictures()
    draws = chosen(Draw.SHIFT_X, 0.9)
    draws[Draw.SHIFT_Y] = 0.2
    result = move(images, draws, Augment.model_validate({"shift_fraction": 0.25, "fill": fill}))
    expected = ndimage.shift(images[1, 1].numpy(), (-0.6 * 8, 0.8 * 8), order=1, mode=mode)
    np.testing.assert_allclose(result[1, 1].numpy(), expected, atol=1e-4)


@pytest.mark.parametrize(("fill", "mode"), [("reflect", "symmetric"), ("edge", "edge"), ("zero", "constant")])
@pytest.mark.parametrize("side", [8, 3])
@pytest.mark.parametrize("interpolated", [False, True])
def test_whole_pixel_shifts_are_windows_of_the_padded_image(fill: str, mode: str, side: int, interpolated: bool) -> None:
    images, draws = pictures(64, side), drawn()
    more = {}
    if interpolated:
        draws[Draw.ROTATION] = 0.5
        more = {"rotation_degrees": 10}
    result = move(images, draws, Augment.model_validate({"shift_pixels": 4.7, "fill": fill, **more}))
    across, down = (((draws[number] * 9).long() - 4).tolist() for number in (Draw.SHIFT_X, Draw.SHIFT_Y))
    assert set(across) == set(down) == set(range(-4, 5))
    padded = np.pad(images.numpy(), ((0, 0), (0, 0), (4, 4), (4, 4)), mode=mode)  # type: ignore[call-overload]
    for number, (x, y) in enumerate(zip(across, down, strict=True)):
        expected = padded[number, :, 4 - y : 4 - y + side, 4 - x : 4 - x + side]
        np.testing.assert_allclose(result[number].numpy(), expected, atol=1e-5 if interpolated else 0)


def test_whole_pixel_shifts_are_even_over_their_range() -> None:
    images = torch.zeros(20_000, 1, 1, 9)
    images[..., 4] = 1
    places = move(images, drawn(20_000), Augment(shift_pixels=4, fill="zero"))[:, 0, 0].nonzero()[:, 1]
    counts = torch.bincount(places, minlength=9)
    assert len(counts) == 9
    # the vertical shift moves 8 of 9 images out of their one line
    expected = 20_000 / 81
    assert (counts - expected).abs().max() < 5 * math.sqrt(expected)


@pytest.mark.parametrize("more", [{}, {"flip_horizontal": True}, {"zoom_fraction": 0.2}, {"shift_pixels": 2, "fill": "zero"}])
def test_a_crop_is_a_window_of_the_uncropped_result(more: dict[str, object]) -> None:
    images, draws = pictures(), drawn()
    whole = move(images, draws, Augment.model_validate(more))
    cropped = move(images, draws, Augment.model_validate({"crop": 20, **more}))
    assert cropped.shape == (64, 3, 20, 20)
    left, top = ((draws[number] * 13).long() for number in (Draw.CROP_X, Draw.CROP_Y))
    assert set(left.tolist()) == set(range(13))
    for number in range(64):
        window = whole[number, :, top[number] : top[number] + 20, left[number] : left[number] + 20]
        torch.testing.assert_close(cropped[number], window, rtol=0, atol=0 if "zoom_fraction" not in more else 1e-5)


def test_images_need_not_be_square() -> None:
    images = pictures(4)[:, :, :20]
    torch.testing.assert_close(move(images, chosen(Draw.ROTATION, 1.0, 4), Augment(rotation_degrees=180)), images.flip(2, 3), rtol=0, atol=2e-5)
    assert torch.equal(move(images, chosen(Draw.FLIP_VERTICAL, 0.0, 4), Augment(flip_vertical=True)), images.flip(2))
