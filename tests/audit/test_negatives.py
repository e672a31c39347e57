"""Negatives: a whole part and a few images of it, and none among images as they are."""

from collections.abc import Callable

import numpy as np
import pytest

from rung.audit.material import Material
from rung.audit.negatives import inverted
from rung.audit.odd import unlike
from rung.data.imageset import TEST, TRAIN, ImageSet
from rung.data.load import from_arrays
from tests.shapes import NAMES, drawn

Make = Callable[..., Material]


@pytest.fixture
def some(digits: ImageSet) -> ImageSet:
    """Seven hundred digits, the last 400 the test part: enough, and quick."""
    return digits.take(np.concatenate([np.arange(300), np.flatnonzero(digits.parts == TEST)]))


def turned(images: ImageSet, rows: np.ndarray) -> np.ndarray:
    pixels = images.images.copy()
    pixels[rows] = 255 - pixels[rows]
    return pixels


def test_images_as_they_are_are_no_negatives(some: ImageSet, scenes: ImageSet, material: Make) -> None:
    assert unlike(material(some)) == []
    assert unlike(material(scenes)) == []
    assert unlike(material(some, pixels=255 - some.images)) == []  # all alike: nothing says which are the negatives


def test_a_part_of_negatives_is_an_error(some: ImageSet, material: Make) -> None:
    (problem,) = unlike(material(some, pixels=turned(some, some.parts == TEST)))
    assert (problem.check, problem.severity, problem.count) == ("odd-images", "error", 400)
    assert "The test images look like negatives" in problem.sentence


def test_a_few_negatives_are_a_warning_with_their_rows(some: ImageSet, material: Make) -> None:
    rows = np.flatnonzero(some.parts == TRAIN)[::12]
    (problem,) = unlike(material(some, pixels=turned(some, rows)))
    assert (problem.check, problem.severity) == ("odd-images", "warning")
    assert "seem to be negatives" in problem.sentence
    assert np.mean([row in rows for (row,) in problem.groups]) > 0.9
    assert problem.count == pytest.approx(len(rows), abs=5)


def test_drawings_as_often_bright_on_dark_as_dark_on_bright_are_no_negatives(material: Make) -> None:
    images, labels = drawn(240)
    assert list(inverted(material(from_arrays(images, labels, classes=NAMES)))) == []


def test_few_images_are_not_judged(some: ImageSet, material: Make) -> None:
    few = some.take(np.arange(80))
    assert list(inverted(material(few, pixels=turned(few, np.arange(40))))) == []
