"""Data for the checks: digits in parts, and made photographs with a bright sky above warm ground."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from scipy.ndimage import gaussian_filter

import rung
from rung.audit.material import Material
from rung.audit.probe import Probe
from rung.data.imageset import TEST, VALIDATION, ImageSet
from rung.data.load import from_arrays
from rung.data.split import Splits
from rung.data.twins import Twins

Make = Callable[..., Material]
PROBES: dict[tuple[int, bytes, int], Probe] = {}  # {(pixels, parts, seed): probe}: its features do not depend on labels, and take most of the time


@pytest.fixture(scope="session")
def digits() -> ImageSet:
    """The 1,797 digits in an order of their own, the last 400 as test part, 200 before them as validation part."""
    images = rung.load("digits")
    images = images.take(np.random.default_rng(0).permutation(len(images)))
    parts = np.zeros(len(images), np.int8)
    parts[-400:], parts[-600:-400] = TEST, VALIDATION
    return replace(images, parts=parts)


@pytest.fixture(scope="session")
def scenes() -> ImageSet:
    """1,200 images of 32 x 32 in colour, 4 classes, the last 300 as test part: smooth fields, bluish and bright above, reddish below."""
    draws = np.random.default_rng(1)
    labels = draws.integers(0, 4, 1200)
    fields = gaussian_filter(draws.normal(size=(1200, 32, 32, 3)), (0, 2, 2, 0)) * 150
    shared = gaussian_filter(draws.normal(size=(1200, 32, 32, 1)), (0, 3, 3, 0)) * 400
    height = np.linspace(1, -1, 32)[None, :, None, None]
    tint = np.array([[[[-10.0, 0.0, 10.0]]]]) * (height + 0.5 * np.sign(height) - 0.8)
    waves = 25 * np.sin(np.arange(32)[None, None, :, None] * (0.4 + 0.3 * labels)[:, None, None, None])
    images = np.clip(128 + fields + shared + 15 * height + tint + waves, 0, 255).astype(np.uint8)
    return from_arrays(images[:900], labels[:900], test_images=images[900:], test_labels=labels[900:], classes=list("abcd"))


@pytest.fixture
def unprobed() -> Make:
    """Make the material of a check that asks no probe, with other images or labels where given; parts are those that the images bring."""

    def make(
        images: ImageSet,
        *,
        pixels: npt.NDArray[np.uint8] | None = None,
        labels: npt.NDArray[np.int64] | None = None,
        twins: npt.NDArray[np.int64] | None = None,
        seed: int = 0,
    ) -> Material:
        images = replace(images, images=images.images if pixels is None else pixels, labels=images.labels if labels is None else labels)
        rows = [np.flatnonzero(images.parts == part) for part in range(3)]
        pairs = np.zeros((0, 2), np.int64) if twins is None else twins
        return Material(images, Splits(*rows, "as given"), Twins(pairs, np.ones(len(pairs), bool), np.ones(len(pairs), np.float32)), seed)

    return make


@pytest.fixture
def material(unprobed: Make) -> Make:
    """Make the material of a check; where the images of one set are asked about again and again, their probe is built once."""

    def make(images: ImageSet, *, seed: int = 0, **changes: npt.NDArray[np.generic] | None) -> Material:
        made = unprobed(images, seed=seed, **changes)
        if changes.get("pixels") is None and changes.get("twins") is None and len(images) > 1000:
            key = (images.images.ctypes.data, images.parts.tobytes(), seed)
            if key not in PROBES:
                PROBES[key] = made.probe
            made.__dict__["probe"] = replace(PROBES[key], labels=made.images.labels[PROBES[key].rows], known={})
        return made

    return make
