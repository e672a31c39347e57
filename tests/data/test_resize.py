"""Resizing is torch's, but for its roundings, and exact."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rung.data import resize as module
from rung.data.resize import resize

FILTERS = st.sampled_from(["bilinear", "bicubic"])


def noise(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 99), st.integers(1, 90), st.integers(1, 90), st.integers(2, 40), st.integers(2, 40), st.sampled_from([1, 3]), FILTERS, st.booleans())
def test_it_is_torchs_but_for_rounding(seed: int, height: int, width: int, high: int, wide: int, channels: int, filter_name: str, antialias: bool) -> None:
    images = noise(seed, 2, height, width, channels)
    planes = torch.from_numpy(images).permute(0, 3, 1, 2).double()
    expected = torch.nn.functional.interpolate(planes, size=(high, wide), mode=filter_name, antialias=antialias).clamp(0, 255)
    found = resize(images, (high, wide), filter_name, antialias)  # type: ignore[arg-type]
    assert (torch.from_numpy(found).permute(0, 3, 1, 2) - expected).abs().max() <= 0.5 + 0.02  # a weight of 16 bits, or of 15


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 300), st.integers(1, 300))
def test_the_nearest_pixel_is_the_one_that_holds_the_centre(n_in: int, n_out: int) -> None:
    row = np.arange(n_in) % 256
    expected = [row[int((Fraction(k) + Fraction(1, 2)) * n_in / n_out)] for k in range(n_out)]
    assert resize(row.astype(np.uint8)[None, None, :, None], (1, n_out), "nearest", True).ravel().tolist() == expected


@pytest.mark.parametrize("filter_name", ["bilinear", "bicubic"])
@pytest.mark.parametrize("antialias", [True, False])
def test_no_sum_is_rounded_before_the_result(filter_name: module.Filter, antialias: bool) -> None:
    images = noise(1, 2, 61, 83, 3)
    images[0] = np.where(images[0] > 127, 255, 0)  # the largest sums, and with bicubic the most negative ones

    def whole(n_in: int, n_out: int, channels: int | None, unit: int) -> np.ndarray:
        """Return the weights as whole numbers of units, int64 (n_out,n_in)."""
        weights, dense = module._weights(n_in, n_out, filter_name, antialias, channels), np.zeros((n_out, n_in))
        matrices = weights.matrices if channels is None else weights.matrices.transpose(0, 2, 1)
        together, taps = matrices.shape[1:]
        for out in range(n_out):
            group, place = divmod(out, together)
            dense[out, weights.firsts[group] : weights.firsts[group] + taps] = matrices[group, place]
        assert (dense * unit == np.rint(dense * unit)).all()
        assert (dense.sum(axis=1) == 1).all()
        return (dense * unit).astype(np.int64)

    unit = module._UNITS_DOWN[filter_name]
    for high, wide in ((7, 10), (90, 100)):
        exact = np.einsum("yh,nhwc->nywc", whole(61, high, None, unit), images.astype(np.int64))
        exact = np.einsum("nywc,xw->nyxc", exact, whole(83, wide, 1, 2**22))  # below 2**53: int64 holds it
        rounded = np.array([round(Fraction(int(v), unit * 2**22)) for v in exact.ravel()]).reshape(exact.shape)
        assert np.array_equal(resize(images, (high, wide), filter_name, antialias), np.clip(rounded, 0, 255))


def test_pieces_change_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    images = noise(2, 5, 40, 50, 3)
    expected = resize(images, (9, 30), "bicubic", True)
    monkeypatch.setattr(module, "_BLOCK", 500)
    assert np.array_equal(resize(images, (9, 30), "bicubic", True), expected)


def test_one_colour_stays_as_it_is() -> None:
    images = np.broadcast_to(np.arange(256, dtype=np.uint8)[:, None, None, None], (256, 17, 23, 1))
    for filter_name in ("bilinear", "bicubic"):
        assert (resize(images, (31, 5), filter_name, True) == images[:, :1, :1]).all()  # type: ignore[arg-type]
