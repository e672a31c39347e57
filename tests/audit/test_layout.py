"""Pixels in the wrong place: planes read as pixels and the reverse, channels exchanged, images turned."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
import torch

from rung.audit.layout import layout
from rung.audit.material import Material
from rung.data.imageset import TEST, ImageSet

Make = Callable[..., Material]
Images = npt.NDArray[np.uint8]


def planes_as_pixels(images: Images) -> Images:
    """What a bare reshape makes of rows of red, green and blue planes."""
    return np.ascontiguousarray(images.transpose(0, 3, 1, 2)).reshape(images.shape)


def pixels_as_planes(images: Images) -> Images:
    count, height, width, _ = images.shape
    return images.reshape(count, 3, height, width).transpose(0, 2, 3, 1)


def put(images: ImageSet, change: Callable[[Images], Images], rows: slice) -> Images:
    changed = images.images.copy()
    changed[rows] = change(changed[rows])
    return changed


def test_images_as_they_should_be(digits: ImageSet, scenes: ImageSet, material: Make) -> None:
    assert layout(material(digits)) == []
    assert layout(material(scenes)) == []
    grey = np.repeat(scenes.images[..., :1], 3, axis=3)
    noise = np.random.default_rng(0).integers(0, 256, scenes.images.shape[:3], dtype=np.uint8)
    assert [p for p in layout(material(scenes, pixels=grey)) if p.severity == "error"] == []
    assert layout(material(scenes, pixels=np.repeat(noise[..., None], 3, axis=3))) == []


@pytest.mark.parametrize(
    ("change", "words", "option"),
    [
        (planes_as_pixels, "hold planes of red, green and blue that were read pixel by pixel", "data.layout=planes"),
        (pixels_as_planes, "hold pixels that were read as planes of red, green and blue", "data.layout=interleaved"),
    ],
)
def test_scrambled_colour_in_all_images_and_in_one_part(change: Callable[[Images], Images], words: str, option: str, scenes: ImageSet, material: Make) -> None:
    (problem,) = layout(material(scenes, pixels=put(scenes, change, slice(None))))
    assert problem.severity == "error"
    assert words in problem.sentence
    assert option in problem.advice
    assert problem.numbers["share"] > 0.9
    (problem,) = layout(material(scenes, pixels=put(scenes, change, slice(900, None))))
    assert problem.severity == "error"
    assert "most of the test part" in problem.sentence
    assert "train" not in problem.sentence


def test_a_few_scrambled_images_are_a_warning_with_their_rows(scenes: ImageSet, material: Make) -> None:
    (problem,) = layout(material(scenes, pixels=put(scenes, planes_as_pixels, slice(100, 112))))
    assert problem.severity == "warning"
    assert {row for (row,) in problem.groups} <= set(range(100, 112))


def test_scrambled_images_that_were_enlarged_since(scenes: ImageSet, material: Make) -> None:
    scrambled = torch.from_numpy(planes_as_pixels(scenes.images)).permute(0, 3, 1, 2).float()
    larger = torch.nn.functional.interpolate(scrambled, 75, mode="bilinear", antialias=True).permute(0, 2, 3, 1).round().byte().numpy()
    (problem,) = layout(material(scenes, pixels=larger))
    assert problem.severity == "error"
    assert "read pixel by pixel" in problem.sentence


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda x: x[..., ::-1], "with red and blue exchanged"),
        (lambda x: x[:, ::-1], "upside down"),
        (lambda x: x.transpose(0, 2, 1, 3), "on their side"),
        (lambda x: np.rot90(x, 1, (1, 2)), "on their side"),
    ],
)
def test_one_part_and_a_run_of_rows_read_otherwise(change: Callable[[Images], Images], words: str, scenes: ImageSet, material: Make) -> None:
    (problem,) = layout(material(scenes, pixels=put(scenes, change, slice(900, None))))
    assert problem.severity == "error"
    assert f"The images of the test part are {words}" in problem.sentence
    (problem,) = layout(material(scenes, pixels=put(scenes, change, slice(300, 420))))
    assert words in problem.sentence
    assert abs(problem.numbers["first_row"] - 300) < 10
    assert abs(problem.numbers["last_row"] - 419) < 10


def test_mirrored_digits_in_the_test_part(digits: ImageSet, material: Make) -> None:
    mirrored = np.where((digits.parts == TEST)[:, None, None, None], digits.images[:, :, ::-1], digits.images)
    (problem,) = layout(material(digits, pixels=mirrored))
    assert "mirrored left to right" in problem.sentence


def test_all_images_on_their_side_or_blue_first_are_asked_about(scenes: ImageSet, material: Make) -> None:
    (problem,) = layout(material(scenes, pixels=scenes.images.transpose(0, 2, 1, 3)))
    assert problem.severity == "warning"
    assert "may lie on their side" in problem.sentence
    (problem,) = layout(material(scenes, pixels=scenes.images[..., ::-1]))
    assert problem.severity == "note"
    assert "red and blue may be exchanged in all images" in problem.sentence


def test_few_or_tiny_images_are_not_judged(scenes: ImageSet, material: Make) -> None:
    assert layout(material(scenes.take(np.arange(40)), pixels=planes_as_pixels(scenes.images[:40]))) == []
    assert layout(material(scenes, pixels=np.ascontiguousarray(scenes.images[:, :6, :6]))) == []
