"""Images handed over in Python: tensors of any type and layout, and Pillow images as the same files would be read."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from rung.data.load import from_arrays, load
from rung.errors import DataError
from rung.recipe import Data, Pixels
from tests.data.nasty.tree import FILES, encoded, picture

IMAGES = np.random.default_rng(0).integers(0, 256, (4, 10, 8, 3), dtype=np.uint8)


@pytest.mark.parametrize("layout", ["hwc", "chw", "planes", "interleaved"])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64, torch.float32, torch.float64])
def test_tensors_of_any_layout_and_type(layout: str, dtype: torch.dtype) -> None:
    images = IMAGES[:, :8]
    chw = images.transpose(0, 3, 1, 2)
    values = {"hwc": images, "chw": chw, "planes": chw.reshape(4, -1), "interleaved": images.reshape(4, -1)}[layout]
    tensor = torch.from_numpy(np.ascontiguousarray(values)).to(dtype)
    found = from_arrays(tensor / 255 if dtype.is_floating_point else tensor, torch.tensor([0, 1, 0, 1]), layout=layout)  # type: ignore[arg-type]
    assert np.array_equal(found.images, images)
    assert found.labels.tolist() == [0, 1, 0, 1]


def test_tensors_with_gradients_short_floats_and_lists_of_tensors() -> None:
    tensor = torch.from_numpy(IMAGES[:, :8]).permute(0, 3, 1, 2)
    assert np.array_equal(from_arrays(list(tensor), [0, 1, 0, 1]).images, IMAGES[:, :8])
    coarse = (tensor // 64 * 64).float() / 256
    for values in (coarse.bfloat16(), coarse.half(), coarse.requires_grad_()):
        assert np.array_equal(from_arrays(values, [0, 1, 0, 1]).images, np.rint(IMAGES[:, :8] // 64 * 64 / 256 * 255))


def test_pillow_images_are_read_by_the_rules_of_files(tmp_path: Path) -> None:
    """Turned by EXIF, transparent, 16 bits, 1 bit, CMYK, palette, grey: each as its file."""
    names = [
        "n36/turned6.jpeg",
        "n35/half.png",
        "n35/clear.png",
        "n29/deep.png",
        "n31/bits.png",
        "n33/print.jpg",
        "n32/palette.png",
        "n34/grey.png",
        "n36/turned8.tiff",
    ]
    for k, name in enumerate(names):
        (tmp_path / "ab"[k % 2]).mkdir(exist_ok=True)
        (tmp_path / "ab"[k % 2] / f"{k}-{name.partition('/')[2]}").write_bytes(FILES[name]())
    for size in ("auto", 24):
        pixels = Pixels(size=size, background=(10, 20, 30))  # type: ignore[arg-type]
        files = load(Data(sources=(str(tmp_path),)), pixels)
        given = from_arrays(
            [Image.open(BytesIO((tmp_path / source).read_bytes())) for source in files.sources], files.labels, classes=["a", "b"], pixels=pixels
        )
        assert np.array_equal(given.images, files.images)
        said = {(note.path, note.reason) for note in files.repaired if "16 bits" not in note.reason}
        assert {(files.sources[int(note.path.rpartition("#")[2])], note.reason) for note in given.repaired} == said


def test_pillow_images_of_one_size_keep_it_and_their_digests() -> None:
    pictures = [picture(k) for k in range(3)] + [picture(9).convert("L")]
    found = from_arrays(pictures, [0, 1, 0, 1], test_images=[picture(20), picture(21)], test_labels=[0, 1])
    assert found.images.shape == (6, 16, 16, 3)
    assert np.array_equal(found.images[2], np.asarray(pictures[2]))
    arrays = np.stack([np.asarray(p.convert("RGB")) for p in pictures])
    assert np.array_equal(found.digests[:4], from_arrays(arrays, [0, 1, 0, 1]).digests)


def test_what_is_no_image_is_named() -> None:
    cut = BytesIO(encoded(picture(1, 64, 64))[:400])
    with pytest.raises(DataError, match=r"train#1 is damaged or cut short"):
        from_arrays([picture(0), Image.open(cut)], [0, 1])
    with pytest.raises(DataError, match=r"train#1 is ndarray, and those before it are Pillow images: give one kind"):
        from_arrays([picture(0), IMAGES[0]], [0, 1])
    with pytest.raises(DataError, match=r"train#0 holds LAB colours"):
        from_arrays([Image.new("LAB", (8, 8)), picture(1)], [0, 1])
