"""Near-duplicates: what is found, what is not, and that nothing but the images decides."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import rung
from benchmarks.planted import KINDS
from rung.data.imageset import ImageSet, pixel_digests
from rung.data.resize import resize
from rung.data.twins import Twins, exact_pairs, find_twins, linked, near_pairs
from tests.shapes import drawn

HARD = ("white border 3", "resized to 12", "shifted by -4, 3", "cropped corner 3")  # at 32 pixels; benchmarks/README.md says how often they are found


@pytest.fixture(scope="module")
def patches() -> np.ndarray:
    """The parts of two photographs that are not plain, each of 64 x 64 pixels brought to 32 x 32, uint8 (N,32,32,3), none overlapping another."""
    from sklearn.datasets import load_sample_images

    photos = load_sample_images().images
    cut = np.concatenate([p[:384, :640].reshape(6, 64, 10, 64, 3).swapaxes(1, 2).reshape(-1, 64, 64, 3) for p in photos])
    small = resize(cut, (32, 32), "bilinear", antialias=True)
    return small[small.std(axis=(1, 2, 3)) > 25]


def test_planted_twins_are_found_and_little_else(patches: np.ndarray) -> None:
    draws = np.random.default_rng(0)
    kinds = [kind for kind in KINDS if kind not in HARD]
    originals = draws.permutation(len(patches))
    planted = np.stack([KINDS[kinds[k % len(kinds)]](patches[row], draws) for k, row in enumerate(originals)])
    natural = {tuple(pair) for pair in near_pairs(patches)[0].tolist()}
    pairs, alike = near_pairs(np.concatenate([patches, planted]))
    assert (pairs[:, 0] < pairs[:, 1]).all()
    assert (alike > 0.9).all()
    found = {tuple(pair) for pair in pairs.tolist()}
    wanted = {(int(row), len(patches) + k) for k, row in enumerate(originals)}
    assert len(wanted & found) >= 0.9 * len(wanted)
    others = {pair for pair in found - wanted if max(pair) < len(patches)}
    assert len(others | natural) < 0.05 * len(patches)


def test_the_number_of_threads_changes_no_bit(patches: np.ndarray) -> None:
    images = np.concatenate([patches, patches[:, :, ::-1]])
    before = torch.get_num_threads()
    try:
        results = []
        for threads in (1, 2):
            torch.set_num_threads(threads)
            results.append(near_pairs(images))
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    assert np.array_equal(results[0][0], results[1][0])
    assert np.array_equal(results[0][1], results[1][1])
    assert len(results[0][0]) >= 0.95 * len(patches)


def test_many_images_are_searched_in_cells_and_found_alike(patches: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    images = np.concatenate([patches, np.clip(patches.astype(int) + 12, 0, 255).astype(np.uint8)])
    whole = {tuple(pair) for pair in near_pairs(images)[0].tolist()}
    monkeypatch.setattr("rung.data.nearby._ONE_CELL", 50)
    cells = {tuple(pair) for pair in near_pairs(images)[0].tolist()}
    assert len(whole) > 0.9 * len(patches)
    assert len(whole & cells) >= 0.98 * len(whole)


def test_large_images_are_compared_by_small_copies(patches: np.ndarray) -> None:
    large = patches[:40].repeat(4, axis=1).repeat(4, axis=2)
    pairs, _ = near_pairs(np.concatenate([large, KINDS["flipped"](large[7], np.random.default_rng(0))[None]]))
    assert [7, 40] in pairs.tolist()


def test_blank_and_tiny_images_have_no_near_twins() -> None:
    draws = np.random.default_rng(0)
    blank = (100 + draws.integers(0, 3, (30, 16, 16, 1))).astype(np.uint8)
    assert len(near_pairs(blank)[0]) == 0
    assert len(near_pairs(draws.integers(0, 256, (30, 7, 7, 1), dtype=np.uint8))[0]) == 0
    assert len(near_pairs(blank[:1])[0]) == 0


def test_digits_have_few_twins_and_all_of_one_class() -> None:
    digits = rung.load("digits")
    twins = find_twins(digits)
    assert 0 < len(twins) < 0.05 * len(digits)
    assert (digits.labels[twins.pairs[:, 0]] == digits.labels[twins.pairs[:, 1]]).all()


def test_equal_images_are_paired_with_the_first_and_only_that_is_compared(patches: np.ndarray) -> None:
    digits = rung.load("digits", settings={"data.per_class": 10})
    images = np.concatenate([patches[20:23], patches[21:22], KINDS["jpeg 70"](patches[21], np.random.default_rng(0))[None], patches[21:22]])
    few = replace(digits.take(np.arange(6)), images=images, digests=pixel_digests(images))
    twins = find_twins(few)
    assert twins.pairs.tolist() == [[1, 3], [1, 4], [1, 5]]
    assert twins.exact.tolist() == [True, False, True]
    assert twins.likeness[[0, 2]].tolist() == [1, 1]
    assert 0.93 <= twins.likeness[1] < 1


def test_exact_pairs_go_to_the_first_of_equal_digests() -> None:
    assert exact_pairs(np.array([5, 3, 5, 3, 9, 5])).tolist() == [[0, 2], [0, 5], [1, 3]]
    assert exact_pairs(np.array([1, 2])).shape == (0, 2)


def test_components_are_named_by_their_lowest_row() -> None:
    assert linked(np.array([[4, 5], [1, 4], [2, 3]]), 7).tolist() == [0, 1, 2, 2, 1, 1, 6]


def test_a_copy_has_the_twins_of_what_it_copies() -> None:
    # 0 = 3 exactly, 0 ~ 1, 2 alone, 4 ~ 5
    twins = Twins(np.array([[0, 1], [0, 3], [4, 5]]), np.array([False, True, False]), np.array([0.95, 1, 0.97], np.float32))
    beside = twins.beside(np.array([3, 2, 5]), np.array([1, 4]), 6)
    assert beside.tolist() == [True, False, True]
    assert twins.beside(np.array([1, 2]), np.array([5]), 6).tolist() == [False, False]


def test_drawn_shapes_of_other_colours_are_no_twins() -> None:
    images, _ = drawn(240)
    pairs, _ = near_pairs(images)
    assert len(np.unique(pairs)) < 0.2 * len(images)
    copies = np.stack([KINDS[kind](images[3], np.random.default_rng(0)) for kind in ("flipped", "brightness 0.85", "grey", "channels swapped")])
    found = near_pairs(np.concatenate([images, copies]))[0].tolist()
    assert all([3, 240 + k] in found for k in range(len(copies)))


def test_shapes_without_colour_are_alike_by_nature_and_no_pair_is_believed(patches: np.ndarray) -> None:
    grey = np.rint(drawn(240)[0].mean(axis=3, keepdims=True)).astype(np.uint8)
    digits = rung.load("digits", settings={"data.per_class": 24})
    some = replace(digits, images=grey, digests=pixel_digests(grey))
    assert len(np.unique(near_pairs(grey)[0])) > 0.5 * len(grey)
    found = find_twins(some)
    assert (len(found), found.doubted > 100) == (0, True)
    draws = np.random.default_rng(0)
    thrice = np.concatenate([patches[:80], *([KINDS[kind](p, draws) for p in patches[:80]] for kind in ("jpeg 50", "cropped by 2"))])
    found = find_twins(replace(digits, images=thrice, digests=pixel_digests(thrice)))
    assert (len(found) > 200, found.doubted) == (True, 0)


@pytest.mark.parametrize("kind", ["jpeg 50", "cropped by 2", "cropped corner 3", "flipped, jpeg 50", "noise 10"])
def test_real_twins_are_found_in_cifar(kind: str, cifar: ImageSet) -> None:
    draws = np.random.default_rng(1)
    images = cifar.images[:3000]
    planted = np.stack([KINDS[kind](image, draws) for image in images[:40]])
    found = {tuple(pair) for pair in near_pairs(np.concatenate([images, planted]))[0].tolist()}
    assert sum((row, 3000 + row) in found for row in range(40)) >= 38


@pytest.fixture(scope="module")
def cifar(cifar_official: object, request: pytest.FixtureRequest) -> ImageSet:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RUNG_DATA", str(cifar_official))
        return rung.load("cifar10")
