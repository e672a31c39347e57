from collections.abc import Iterator

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rung import keys
from rung.data.augment import augment, centre_crop, mix, offline
from rung.data.draws import Draw, derived, draw
from rung.errors import RecipeError
from rung.recipe import Augment

EVERYTHING: dict[str, object] = {
    "flip_horizontal": True, "flip_vertical": True, "rotation_degrees": 30, "zoom_fraction": 0.3, "shift_fraction": 0.1, "crop": 24,
    "contrast_fraction": 0.5, "brightness_fraction": 0.3, "saturation_fraction": 0.5, "hue_degrees": 60, "blur_pixels": 1.5,
    "noise_fraction": 0.1, "cutout_pixels": 7,
}  # fmt: skip
SETS = {
    "model s": Augment(flip_horizontal=True, rotation_degrees=18, zoom_fraction=0.05, contrast_fraction=0.05, brightness_fraction=0.05),
    "flip and shift": Augment(flip_horizontal=True, shift_pixels=4),
    "flip, shift and crop": Augment(flip_vertical=True, shift_pixels=2, crop=20, fill="zero"),
    "edge": Augment(rotation_degrees=180, shift_fraction=0.5, fill="edge"),
    "zero": Augment(zoom_fraction=0.9, shift_pixels=3, fill="zero"),
    "all": Augment.model_validate(EVERYTHING),
} | {name: Augment.model_validate({name: value}) for name, value in EVERYTHING.items()}


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def pictures(count: int = 64, side: int = 32, channels: int = 3) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).integers(0, 256, (count, channels, side, side))).float() / 255


def row_keys(count: int = 64, epoch: int = 0) -> torch.Tensor:
    return keys.row_keys(keys.stream(5, "augment", epoch), torch.arange(count))


@pytest.mark.parametrize("name", SETS)
def test_batch_order_threads_and_layout_change_no_bit(name: str) -> None:
    images, image_keys = pictures(), row_keys()
    torch.set_num_threads(1)
    whole = augment(images, image_keys, SETS[name])
    for threads, size in ((1, 1), (1, 7), (2, 7), (2, 64)):
        torch.set_num_threads(threads)
        parts = [augment(images[i : i + size], image_keys[i : i + size], SETS[name]) for i in range(0, 64, size)]
        assert torch.equal(torch.cat(parts), whole), (threads, size)
    backwards = torch.arange(63, -1, -1)
    assert torch.equal(augment(images[backwards], image_keys[backwards], SETS[name]), whole[backwards])
    assert torch.equal(augment(images.contiguous(memory_format=torch.channels_last), image_keys, SETS[name]), whole)


@pytest.mark.parametrize("side", [1, 2, 9, 33])
def test_bits_hold_for_odd_sizes_and_grey_images(side: int) -> None:
    colourless = {key: value for key, value in EVERYTHING.items() if key not in ("saturation_fraction", "hue_degrees", "crop")}
    images, image_keys = pictures(16, side, 1), row_keys(16)
    whole = augment(images, image_keys, Augment.model_validate(colourless))
    assert whole.shape == images.shape
    parts = [augment(images[i : i + 1], image_keys[i : i + 1], Augment.model_validate(colourless)) for i in range(16)]
    assert torch.equal(torch.cat(parts), whole)


@pytest.mark.parametrize("name", [n for n in SETS if n != "all"])
def test_every_set_changes_images_and_leaves_the_input_alone(name: str) -> None:
    images = pictures()
    before = images.clone()
    result = augment(images, row_keys(), SETS[name])
    assert torch.equal(images, before)
    assert result.shape != images.shape or (result != images).flatten(1).any(dim=1).float().mean() > 0.3


def test_nothing_on_changes_no_bit() -> None:
    images = pictures()
    assert torch.equal(augment(images, row_keys(), Augment()), images)
    assert torch.equal(augment(images, row_keys(), Augment(shift_pixels=0.9, fill="zero")), images)


@settings(max_examples=40, deadline=None)
@given(
    values=st.fixed_dictionaries({}, optional={
        "rotation_degrees": st.floats(0, 180), "zoom_fraction": st.floats(0, 0.99), "shift_fraction": st.floats(0, 1), "contrast_fraction": st.floats(0, 3),
        "brightness_fraction": st.floats(0, 2), "saturation_fraction": st.floats(0, 3), "hue_degrees": st.floats(0, 180),
        "blur_pixels": st.floats(0, 4), "noise_fraction": st.floats(0, 2), "cutout_pixels": st.integers(0, 20), "crop": st.integers(1, 12),
        "fill": st.sampled_from(["reflect", "edge", "zero"]), "flip_vertical": st.booleans(),
    }),
    seed=st.integers(0, 2**40),
)  # fmt: skip
def test_values_stay_in_range_whatever_is_set(values: dict[str, object], seed: int) -> None:
    image_keys = keys.row_keys(seed, torch.arange(6))
    result = augment(pictures(6, 12), image_keys, Augment.model_validate(values))
    assert torch.isfinite(result).all()
    assert result.min() >= 0
    assert result.max() <= 1
    assert result.dtype == torch.float32


def test_draws_are_those_of_the_keys() -> None:
    image_keys = row_keys(50)
    table = draw(image_keys)
    for number in Draw:
        assert torch.equal(table[number], keys.uniform(image_keys, int(number)).double())
        assert np.array_equal(table[number].numpy(), keys.uniform(image_keys.numpy(), int(number)))


def test_draws_are_independent_between_numbers_rows_and_epochs() -> None:
    first, second = draw(row_keys(20_000)), draw(row_keys(20_000, epoch=1))
    next_row = first.roll(1, dims=1)
    together = np.corrcoef(torch.cat([first, second, next_row]).numpy())
    np.fill_diagonal(together, 0)
    assert np.abs(together).max() < 5 / np.sqrt(20_000)
    assert not torch.equal(augment(pictures(), row_keys(epoch=0), SETS["model s"]), augment(pictures(), row_keys(epoch=1), SETS["model s"]))


def test_derived_keys_differ_by_purpose_and_from_their_own() -> None:
    image_keys = row_keys()
    together = torch.cat([image_keys, derived(image_keys, "a"), derived(image_keys, "b")])
    assert len(together.unique()) == 3 * 64


def test_centre_crop() -> None:
    images = pictures(2, 9)
    assert torch.equal(centre_crop(images, 4), images[:, :, 2:6, 2:6])
    with pytest.raises(RecipeError, match=r"augment.crop = 10 is larger than the images, 9x9 pixels"):
        centre_crop(images, 10)
    for more in ({}, {"rotation_degrees": 10}):
        with pytest.raises(RecipeError, match=r"augment.crop = 10 is larger than the images"):
            augment(images, row_keys(2), Augment.model_validate({"crop": 10, **more}))


def test_own_functions_see_0_to_1_and_keys_of_their_own() -> None:
    seen: list[torch.Tensor] = []

    def darker(images: torch.Tensor, image_keys: torch.Tensor) -> torch.Tensor:
        assert images.min() >= 0
        assert images.max() <= 1
        seen.append(image_keys)
        return images * keys.uniform(image_keys, 0)[:, None, None, None]

    def brighter(images: torch.Tensor, image_keys: torch.Tensor) -> torch.Tensor:
        seen.append(image_keys)
        return images.add_(0.5)

    images = pictures()
    before = images.clone()
    result = augment(images, row_keys(), Augment(brightness_fraction=0.9), own=[darker, brighter])
    assert not torch.equal(seen[0], seen[1])
    assert result.max() <= 1
    augment(images, row_keys(), Augment(), own=[brighter])
    assert torch.equal(images, before)


def test_own_function_at_fault_is_named() -> None:
    def halved(images: torch.Tensor, image_keys: torch.Tensor) -> torch.Tensor:
        return images[:, :, ::2]

    def broken(images: torch.Tensor, image_keys: torch.Tensor) -> torch.Tensor:
        images[3:5, 0, 0, 0] = torch.nan
        return images

    def double(images: torch.Tensor, image_keys: torch.Tensor) -> torch.Tensor:
        return images.double()

    def nothing(images: torch.Tensor, image_keys: torch.Tensor) -> None:
        images.add_(1)

    for function, message in (
        (halved, r"'halved' returned torch.float32 \(64, 3, 16, 32\) on cpu for torch.float32 \(64, 3, 32, 32\)"),
        (broken, r"'broken' returned values that are not finite, in 2 of 64 images"),
        (double, r"'double' returned torch.float64"),
        (nothing, r"'nothing' returned NoneType: it must return a tensor of images"),
    ):
        with pytest.raises(RecipeError, match=message):
            augment(pictures(), row_keys(), Augment(), own=[function])


def byte_images(count: int) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (count, 8, 8, 3), dtype=np.uint8)


def test_offline_copies_depend_on_key_row_and_copy_alone() -> None:
    images = byte_images(600)
    chosen = Augment(rotation_degrees=72, zoom_fraction=0.3, flip_horizontal=True, contrast_fraction=0.3, offline_copies=2)
    copies = offline(images, chosen, 7)
    assert copies.shape == (1200, 8, 8, 3)
    assert copies.dtype == np.uint8
    few = offline(images[:3], chosen, 7)
    assert np.array_equal(few, copies[[0, 1, 2, 600, 601, 602]])
    some = np.array([599, 4, 17])
    assert np.array_equal(offline(images[some], chosen, 7, rows=some), copies[[599, 4, 17, 1199, 604, 617]])
    assert not np.array_equal(copies[:600], copies[600:])
    assert not np.array_equal(offline(images, chosen, 8), copies)


def test_offline_copies_of_unchanged_images_are_the_bytes() -> None:
    images = byte_images(5)
    assert np.array_equal(offline(images, Augment(offline_copies=3), 1), np.tile(images, (3, 1, 1, 1)))
    assert offline(images, Augment(), 1).shape == (0, 8, 8, 3)


SHARES = torch.eye(5)[torch.arange(64) % 5]


@pytest.mark.parametrize("field", ["mixup_alpha", "cutmix_alpha"])
def test_mixed_targets_are_shares_of_two_classes(field: str) -> None:
    for key in range(20):
        images, targets = mix(pictures(), SHARES, key, Augment.model_validate({field: 0.5}))
        assert images.shape == (64, 3, 32, 32)
        torch.testing.assert_close(targets.sum(dim=1), torch.ones(64))
        assert targets.min() >= 0
        assert (targets > 0).sum(dim=1).max() <= 2


def constant_pictures() -> torch.Tensor:
    return (torch.arange(64) / 63).float()[:, None, None, None].expand(64, 3, 32, 32)


def test_mixup_mixes_pixels_by_the_share_of_the_targets() -> None:
    rows = torch.eye(64)
    images, targets = mix(constant_pictures(), rows, 3, Augment(mixup_alpha=1.0))
    torch.testing.assert_close(images[:, 0, 0, 0], targets @ (torch.arange(64) / 63))
    assert (targets > 0).sum(dim=0).max() <= 2  # a permutation: each image is a partner once


def test_cutmix_takes_one_box_and_shares_by_its_area() -> None:
    rows = torch.eye(64)
    images, targets = mix(constant_pictures(), rows, 4, Augment(cutmix_alpha=1.0))
    torch.testing.assert_close(images[:, 0].mean(dim=(1, 2)), targets @ (torch.arange(64) / 63))
    own = (images == constant_pictures())[:, 0].flatten(1).float().mean(dim=1)
    torch.testing.assert_close(own[own < 1], targets.diagonal()[own < 1])


@pytest.mark.parametrize("alpha", [0.2, 1.0])
def test_shares_follow_the_beta_distribution(alpha: float) -> None:
    from scipy import stats

    two = torch.zeros(2, 1, 1, 1), torch.eye(2)
    # A row that meets itself shows no share, and half of the permutations of two are of that kind.
    found = [mix(*two, key, Augment(mixup_alpha=alpha))[1][0, 0].item() for key in np.random.default_rng(0).integers(0, 2**62, 1500).tolist()]
    shares = [share for share in found if share != 1.0]
    assert 600 < len(shares) < 900
    assert stats.kstest(shares, stats.beta(alpha, alpha).cdf).pvalue > 0.01


def test_mixing_is_off_by_default_and_repeats_for_a_key() -> None:
    images = pictures()
    assert mix(images, SHARES, 1, Augment())[0] is images
    first, again, other = (mix(images, SHARES, key, Augment(mixup_alpha=0.4))[0] for key in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
