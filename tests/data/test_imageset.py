"""Digests, rows and hashes of decoded images."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rung.data import imageset
from rung.data.imageset import grey_rows, pixel_digest, pixel_digests, test_set_key
from rung.data.load import from_arrays
from rung.errors import DataError

test_set_key.__test__ = False  # type: ignore[attr-defined]  # a function of ours, not a test


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 20), st.integers(1, 20), st.sampled_from([1, 3]), st.integers(1, 6))
def test_digests_of_many_are_those_of_each(seed: int, height: int, width: int, channels: int, count: int) -> None:
    images = np.random.default_rng(seed).integers(0, 256, (count, height, width, channels), dtype=np.uint8)
    images[::2] = images[::2, ..., :1]  # every second one grey, stored as it is
    assert pixel_digests(images).tolist() == [pixel_digest(image) for image in images]
    assert grey_rows(images)[::2].all()
    assert pixel_digests(images[:, ::-1]).tolist() == [pixel_digest(image[::-1]) for image in images]


def test_a_digest_tells_content_and_shape_but_not_how_grey_is_stored() -> None:
    image = np.arange(64, dtype=np.uint8).reshape(4, 16, 1)
    assert pixel_digest(image) == pixel_digest(np.repeat(image, 3, axis=2))
    assert pixel_digest(image) != pixel_digest(image.reshape(16, 4, 1))
    assert pixel_digest(image) != pixel_digest(image + np.uint8(1))


@pytest.mark.parametrize("channels", [1, 3])
def test_digests_of_large_images_see_every_value_and_the_shape(channels: int) -> None:
    image = np.random.default_rng(0).integers(0, 256, (900, 700, channels), dtype=np.uint8)
    assert image.size > 2 * imageset._LARGE
    seen = {pixel_digest(image), pixel_digest(image.reshape(700, 900, channels)), pixel_digest(image[::-1]), pixel_digest(image[:899])}
    for place in [(0, 0, 0), (1, 5, channels - 1), (899, 699, 0), *((row, 7, 0) for row in range(100, 120))]:
        changed = image.copy()
        changed[place] ^= 1
        seen.add(pixel_digest(changed))
    assert len(seen) == 4 + 23
    assert pixel_digests(np.stack([image, image[::-1]])).tolist() == [pixel_digest(image), pixel_digest(image[::-1])]
    if channels == 1:
        assert pixel_digest(np.repeat(image, 3, axis=2)) == pixel_digest(image)
        assert pixel_digests(np.repeat(image[None], 3, axis=3)).tolist() == [pixel_digest(image)]


def test_one_pixel_of_colour_is_not_grey() -> None:
    images = np.zeros((3, 32, 32, 3), np.uint8)
    images[1, 3, 5, 2] = 1
    assert grey_rows(images).tolist() == [True, False, True]


def test_digests_of_sixty_thousand_rows_take_about_a_second() -> None:
    images = np.random.default_rng(0).integers(0, 256, (6_000, 32, 32, 3), dtype=np.uint8)
    start = time.process_time()
    pixel_digests(images)
    assert time.process_time() - start < 0.5  # a tenth of the rows, with room for a slow machine


def test_taking_rows_keeps_all_that_belongs_to_them() -> None:
    images = from_arrays(np.random.default_rng(0).integers(0, 256, (6, 8, 8, 3), dtype=np.uint8), [0, 1] * 3)
    rows = np.array([5, 0, 2])
    taken = images.take(rows)
    assert np.array_equal(taken.images, images.images[rows])
    assert (taken.labels.tolist(), taken.sources, taken.digests.tolist()) == ([1, 0, 0], ("train#5", "train#0", "train#2"), images.digests[rows].tolist())
    assert taken.classes == images.classes
    assert taken.hash() != images.hash() == images.take(np.arange(6)).hash()


def test_the_key_of_a_test_set_does_not_see_order() -> None:
    images = from_arrays(np.random.default_rng(0).integers(0, 256, (6, 8, 8, 3), dtype=np.uint8), [0, 1] * 3)
    assert test_set_key(images, np.array([1, 2, 3])) == test_set_key(images, np.array([3, 1, 2])) != test_set_key(images, np.array([1, 2, 4]))
    with pytest.raises(DataError, match="nothing to seal"):
        test_set_key(images, np.array([], np.int64))
