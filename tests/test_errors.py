"""Errors carry what a program needs beside the words."""

import numpy as np
import pytest

from rung.data.load import from_arrays
from rung.errors import DataError, did_you_mean

IMAGES = np.zeros((4, 8, 8, 3), np.uint8)


@pytest.mark.parametrize(
    ("images", "labels", "classes", "check"),
    [
        (IMAGES, [0, 1, 2, 3], ["a", "b", "c"], "label-range"),
        (IMAGES, [1, 2, 3, 3], None, "label-range"),
        (IMAGES, [-1, 0, 1, 1], None, "label-range"),
        (IMAGES, [0.5, 0, 1, 1], None, "label-range"),
        (IMAGES, ["a", "a", "b", "x"], ["a", "b"], "classes"),
        (IMAGES, [0, 0, 0, 0], None, "classes"),
        (IMAGES.reshape(4, -1), [0, 1, 0, 1], None, "layout"),
        (IMAGES * np.float32(1) + 300, [0, 1, 0, 1], None, "odd-images"),
        (IMAGES[:3], [0, 1, 0, 1], None, ""),
    ],
)
def test_a_mistake_in_the_data_names_the_check_that_looks_for_it(images: np.ndarray, labels: list[object], classes: list[str] | None, check: str) -> None:
    with pytest.raises(DataError, match=r"\w") as caught:
        from_arrays(images, labels, classes=classes)
    assert caught.value.check == check


def test_the_nearest_word_is_meant_and_a_sentence_may_follow() -> None:
    assert did_you_mean("acuracy", ["accuracy", "loss"], "Or your own") == "did you mean 'accuracy'? Or your own"
    assert did_you_mean("xyz", ["accuracy", "loss"], "Or your own") == "known: accuracy, loss. Or your own"
    assert did_you_mean("xyz", ["accuracy", "loss"]) == "known: accuracy, loss"
