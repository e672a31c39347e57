"""Images and labels that lie in arrays: which axis is what, which numbers are white, which labels are classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isqrt
from typing import Any

import numpy as np
import numpy.typing as npt

from rung.data.classes import natural
from rung.data.found import Found
from rung.data.imageset import PARTS
from rung.errors import DataError, did_you_mean
from rung.recipe import Layout

Array = npt.NDArray[Any]

_AXES = {
    "hwc": "height, width, channels",
    "chw": "channels, height, width",
    "planes": "all red, all green, all blue",
    "interleaved": "red, green, blue of each pixel",
}


def found(
    parts: Mapping[str, tuple[npt.ArrayLike, npt.ArrayLike]],
    classes: Sequence[str] | None,
    layout: Layout,
    name: str,
    words: Mapping[str, tuple[str, str]] | None = None,
    origin: str = "",
) -> Found:
    """Return images and labels of "train", "validation" or "test" as what a reader finds.

    words: for each part how the user calls its images and labels, for messages and row names. origin: see Found.
    Raises: DataError where shapes, lengths, values or labels do not fit, naming the array.
    """
    words = words or {part: (part, f"labels of {part}") for part in parts}
    images, remarks = alike({words[part][0]: x for part, (x, _) in parts.items()}, layout)
    labels, names = as_labels({words[p][1]: y for p, (_, y) in parts.items()}, classes)
    for part, values, own in zip(parts, images, labels, strict=True):
        if len(values) != len(own):
            raise DataError(f"{words[part][0]} holds {len(values)} images and {words[part][1]} {len(own)} labels: there must be one label for each image")
    counts = [len(i) for i in images]
    return Found(
        name=name,
        origin=origin,
        images=images[0] if len(images) == 1 else np.concatenate(images),
        labels=np.concatenate(labels),
        classes=names,
        sources=[f"{words[part][0]}#{row}" for part, count in zip(parts, counts, strict=True) for row in range(count)],
        parts=np.repeat(np.array([PARTS.index(p) for p in parts], np.int8), counts),
        roots=np.repeat(np.arange(len(parts)), counts),
        root_names=tuple(parts) if len(parts) > 1 else (name,),
        numbered=classes is None and all(str(k) == name for k, name in enumerate(names)),
        remarks=remarks,
    )


def alike(arrays: Mapping[str, npt.ArrayLike], layout: Layout) -> tuple[list[npt.NDArray[np.uint8]], tuple[str, ...]]:
    """Return the images of named arrays as `as_images` does, and what was done to their values.

    Raises: DataError as `as_images`, and where they are not all of one shape.
    """
    images, remarks = [], []
    for name, array in arrays.items():
        values, remark = as_images(array, layout, name)
        images.append(values)
        remarks += [remark] if remark else []
        if values.shape[1:] != images[0].shape[1:]:
            raise DataError(f"images of {next(iter(arrays))} are {images[0].shape[1:]} and those of {name} {values.shape[1:]}: they must be alike")
    return images, tuple(dict.fromkeys(remarks))


def as_images(array: npt.ArrayLike, layout: Layout = "auto", name: str = "the images") -> tuple[npt.NDArray[np.uint8], str | None]:
    """Return images as uint8 (N,H,W,C), C 1 or 3, and what was done to their values, if anything.

    Raises: DataError for shapes that are no images or could be two kinds, and for values without an agreed white.
    """
    try:
        values = np.asarray(array)
    except ValueError:
        raise DataError(f"{name} cannot be one array: are all images of one size?") from None
    if values.dtype.hasobject:
        raise DataError(f"{name} is an array of Python objects, not of numbers: are all images of one size? Store it as uint8 (N,H,W,C)")
    if not values.size:
        raise DataError(f"{name} is empty: its shape is {values.shape}")
    shaped = _shaped(values, layout, name)
    if shaped.shape[3] not in (1, 3):
        raise DataError(f"{name} has {shaped.shape[3]} channels: give 1 (grey) or 3 (red, green, blue)")
    return _to_uint8(shaped, name)


def _shaped(values: Array, layout: Layout, name: str) -> Array:
    """Return values as (N,H,W,C)."""
    if values.ndim == 2:
        return _rows(values, layout, name)
    if values.ndim == 3:
        return values[..., None]
    if values.ndim != 4:
        raise DataError(f"{name} has the shape {values.shape}: expected (N,H,W,C), (N,C,H,W), (N,H,W) or rows (N,values)")
    fits = [kind for kind, axis in (("hwc", 3), ("chw", 1)) if values.shape[axis] in (1, 3)]
    if layout in ("hwc", "chw"):
        if layout not in fits:
            raise DataError(f"{name} has the shape {values.shape}, which is not {_AXES[layout]} as data.layout = '{layout}' says: no 1 or 3 channels there")
        fits = [layout]
    if len(fits) == 2:
        raise DataError(f"{name} has the shape {values.shape}, which can be two things: {_either(fits)}", "layout")
    if not fits:
        raise DataError(f"{name} has the shape {values.shape}: expected 1 or 3 channels, as (N,H,W,C) or (N,C,H,W)")
    return values if fits[0] == "hwc" else values.transpose(0, 2, 3, 1)


def _rows(values: Array, layout: Layout, name: str) -> Array:
    """Return flat rows of a square image as (N,H,W,C)."""
    width = values.shape[1]
    side = isqrt(width)
    if side * side == width:
        return values.reshape(-1, side, side, 1)
    side = isqrt(width // 3)
    if 3 * side * side != width:
        raise DataError(f"{name} has rows of {width} values, which are no square image, grey or in colour: reshape it to (N,H,W,C)")
    as_planes, as_pixels = values.reshape(-1, 3, side, side).transpose(0, 2, 3, 1), values.reshape(-1, side, side, 3)
    if layout == "planes":
        return as_planes
    if layout == "interleaved":
        return as_pixels
    steps = [float(np.abs(np.diff(v[:256].astype(np.float64), axis=2)).mean()) for v in (as_planes, as_pixels)]
    hint = f"; neighbouring pixels differ by {steps[0]:.3g} as planes and by {steps[1]:.3g} as interleaved, and real images are smooth"
    raise DataError(f"{name} has rows of {width} values, which can be two things: {_either(['planes', 'interleaved'])}{hint}", "layout")


def _either(kinds: Sequence[str]) -> str:
    return " or ".join(f"{_AXES[k]} (data.layout = '{k}')" for k in kinds) + "; say which with --set data.layout=.."


def _to_uint8(values: Array, name: str) -> tuple[npt.NDArray[np.uint8], str | None]:
    kind, low, high = values.dtype.kind, values.min(), values.max()
    if values.dtype == np.uint8:
        return np.ascontiguousarray(values), None
    if kind == "b":
        return values.astype(np.uint8) * np.uint8(255), "true and false became 255 and 0"
    if kind == "f":
        if not np.isfinite(values).all():
            raise DataError(f"{name} holds {int((~np.isfinite(values)).sum())} values that are not finite (NaN or infinite)", "odd-images")
        # A smaller maximum may be a white of its own, as 16 is that of scikit-learn's digits.
        if low >= 0 and 128 <= high <= 255 and (values == np.rint(values)).all():
            return values.astype(np.uint8), "whole floating point values in 0..255 were taken as they are"
        if low < 0 or high > 1:
            raise DataError(f"{name} holds floating point values from {low:g} to {high:g}: give 0..1, or 0..255 as uint8", "odd-images")
        return np.rint(values * 255).astype(np.uint8), "floating point values in 0..1 became round(v * 255)"
    if values.dtype == np.uint16 and high > 255:
        return (values >> 8).astype(np.uint8), "16-bit values became 8-bit, v / 256"
    if kind in "iu" and low >= 0 and high <= 255:
        return values.astype(np.uint8), None
    raise DataError(f"{name} holds values from {low} to {high} ({values.dtype}): give 0..255 as uint8, or 0..1 as floating point", "odd-images")


def as_labels(arrays: Mapping[str, npt.ArrayLike], classes: Sequence[str] | None) -> tuple[list[npt.NDArray[np.int64]], tuple[str, ...]]:
    """Return the labels of each named array as int64 (N,) in 0..K-1, and the K class names.

    Whole numbers, one-hot rows, whole floating point numbers and names are labels; without `classes` numbers name
    themselves (that they begin at 0 is checked when all sources are known), and names are put in natural order.
    Raises: DataError for anything else, with the range found and expected.
    """
    read = [_plain(values, name) for name, values in arrays.items()]
    if any(values.dtype.kind == "U" for values in read):
        return _named([values.astype(str) for values in read], list(arrays), classes)
    wide = {values.shape[1] for values in read if values.ndim == 2}
    if len(wide) > 1 or (wide and classes is not None and len(classes) not in wide):
        many = f" for {len(classes)} classes" if classes is not None else ""
        raise DataError(f"one-hot labels have {' and '.join(map(str, sorted(wide)))} columns{many}", "label-range")
    labels = [_from_one_hot(values, name) if values.ndim == 2 else values.astype(np.int64) for name, values in zip(arrays, read, strict=True)]
    low, high = min(int(v.min()) for v in labels), max(int(v.max()) for v in labels)
    where = f"labels run from {low} to {high} ({', '.join(arrays)})"
    if classes is None and wide:
        classes = [str(k) for k in range(next(iter(wide)))]
    if classes is None:
        if low < 0 or high >= max(1000, sum(len(v) for v in labels)):
            raise not_from_zero(low, high, f"labels ({', '.join(arrays)})")
        classes = [str(k) for k in range(high + 1)]
    if low < 0 or high >= len(classes):
        raise DataError(f"{where}: expected 0..{len(classes) - 1} for {len(classes)} classes", "label-range")
    return labels, tuple(classes)


def not_from_zero(low: int, high: int, whose: str) -> DataError:
    """Return the error for labels low..high, whole numbers that are not 0..K-1 and have no names; whose: the words for them, such as "labels of x.npz"."""
    if low > 0:
        expected = f"expected 0..{high - low}: subtract {low} from each"
    else:
        expected = "expected whole numbers from 0, none left out: number the classes anew" + (", and leave out images of no class" if low < 0 else "")
    return DataError(f"{whose} run from {low} to {high}, {expected}; or, if these numbers are names of classes, write them as words", "label-range")


def _plain(values: npt.ArrayLike, name: str) -> Array:
    """Return labels as int64 (N,) or (N,K), or as text (N,)."""
    array = np.asarray(values)
    if array.dtype == object and all(isinstance(v, str) for v in array.flat):
        array = array.astype(str)
    if array.dtype.hasobject:
        raise DataError(f"{name} is an array of Python objects: store labels as whole numbers or text")
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim not in (1, 2) or not array.size:
        raise DataError(f"{name} has the shape {array.shape}: expected (N,), or one-hot (N,K)")
    if array.dtype.kind == "S":
        array = np.char.decode(array, "utf-8")
    if array.dtype.kind == "f" and not (np.isfinite(array) & (array == np.rint(array))).all():
        wrong = array[~(np.isfinite(array) & (array == np.rint(array)))].flat[0]
        raise DataError(f"{name} holds {wrong:g}, which is not a whole number: labels must be classes", "label-range")
    if array.dtype.kind not in "iubfU":
        raise DataError(f"{name} is of type {array.dtype}: labels must be whole numbers or text")
    return array if array.dtype.kind == "U" else array.astype(np.int64)


def _from_one_hot(values: Array, name: str) -> npt.NDArray[np.int64]:
    wrong = np.flatnonzero(((values != 0) & (values != 1)).any(axis=1) | (values.sum(axis=1) != 1))
    if len(wrong):
        raise DataError(f"{name} is not one-hot: row {wrong[0]} is {values[wrong[0]].tolist()}, expected one 1 and else 0", "label-range")
    hot: npt.NDArray[np.int64] = values.argmax(axis=1)
    return hot


def _named(read: list[Array], arrays: Sequence[str], classes: Sequence[str] | None) -> tuple[list[npt.NDArray[np.int64]], tuple[str, ...]]:
    """Return labels given as text: names of classes, or numbers written out where the names are known and others."""
    used = sorted({str(v) for values in read for v in np.unique(values)}, key=natural)
    if any(values.ndim == 2 for values in read):
        raise DataError(f"{', '.join(arrays)}: labels as text must be (N,), one name for each image")
    if classes is None:
        classes = used
    unknown = [name for name in used if name not in classes]
    if unknown and all(name.isdecimal() and name.isascii() for name in used):
        return as_labels({name: values.astype(np.int64) for name, values in zip(arrays, read, strict=True)}, classes)
    if unknown:
        raise DataError(f"labels ({', '.join(arrays)}) name the class '{unknown[0]}': {did_you_mean(unknown[0], classes)}", "classes")
    position = {name: k for k, name in enumerate(classes)}
    return [np.array([position[str(v)] for v in values], np.int64) for values in read], tuple(classes)


def class_names(array: Array, origin: str) -> tuple[str, ...]:
    """Return the names in an array of text or whole numbers (K,). Raises: DataError for anything else, and for a name given twice."""
    if array.ndim != 1 or array.dtype.kind not in "USiu":
        raise DataError(f"{origin}: classes should be text (K,), found {array.dtype} {array.shape}")
    names = tuple(str(v) for v in (np.char.decode(array, "utf-8") if array.dtype.kind == "S" else array))
    if len(set(names)) < len(names):
        raise DataError(f"{origin}: classes names '{next(n for n in names if names.count(n) > 1)}' twice")
    return names
