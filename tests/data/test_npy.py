"""Images and labels in .npy files beside each other: whose partner is whose, parts, class names, and hostile headers."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest

from rung.data.formats import npy
from rung.data.imageset import TEST, TRAIN, VALIDATION, ImageSet
from rung.data.load import load
from rung.errors import DataError
from rung.recipe import Data, Pixels

IMAGES = np.random.default_rng(0).integers(0, 256, (12, 8, 8, 3), dtype=np.uint8)
LABELS = np.arange(12) % 3


def loaded(*sources: Path, **data: object) -> ImageSet:
    return load(Data.model_validate({"sources": tuple(str(s) for s in sources), **data}), Pixels())


def save(folder: Path, **arrays: np.ndarray) -> Path:
    folder.mkdir(exist_ok=True)
    for name, array in arrays.items():
        np.save(folder / f"{name.replace('__', '-')}.npy", array)
    return folder


@pytest.mark.parametrize("names", [("x", "y"), ("X", "Y"), ("images", "labels"), ("data", "targets"), ("my_images", "my_labels")])
def test_a_folder_or_its_file_of_images_brings_the_labels_beside_it(tmp_path: Path, names: tuple[str, str]) -> None:
    folder = save(tmp_path / "set", **dict(zip(names, (IMAGES, LABELS), strict=True)))
    for source in (folder, folder / f"{names[0]}.npy"):
        images = loaded(source)
        assert np.array_equal(images.images, IMAGES)
        assert np.array_equal(images.labels, LABELS)
        assert images.classes == ("0", "1", "2")
        assert images.sources[3] == f"{names[0]}#3"


@pytest.mark.parametrize("name", ["x_train", "train__images"])
def test_parts_and_class_names_by_the_names_of_files(tmp_path: Path, name: str) -> None:
    other = name.replace("x", "y").replace("images", "labels")
    names = [word.replace("train", part) for part in ("train", "val", "test") for word in (name, other)]
    arrays = dict(zip(names, (IMAGES[:6], LABELS[:6], IMAGES[6:9], LABELS[6:9], IMAGES[9:], LABELS[9:]), strict=True))
    folder = save(tmp_path / "set", **arrays, classes=np.array(["cat", "dog", "cow"]))
    images = loaded(folder)
    assert images.parts.tolist() == [TRAIN] * 6 + [VALIDATION] * 3 + [TEST] * 3
    assert images.classes == ("cat", "dog", "cow")
    assert np.array_equal(images.images, IMAGES)
    assert loaded(folder / f"{name.replace('__', '-')}.npy").sources == images.sources[:6]


def test_labels_as_names_and_several_folders(tmp_path: Path) -> None:
    save(tmp_path / "one", x=IMAGES[:6], y=np.array(["cat", "dog"])[LABELS[:6] % 2])
    save(tmp_path / "two", x=IMAGES[6:], y=np.array(["dog", "cow"])[LABELS[6:] % 2])
    images = loaded(tmp_path / "one", tmp_path / "two")
    assert images.classes == ("cat", "cow", "dog")
    assert images.root_names == ("one", "two")
    assert np.array_equal(images.images, IMAGES)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": IMAGES}, r"x\.npy has no partner: expected labels in a \.npy file beside it, such as x_train\.npy and y_train\.npy"),
        ({"y": LABELS}, r"y\.npy has no partner: expected images"),
        ({"x": IMAGES, "y": LABELS, "x_test": IMAGES}, r"x_test\.npy has no partner: expected labels"),
        ({"pictures": IMAGES, "y": LABELS}, r"pictures\.npy: the name does not say whether it holds images or labels: name such files x\.npy and y\.npy"),
        ({"x": IMAGES, "images": IMAGES, "y": LABELS}, r"of images\.npy, x\.npy, y\.npy two say the same by their names"),
        ({"classes": np.array(["a"])}, r"classes\.npy holds no images: expected x\.npy and y\.npy"),
        ({"x": IMAGES, "y": LABELS[:5]}, r"x holds 12 images and y 5 labels"),
        ({"x": IMAGES.reshape(12, -1), "y": LABELS}, r"two things: .*data\.layout = 'planes'"),
        ({"x": IMAGES, "y": LABELS, "classes": np.array(["a", "a", "b"])}, r"classes\.npy: classes names 'a' twice"),
        ({"x": IMAGES, "y": LABELS, "classes": np.array([[1.5]])}, r"classes should be text \(K,\), found float64 \(1, 1\)"),
    ],
)
def test_what_does_not_fit_names_the_file(tmp_path: Path, arrays: dict[str, np.ndarray], message: str) -> None:
    with pytest.raises(DataError, match=message):
        loaded(save(tmp_path / "set", **arrays))


def header(shape: tuple[int, ...], dtype: str = "|u1", content: bytes = b"") -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"shape": shape, "fortran_order": False, "descr": dtype})
    return file.getvalue() + content


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (header((10**13,), "<f8"), r"claims the shape \(10000000000000,\) of float64, but 0 bytes are there: it is refused"),
        (header((4,), content=b"abc"), r"claims the shape \(4,\) of uint8, but 3 bytes are there"),
        (header((2,), content=b"abc"), r"claims the shape \(2,\) of uint8, but 3 bytes are there"),
        (header((2,), "|O", b"\x80\x04N."), "is an array of Python objects, which is not read: store it as numbers"),
        (b"\x93NUMPY\x03\x00" + header((1,))[8:], r"is of the \.npy version \(3, 0\), which plain arrays do not need"),
        (b"\x93NUMPY\x01\x00\x05\x00{[(", r"x\.npy is damaged or no \.npy file"),
        (b"", r"x\.npy is damaged or no \.npy file"),
        (b"<html>", r"x\.npy is damaged or no \.npy file"),
    ],
)
def test_headers_are_not_believed(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "x.npy").write_bytes(content)
    with pytest.raises(DataError, match=message):
        npy.load(tmp_path / "x.npy")


def test_arrays_stored_by_columns_are_read_as_they_are(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.asfortranarray(IMAGES))
    assert np.array_equal(npy.load(tmp_path / "x.npy"), IMAGES)
