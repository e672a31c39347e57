"""Groups that cross parts: by their names, and bursts by numbered files that look alike; files that are merely numbered are no bursts."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from rung.audit.groups import crossing, together
from rung.audit.material import SHOWN, Material
from rung.data.imageset import TEST, ImageSet

Make = Callable[..., Material]
BURST = 5


@pytest.fixture
def material(unprobed: Make) -> Make:
    return unprobed


def numbered(images: ImageSet, name: str = "{part}/{label}/IMG_{row:04d}.JPG") -> ImageSet:
    """Name each row by its number, and put a quarter of the rows into test."""
    parts = np.where(np.random.default_rng(0).random(len(images)) < 0.25, TEST, 0).astype(np.int8)
    sources = [name.format(part="test" if part else "train", label=label, row=row) for row, (part, label) in enumerate(zip(parts, images.labels, strict=True))]
    return replace(images, parts=parts, sources=tuple(sources))


def in_bursts(scenes: ImageSet) -> ImageSet:
    """Return bursts of five, the camera moved by up to 3 pixels in 32, with light and grain of each; no shot is the twin of another by pixels."""
    draws = np.random.default_rng(1)
    rows = np.repeat(np.arange(240), BURST)
    wide = np.pad(scenes.images[rows], ((0, 0), (3, 3), (3, 3), (0, 0)), mode="reflect").astype(float)
    shots = [shot[top : top + 32, left : left + 32] for shot, (top, left) in zip(wide, draws.integers(0, 7, (len(wide), 2)), strict=True)]
    shots = np.stack(shots) * draws.uniform(0.8, 1.2, (len(wide), 1, 1, 1)) + draws.normal(0, 6, (len(wide), 32, 32, 3))
    return replace(scenes, images=np.clip(shots, 0, 255).astype(np.uint8), labels=scenes.labels[rows])


def test_bursts_that_cross_parts_are_found(scenes: ImageSet, material: Make) -> None:
    images = numbered(in_bursts(scenes))
    (problem,) = together(material(images))
    assert problem.severity == "warning"
    assert problem.numbers["neighbour_most_alike_share"] > 0.5 > 5 * problem.numbers["by_chance_share"]
    assert problem.numbers["deviations"] > 10
    assert len(problem.groups) == SHOWN
    pairs = np.array(problem.groups)
    assert (images.parts[pairs] == [0, TEST]).all()
    assert (pairs // BURST == pairs[:, :1] // BURST).mean() > 0.9  # of one burst
    assert images.sources[pairs[0, 0]] in problem.sentence


@pytest.mark.parametrize("name", ["{part}/{label}/{row:05d}.png", "img{row}.jpeg", "{label}/{row}_left.png"])
def test_running_numbers_alone_are_no_bursts(name: str, scenes: ImageSet, digits: ImageSet, material: Make) -> None:
    for images in (scenes, digits):
        assert together(material(numbered(images, name))) == []


def test_one_subject_after_the_other_is_no_burst(scenes: ImageSet, material: Make) -> None:
    kinds = np.argsort(scenes.labels, kind="stable")  # one class of kinds that look alike, one kind after the other
    images = scenes.take(kinds)
    assert together(material(numbered(replace(images, labels=np.zeros_like(images.labels))))) == []


@pytest.mark.parametrize("name", ["{part}/{label}/shot.png#{row}", "{part}/{row:04d}.txt", "2026{row:013d}.jpg", "{part}/{row}x{row}/a.jpg"])
def test_without_numbered_files_nothing_is_said(name: str, scenes: ImageSet, material: Make) -> None:
    images = numbered(in_bursts(scenes), name)
    assert together(material(images)) == []


def test_twins_are_left_to_another_check(scenes: ImageSet, material: Make) -> None:
    images = numbered(in_bursts(scenes))
    twins = np.stack([np.arange(0, len(images) - 1), np.arange(1, len(images))], axis=1)
    twins = twins[twins[:, 0] // BURST == twins[:, 1] // BURST]
    assert together(material(images, twins=twins)) == []


def test_named_groups_are_taken_as_they_are(scenes: ImageSet, material: Make) -> None:
    images = numbered(in_bursts(scenes))
    apart = replace(images, groups=np.arange(len(images)))
    assert together(material(apart)) == []
    named = replace(images, groups=np.arange(len(images)) // BURST)
    (problem,) = together(material(named))
    assert problem == crossing(material(named))[0]
    assert "groups are in train and in test" in problem.sentence


def test_few_or_tiny_images_are_no_matter(scenes: ImageSet, digits: ImageSet, material: Make) -> None:
    assert together(material(numbered(scenes.take(np.arange(3))))) == []
    tiny = numbered(in_bursts(scenes))
    assert together(material(replace(tiny, images=tiny.images[:, ::8, ::8]))) == []
