"""Resizing 8-bit images with sums that are exact, so that no bit depends on machine, threads, library or order.

The filters are those of torch.nn.functional.interpolate (align_corners False; nearest is its "nearest-exact"). Weights are multiples of a
power of two that add up to 1, so coarse that every sum, in whatever order, is exact: values of 8 bits and weights of 16 fit into the 24 bits
of a float32, what comes of them and weights of 22 into the 53 bits of a float64. Only the result is rounded.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

Filter = Literal["nearest", "bilinear", "bicubic"]
Images = npt.NDArray[np.uint8]
Values = npt.NDArray[np.floating]

_UNITS_DOWN: Final = {"bilinear": 2**16, "bicubic": 2**15}  # bicubic has negative weights, so that its sums can be larger than its values
_UNITS_ACROSS: Final = 2**22
_BLOCK: Final = 2**19  # values widened at once: two megabytes, which processors keep in their cache
_SHARING: Final = 2  # groups of weights that share one widening of their inputs, which overlap


def resize(images: Images, size: tuple[int, int], filter_name: Filter, antialias: bool) -> Images:
    """Return uint8 (N,H,W,C) as uint8 (N,*size,C), rounded half to even; each image alone gives the same bits."""
    count, height, width, channels = images.shape
    if (height, width) == size:
        return images
    if filter_name == "nearest":
        return images[:, _nearest(height, size[0])][:, :, _nearest(width, size[1])]
    out = np.empty((count, *size, channels), np.uint8)
    step = max(1, _BLOCK // (max(height, size[0]) * max(width, size[1]) * channels))
    for start in range(0, count, step):
        part = images[start : start + step]
        values = _down(part.reshape(len(part), height, -1), _weights(height, size[0], filter_name, antialias, None))
        values = _across(values, _weights(width, size[1], filter_name, antialias, channels))
        np.clip(np.rint(values, out=values), 0, 255, out=values)
        out[start : start + step] = values[:, : size[0], : size[1] * channels].reshape(len(part), *size, channels)
    return out


def _down(images: Images, weights: _Weights) -> Values:
    """Return uint8 (n,H,w) resized along H, float32; a few columns at a time where they are many."""
    together, taps = weights.matrices.shape[1:]
    count, _, width = images.shape
    firsts, groups = weights.firsts, len(weights.firsts)
    spans = [(first, firsts[min(first + _SHARING, groups) - 1] + taps) for first in range(0, groups, _SHARING)]
    out = np.empty((count, groups * together, width), np.float32)
    tallest = max(end - firsts[group] for group, end in spans)
    step = -(-width // max(1, -(-count * width * tallest // _BLOCK)))
    memory = np.empty((count, tallest, step), np.float32)  # one for all, because new memory costs more than the sums
    for left in range(0, width, step):
        columns = slice(left, min(left + step, width))
        for start, end in spans:
            wide = memory[:, : end - firsts[start], : columns.stop - left]
            np.copyto(wide, images[:, firsts[start] : end, columns])
            for group in range(start, min(start + _SHARING, groups)):
                above = firsts[group] - firsts[start]
                np.matmul(weights.matrices[group], wide[:, above : above + taps], out=out[:, group * together : (group + 1) * together, columns])
    return out


def _across(values: Values, weights: _Weights) -> Values:
    """Return float32 (n,h,W*C) resized along W, float64."""
    taps, together = weights.matrices.shape[1:]
    count, height, _ = values.shape
    out = np.empty((count * height, len(weights.firsts) * together))
    rows = values.reshape(count * height, -1).astype(np.float64)
    for group, first in enumerate(weights.firsts):
        np.matmul(rows[:, first : first + taps], weights.matrices[group], out=out[:, group * together : (group + 1) * together])
    return out.reshape(count, height, -1)


@dataclass(frozen=True)
class _Weights:
    """The weights of one axis, those of a few neighbouring outputs together, so that a product of matrices has few zeros.

    matrices: float32 (G,g,K) from K inputs to g outputs, for the axis before the last; or float64 (G,K*C,g*C) for the last axis where C
    channels lie in it; outputs beyond the last are 0. firsts: the first input of each of the G, ascending.
    """

    matrices: Values
    firsts: tuple[int, ...]


@lru_cache(maxsize=64)
def _weights(n_in: int, n_out: int, filter_name: Filter, antialias: bool, channels: int | None) -> _Weights:
    """Return the weights; channels: how many lie in the axis if it is the last, None if it is the one before."""
    inputs, weights = _smooth(n_in, n_out, filter_name) if antialias else _plain(n_in, n_out, filter_name)
    unit = _UNITS_DOWN[filter_name] if channels is None else _UNITS_ACROSS
    units = np.rint(weights * unit)
    units[np.arange(n_out), units.argmax(axis=1)] += unit - units.sum(axis=1)
    together = int(np.clip(24 * n_out / n_in, 2, 16))
    group, place = np.divmod(np.arange(n_out), together)
    firsts = np.minimum.reduceat(inputs.min(axis=1), np.arange(0, n_out, together))
    taps = int((inputs.max(axis=1) - firsts[group]).max()) + 1
    firsts = np.minimum(firsts, n_in - taps)
    at = ((group * together + place) * taps - firsts[group])[:, None] + inputs
    shape = (len(firsts), together, taps)
    matrices: Values = np.bincount(at.ravel(), units.ravel() / unit, minlength=int(np.prod(shape))).reshape(shape).astype(np.float64)
    if channels is None:
        return _Weights(matrices.astype(np.float32), tuple(firsts.tolist()))
    each = np.zeros((len(firsts), taps, channels, together, channels))
    for channel in range(channels):
        each[:, :, channel, :, channel] = matrices.transpose(0, 2, 1)
    return _Weights(each.reshape(len(firsts), taps * channels, together * channels), tuple((firsts * channels).tolist()))


def _smooth(n_in: int, n_out: int, filter_name: Filter) -> tuple[npt.NDArray[np.int64], Values]:
    """Return inputs and weights (n_out,T) of a filter that is widened when shrinking; those beyond the edge are left out."""
    scale = n_in / n_out
    stretch = max(scale, 1.0)
    reach = stretch * (1 if filter_name == "bilinear" else 2)
    centre = scale * (np.arange(n_out) + 0.5)
    first = np.maximum((centre - reach + 0.5).astype(np.int64), 0)
    end = np.minimum((centre + reach + 0.5).astype(np.int64), n_in)
    inputs = first[:, None] + np.arange(int((end - first).max()))
    distance = np.abs((inputs - centre[:, None] + 0.5) / stretch)
    weights = np.maximum(1 - distance, 0) if filter_name == "bilinear" else _cubic(distance, -0.5)
    beyond = inputs >= end[:, None]
    weights = np.where(beyond, 0, weights)
    return np.where(beyond, first[:, None], inputs), weights / weights.sum(axis=1, keepdims=True)


def _plain(n_in: int, n_out: int, filter_name: Filter) -> tuple[npt.NDArray[np.int64], Values]:
    """Return inputs and weights (n_out,T) between the nearest inputs; those beyond the edge are the edge."""
    place = n_in / n_out * (np.arange(n_out) + 0.5) - 0.5
    if filter_name == "bilinear":
        place = np.maximum(place, 0)
    inputs = np.floor(place).astype(np.int64)[:, None] + (np.arange(2) if filter_name == "bilinear" else np.arange(-1, 3))
    distance = np.abs(inputs - place[:, None])
    weights = 1 - distance if filter_name == "bilinear" else _cubic(distance, -0.75)
    return np.clip(inputs, 0, n_in - 1), weights


def _cubic(distance: Values, a: float) -> Values:
    """Return the cubic convolution of R. G. Keys, "Cubic convolution interpolation for digital image processing", 1981."""
    near = ((a + 2) * distance - (a + 3)) * distance * distance + 1
    far = ((distance - 5) * distance + 8) * distance * a - 4 * a
    return np.where(distance <= 1, near, np.where(distance < 2, far, 0))


def _nearest(n_in: int, n_out: int) -> npt.NDArray[np.int64]:
    return (2 * np.arange(n_out) + 1) * n_in // (2 * n_out)
