"""Arrays and .npz files: shapes, values, labels, and headers that lie."""

from __future__ import annotations

import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rung.data.formats.arrays import as_images, as_labels
from rung.data.imageset import TEST, TRAIN, VALIDATION
from rung.data.load import from_arrays, load
from rung.errors import DataError
from rung.recipe import Data, Pixels

RANDOM = np.random.default_rng(0)


def noise(*shape: int) -> np.ndarray:
    return RANDOM.integers(0, 256, shape, dtype=np.uint8)


@pytest.mark.parametrize("shape", [(5, 9, 7), (5, 9, 7, 1), (5, 9, 7, 3), (5, 1, 9, 7), (5, 3, 9, 7), (5, 49)])
def test_shapes_that_say_what_they_are(shape: tuple[int, ...]) -> None:
    given_images = noise(*shape)
    images, remark = as_images(given_images)
    assert remark is None
    assert images.dtype == np.uint8
    assert images.shape[0] == 5
    assert images.size == given_images.size
    assert images.shape[3] == (3 if 3 in shape else 1)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((5, 9, 7, 4), "expected 1 or 3 channels"),
        ((5, 9, 7, 2), "expected 1 or 3 channels"),
        ((5, 50), "rows of 50 values, which are no square image"),
        ((5,), r"the shape \(5,\): expected \(N,H,W,C\)"),
        ((0, 8, 8), "is empty"),
        ((2, 2, 2, 2, 2), "expected"),
    ],
)
def test_shapes_that_are_no_images(shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(DataError, match=message):
        as_images(noise(*shape))
    with pytest.raises(DataError, match=r"which is not channels, height, width as data\.layout = 'chw' says"):
        as_images(noise(5, 9, 7, 3), "chw")


def test_the_hint_for_flat_rows_tells_planes_from_pixels() -> None:
    smooth = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1) + np.array([0, 80, 160], np.uint8)
    with pytest.raises(DataError, match=r"differ by 1 as planes and by [^1]"):
        as_images(smooth.transpose(0, 3, 1, 2).reshape(1, -1))


@pytest.mark.parametrize(
    ("values", "expected", "remark"),
    [
        (np.array([0.0, 0.5, 1.0]), [0, 128, 255], "0..1"),
        (np.array([0.0, 0.5, 1.0], np.float32), [0, 128, 255], "0..1"),
        (np.array([0.0, 7.0, 255.0]), [0, 7, 255], "taken as they are"),
        (np.array([True, False, True]), [255, 0, 255], "true"),
        (np.array([0, 128, 255], np.int64), [0, 128, 255], None),
        (np.array([0, 0x1234, 0xFFFF], np.uint16), [0, 0x12, 0xFF], "16-bit"),
    ],
)
def test_values_become_eight_bits_and_it_is_said(values: np.ndarray, expected: list[int], remark: str | None) -> None:
    images, said = as_images(values.reshape(1, 1, 3))
    assert images.ravel().tolist() == expected
    assert remark is None if said is None else remark in said


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.array([0.0, 16.0]), "floating point values from 0 to 16: give 0..1"),
        (np.array([0.5, 255.0]), "floating point values from 0.5 to 255: give 0..1"),
        (np.array([-0.1, 1.0]), "from -0.1 to 1"),
        (np.array([np.nan, 1.0]), "1 values that are not finite"),
        (np.array([-1, 5]), "values from -1 to 5"),
        (np.array([0, 256]), "values from 0 to 256"),
        (np.array([0j, 1]), "complex"),
        (np.array(["a", "b"], dtype=object), "Python objects"),
    ],
)
def test_values_without_an_agreed_white_are_refused(values: np.ndarray, message: str) -> None:
    with pytest.raises(DataError, match=message):
        as_images(values.reshape(1, 1, 2))


def test_lists_tensors_and_ragged_lists() -> None:
    images = noise(4, 8, 8, 3)
    assert np.array_equal(from_arrays(torch.from_numpy(images), [0, 1, 0, 1]).images, images)
    assert np.array_equal(from_arrays(images.tolist(), [0, 1, 0, 1]).images, images)
    with pytest.raises(DataError, match="are all images of one size"):
        from_arrays([images[0], images[1][:4]], [0, 1])


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 5), min_size=1, max_size=20))
def test_one_hot_labels_are_the_same_labels(labels: list[int]) -> None:
    hot = np.eye(6)[labels]
    for dtype in (bool, np.uint8, np.float32):
        read, classes = as_labels({"y": hot.astype(dtype)}, None)
        assert read[0].tolist() == labels
        assert classes == ("0", "1", "2", "3", "4", "5")


@pytest.mark.parametrize(
    ("labels", "classes", "message"),
    [
        (np.array([[0, 0, 1], [0.5, 0.5, 0]]), None, "holds 0.5"),
        (np.array([[0, 0, 1], [1, 1, 0]]), None, r"not one-hot: row 1 is \[1, 1, 0\]"),
        (np.array([[0, 0, 1], [0, 0, 0]]), None, "not one-hot: row 1"),
        (np.eye(3), ["a", "b"], "one-hot labels have 3 columns for 2 classes"),
        (np.zeros((2, 2, 2)), None, r"the shape \(2, 2, 2\)"),
        (np.array([0, 10**12]), None, "run from 0 to 1000000000000"),
        (np.array([1j]), None, "labels must be whole numbers or text"),
        (np.array([0, None]), None, "Python objects"),
    ],
)
def test_labels_that_are_no_classes(labels: np.ndarray, classes: list[str] | None, message: str) -> None:
    with pytest.raises(DataError, match=message):
        as_labels({"y": labels}, classes)


def test_labels_may_be_names() -> None:
    read, classes = as_labels({"y": np.array(["b10", "b2", "b10"]), "z": np.array([b"a"])}, None)
    assert classes == ("a", "b2", "b10")
    assert [r.tolist() for r in read] == [[2, 1, 2], [0]]
    read, classes = as_labels({"y": np.array(["dog", "cat"], dtype=object)}, ["dog", "cat", "cow"])
    assert (read[0].tolist(), classes) == ([0, 1], ("dog", "cat", "cow"))


def test_parts_come_as_given_and_classes_keep_their_order() -> None:
    images = from_arrays(
        noise(6, 8, 8), [0, 1, 2] * 2, classes=["z", "a", "m"], test_images=noise(3, 8, 8), test_labels=[2, 1, 0],
        validation_images=noise(3, 8, 8), validation_labels=[0, 1, 2],
    )  # fmt: skip
    assert images.classes == ("z", "a", "m")
    assert images.labels.tolist() == [0, 1, 2, 0, 1, 2, 0, 1, 2, 2, 1, 0]
    assert images.parts.tolist() == [TRAIN] * 6 + [VALIDATION] * 3 + [TEST] * 3
    assert images.sources[0] == "train#0"
    assert images.sources[-1] == "test#2"
    with pytest.raises(DataError, match="test_images and test_labels belong together: only the images were given"):
        from_arrays(noise(2, 8, 8), [0, 1], test_images=noise(2, 8, 8))
    with pytest.raises(DataError, match=r"images of train are \(8, 8, 1\) and those of test \(9, 9, 1\)"):
        from_arrays(noise(2, 8, 8), [0, 1], test_images=noise(2, 9, 9), test_labels=[0, 1])


def test_a_class_without_images_is_named() -> None:
    with pytest.raises(DataError, match="1 class has no image: 1; leave them out with"):
        from_arrays(noise(3, 8, 8), [0, 2, 2])


def save(path: Path, **arrays: Any) -> str:
    np.savez(path, **arrays)
    return str(path)


def loaded(path: str, **data: Any) -> Any:
    return load(Data(sources=(path,), **data), Pixels())


def test_npz_with_and_without_parts(tmp_path: Path) -> None:
    x, y = noise(6, 8, 8, 3), np.array([0, 1, 2] * 2)
    whole = loaded(save(tmp_path / "whole.npz", x=x, y=y, classes=np.array(["c", "b", "a"])))
    assert (whole.name, whole.classes, whole.root_names, whole.sources[1]) == ("whole", ("c", "b", "a"), ("whole",), "x#1")
    assert np.array_equal(whole.images, x)
    parts = loaded(save(tmp_path / "parts.npz", x_train=x, y_train=y, x_validation=x[:3], y_validation=y[:3], x_test=x[3:], y_test=np.eye(3)[y[3:]]))
    assert np.bincount(parts.parts).tolist() == [6, 3, 3]
    assert parts.root_names == ("train", "validation", "test")
    assert parts.labels.tolist() == [0, 1, 2] * 4
    packed = tmp_path / "packed.npz"
    np.savez_compressed(packed, x=x, y=y)
    assert np.array_equal(loaded(str(packed)).images, x)


@pytest.mark.parametrize(("images", "labels"), [("images", "labels"), ("X", "y"), ("train_images", "train_labels"), ("data", "target")])
def test_npz_takes_the_names_that_npy_files_may_have(tmp_path: Path, images: str, labels: str) -> None:
    x = noise(4, 8, 8)
    whole = loaded(save(tmp_path / "names.npz", **{images: x, labels: np.array([0, 1, 0, 1])}))
    assert np.array_equal(whole.images[..., 0], x)
    assert whole.labels.tolist() == [0, 1, 0, 1]
    parts = loaded(save(tmp_path / "parts.npz", **{images: x, labels: [0, 1, 0, 1], "val_images": x[:2], "val_labels": [0, 1]}))
    assert parts.root_names == ("train", "validation")


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": noise(2, 8, 8)}, "lacks the labels of x: it has x$"),
        ({"x_train": noise(2, 8, 8), "y_train": [0, 1], "x_test": noise(2, 8, 8)}, "lacks the labels of x_test"),
        ({"x": noise(2, 8, 8), "y": [0, 1], "x_train": noise(2, 8, 8)}, "both x and x_train"),
        ({"x": noise(2, 8, 8), "y": [0, 1], "clases": ["a", "b"]}, "has a key 'clases': did you mean 'classes'"),
        ({"x": noise(2, 8, 8), "y": [0, 1], "image_ids": [0, 1]}, "has a key 'image_ids'"),
        ({"images": noise(2, 8, 8), "x": noise(2, 8, 8), "y": [0, 1]}, "both images and x"),
        ({"classes": ["a", "b"]}, "lacks x and y: it has classes"),
        ({"x": noise(2, 8, 8), "y": [0, 1], "classes": np.array(["a", "a"])}, "classes names 'a' twice"),
        ({"x": noise(2, 8, 8), "y": [0, 1], "classes": np.zeros(2)}, "classes should be text"),
        ({"x": noise(3, 8, 8), "y": [0, 1]}, r"m\.npz: x holds 3 images and y 2 labels"),
        ({"x": noise(2, 8, 8), "y": [1, 2]}, r"labels of m\.npz run from 1 to 2, expected 0"),
    ],
)
def test_npz_that_do_not_fit_name_the_key(tmp_path: Path, arrays: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        loaded(save(tmp_path / "m.npz", **arrays))


def test_archives_that_unpack_to_too_much_or_are_none_are_refused(tmp_path: Path) -> None:
    buffer = BytesIO()
    np.lib.format.write_array(buffer, np.zeros((100, 500, 500), np.uint8))
    with zipfile.ZipFile(tmp_path / "bomb.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", buffer.getvalue())
    with pytest.raises(DataError, match="more than 200 times its size"):
        loaded(str(tmp_path / "bomb.npz"))
    for content in (b"", b"PK\x03\x04 broken", b"<html>"):
        (tmp_path / "none.npz").write_bytes(content)
        with pytest.raises(DataError, match=r"damaged or no \.npz file"):
            loaded(str(tmp_path / "none.npz"))
    with zipfile.ZipFile(tmp_path / "cut.npz", "w") as archive:
        archive.writestr("x.npy", buffer.getvalue()[:1_000_000])
    with pytest.raises(DataError, match=r"claims the shape \(100, 500, 500\) of uint8, but 999,872 bytes are there"):
        loaded(str(tmp_path / "cut.npz"))
