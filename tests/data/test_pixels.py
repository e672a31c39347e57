"""One preprocessing: size, shape and colour, the same for one image, many, files and arrays."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from rung.data.load import from_arrays, image_array, load
from rung.data.pixels import fit, fit_all, grey, measure, normalise, prepare, resolved, to_float
from rung.errors import DataError, RecipeError
from rung.recipe import Data, Pixels

RANDOM = np.random.default_rng(0)


def noise(*shape: int) -> np.ndarray:
    return RANDOM.integers(0, 256, shape, dtype=np.uint8)


def smooth(width: int, height: int) -> np.ndarray:
    return np.asarray(Image.fromarray(noise(4, 4, 3)).resize((width, height), Image.Resampling.BICUBIC))


@pytest.mark.parametrize("filter_name", ["bilinear", "bicubic"])
@pytest.mark.parametrize("size", [8, 16, 48])
def test_resizing_agrees_with_pillow(filter_name: str, size: int) -> None:
    image = noise(30, 40, 3) // 2 + 64  # away from 0 and 255, where Pillow clips between its two passes
    expected = np.asarray(Image.fromarray(image).resize((size, size), Image.Resampling[filter_name.upper()]))
    found = fit(image, size, 3, Pixels(filter=filter_name))
    assert np.abs(found.astype(int) - expected).max() <= 1


def test_nearest_agrees_with_pillow() -> None:
    image = noise(30, 40, 3)
    expected = np.asarray(Image.fromarray(image).resize((16, 16), Image.Resampling.NEAREST))
    assert np.array_equal(fit(image, 16, 3, Pixels(filter="nearest")), expected)


def test_without_antialias_pixels_are_left_out() -> None:
    image = noise(64, 64, 1)
    assert not np.array_equal(fit(image, 16, 1, Pixels()), fit(image, 16, 1, Pixels(antialias=False)))


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 40), st.integers(1, 40), st.sampled_from([1, 3]), st.sampled_from([1, 3]), st.integers(1, 24),
    st.sampled_from(["stretch", "crop", "pad"]), st.sampled_from(["nearest", "bilinear", "bicubic"]),
)  # fmt: skip
def test_many_at_once_are_one_by_one_to_the_bit(height: int, width: int, own: int, channels: int, size: int, how: str, filter_name: str) -> None:
    pixels = Pixels(fit=how, filter=filter_name, background=(10, 20, 30))
    images = noise(3, height, width, own)
    together = fit_all(images, size, channels, pixels)
    assert together.shape == (3, size, size, channels)
    for one, fitted in zip(images, together, strict=True):
        assert np.array_equal(fit(one, size, channels, pixels), fitted)


@pytest.mark.parametrize("how", ["stretch", "crop", "pad"])
def test_grey_stored_thrice_is_fitted_as_grey(how: str) -> None:
    image, pixels = noise(20, 30, 1), Pixels(fit=how, filter="bicubic")
    assert np.array_equal(fit(np.repeat(image, 3, axis=2), 16, 3, pixels), fit(image, 16, 3, pixels))
    assert np.array_equal(fit(image, 16, 3, pixels), np.repeat(fit(image, 16, 1, pixels), 3, axis=2))


def test_an_image_of_the_right_size_is_left_alone() -> None:
    image = noise(16, 16, 3)
    assert np.array_equal(fit(image, 16, 3, Pixels(filter="bicubic")), image)


def test_crop_takes_the_middle_and_pad_adds_background() -> None:
    image = np.zeros((10, 30, 3), np.uint8)
    image[:, 10:20] = 200
    assert (fit(image, 10, 3, Pixels(fit="crop")) == 200).all()
    padded = fit(image, 30, 3, Pixels(fit="pad", background=(1, 2, 3)))
    assert np.array_equal(padded[10:20], image)
    assert (padded[:10] == (1, 2, 3)).all()
    assert (padded[20:] == (1, 2, 3)).all()


def test_grey_is_pillows_grey() -> None:
    image = noise(50, 50, 3)
    assert np.array_equal(grey(image)[..., 0], np.asarray(Image.fromarray(image).convert("L")))


def test_measure_agrees_with_numpy_and_not_with_other_rows() -> None:
    images = noise(50, 9, 7, 3)
    rows = np.arange(0, 50, 2)
    mean, deviation = measure(images, rows)
    assert np.allclose(mean, images[rows].mean(axis=(0, 1, 2)) / 255, atol=1e-12)
    assert np.allclose(deviation, images[rows].std(axis=(0, 1, 2)) / 255, atol=1e-9)
    assert measure(images, rows[::-1]) == (mean, deviation)
    with pytest.raises(DataError, match="no rows to measure"):
        measure(images, rows[:0])


def test_normalise_as_the_recipe_says() -> None:
    stored = torch.from_numpy(noise(4, 8, 8, 3).transpose(0, 3, 1, 2).copy())
    images = to_float(stored)
    assert images.dtype == torch.float32
    assert torch.equal(images, stored.float() / 255)
    assert torch.equal(normalise(images, Pixels()), images)
    assert torch.equal(normalise(images, Pixels(normalise="none")).round(), stored.float())
    mean, deviation = measure(stored.numpy().transpose(0, 2, 3, 1), np.arange(4))
    standard = normalise(images, Pixels(normalise="standard", mean=mean, deviation=deviation))
    assert standard.mean(dim=(0, 2, 3)).abs().max() < 1e-5
    assert (standard.std(dim=(0, 2, 3), unbiased=False) - 1).abs().max() < 1e-4
    for pixels in (Pixels(normalise="standard"), Pixels(normalise="standard", mean=(0.5,), deviation=(0.5,))):
        with pytest.raises(RecipeError, match="with 3 values each"):
            normalise(images, pixels)


@pytest.mark.parametrize("pixels", [Pixels(), Pixels(size=20, fit="pad"), Pixels(size=12, fit="crop", filter="bicubic", colour="grey")])
def test_prediction_sees_a_file_as_training_saw_it(tmp_path: Path, pixels: Pixels) -> None:
    for k, name in enumerate(("a", "b")):
        (tmp_path / name).mkdir()
        for row in range(3):
            Image.fromarray(smooth(30 + 5 * row, 40 - 9 * k)).save(tmp_path / name / f"{row}.png")
    images = load(Data(sources=(str(tmp_path),)), pixels)
    final = resolved(pixels, images)
    assert isinstance(final.size, int)
    for row, source in enumerate(images.sources):
        assert np.array_equal(prepare(tmp_path / source, final, final.size, images.images.shape[3]), images.images[row])
        assert np.array_equal(prepare((tmp_path / source).read_bytes(), final, final.size, images.images.shape[3]), images.images[row])


def test_arrays_are_prepared_as_files_are(tmp_path: Path) -> None:
    pictures = np.stack([smooth(30, 20) for _ in range(6)])
    for row, picture in enumerate(pictures):
        (tmp_path / str(row % 2)).mkdir(exist_ok=True)
        Image.fromarray(picture).save(tmp_path / str(row % 2) / f"{row}.png")
    pixels = Pixels(size=16, fit="pad", filter="bicubic")
    files, arrays = load(Data(sources=(str(tmp_path),)), pixels), from_arrays(pictures, [0, 1] * 3, pixels=pixels)
    order = [int(Path(source).stem) for source in files.sources]
    assert np.array_equal(files.images, arrays.images[order])
    assert np.array_equal(files.digests, arrays.digests[order])
    assert np.array_equal(image_array(pictures, resolved(pixels, arrays), 3), arrays.images)


def test_prepare_names_the_file_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"x\.png is empty"):
        prepare(tmp_path / "x.png", Pixels(), 8, 3)


def test_resolved_is_what_the_images_are() -> None:
    images = from_arrays(noise(4, 30, 30), [0, 1, 0, 1], pixels=Pixels(size=8))
    assert resolved(Pixels(), images) == Pixels(size=8, colour="grey")
    with pytest.raises(RecipeError, match="with 1 values each, found"):
        resolved(Pixels(normalise="standard", mean=(0.5,) * 3, deviation=(0.5,) * 3), images)
