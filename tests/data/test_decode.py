"""Every kind of pixel becomes 8 bits in one way; damaged files are refused with a reason and nothing else happens."""

from __future__ import annotations

import struct
import threading
import warnings
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from rung.data import files
from rung.data.decode import Decoded, UnreadableImage, decode, read_file
from rung.data.imageset import FORMATS
from rung.data.load import load
from rung.recipe import Data, Pixels

RANDOM = np.random.default_rng(0)
GREY = RANDOM.integers(0, 256, (12, 20), dtype=np.uint8)
RGB = RANDOM.integers(0, 256, (12, 20, 3), dtype=np.uint8)
DEEP = RANDOM.integers(0, 65536, (12, 20)).astype(np.uint16)


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def twelve_bits() -> bytes:
    """Return a TIFF of 2 x 1 grey pixels of 12 bits, 0xFFF and 0x800, which Pillow reads but cannot write."""
    tags = [(256, 3, 2), (257, 3, 1), (258, 3, 12), (259, 3, 1), (262, 3, 1), (273, 4, 8), (277, 3, 1), (278, 3, 1), (279, 4, 3)]
    directory = len(tags).to_bytes(2, "little") + b"".join(
        tag.to_bytes(2, "little") + kind.to_bytes(2, "little") + (1).to_bytes(4, "little") + value.to_bytes(4, "little") for tag, kind, value in tags
    )
    return b"II*\x00" + (12).to_bytes(4, "little") + b"\xff\xf8\x00\x00" + directory + bytes(4)


CASES = {
    "grey": (Image.fromarray(GREY), "PNG", GREY[..., None]),
    "rgb": (Image.fromarray(RGB), "PNG", RGB),
    "rgb stored grey": (Image.fromarray(np.stack([GREY] * 3, axis=2)), "PNG", GREY[..., None]),
    "rgb bmp": (Image.fromarray(RGB), "BMP", RGB),
    "rgb tiff": (Image.fromarray(RGB), "TIFF", RGB),
    "one bit": (Image.fromarray(GREY > 99), "PNG", np.where(GREY > 99, 255, 0)[..., None]),
    "sixteen bits": (Image.fromarray(DEEP), "PNG", DEEP[..., None] >> 8),
    "sixteen bits tiff": (Image.fromarray(DEEP), "TIFF", DEEP[..., None] >> 8),
    "float in 0..1": (Image.fromarray(GREY.astype(np.float32) / 255), "TIFF", GREY[..., None]),
    "float in 0..255": (Image.fromarray(GREY.astype(np.float32)), "TIFF", GREY[..., None]),
    "opaque alpha": (Image.fromarray(np.dstack([RGB, np.full_like(GREY, 255)])), "PNG", RGB),
    "grey and alpha": (Image.merge("LA", [Image.fromarray(GREY), Image.fromarray(np.zeros_like(GREY))]), "PNG", np.full((12, 20, 1), 255)),
    "palette": (Image.fromarray(RGB).quantize(200), "PNG", np.asarray(Image.fromarray(RGB).quantize(200).convert("RGB"))),
    "cmyk tiff": (Image.fromarray(RGB).convert("CMYK"), "TIFF", RGB),
}


@pytest.mark.parametrize("case", CASES)
def test_each_mode_gives_the_expected_pixels(case: str) -> None:
    image, kind, expected = CASES[case]
    decoded = decode(encoded(image, kind), Pixels())
    assert decoded.image.dtype == np.uint8
    assert np.array_equal(decoded.image, expected)
    assert decoded.trailing == 0


def test_three_channels_of_sixteen_bits_keep_the_upper_eight() -> None:
    rows = b"".join(b"\x00" + struct.pack(">6H", 0xFFFF, 0x1234, 0, 0x00FF, 0x8000, 0xFF00) for _ in range(2))

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 2, 2, 16, 2, 0, 0, 0))
    decoded = decode(b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""), Pixels())
    assert decoded.image[0].tolist() == [[0xFF, 0x12, 0], [0, 0x80, 0xFF]]
    assert decoded.repairs == ("16 bits a channel brought to 8",)


def test_twelve_bits_are_scaled_by_their_own_depth() -> None:
    assert decode(twelve_bits(), Pixels()).image.ravel().tolist() == [255, 128]


def test_a_transparent_sixteen_bit_grey_lies_over_the_background() -> None:
    decoded = decode(encoded(Image.fromarray(np.array([[500, 40000]], np.uint16)), transparency=500), Pixels(background=(9, 9, 9)))
    assert decoded.image.ravel().tolist() == [9, 40000 >> 8]


@pytest.mark.parametrize(
    ("image", "kind", "reason"),
    [
        (Image.fromarray(np.full((2, 2), 70000, np.int32)), "TIFF", "32 bits"),
        (Image.fromarray(np.full((2, 2), 300, np.float32)), "TIFF", "values from 300 to 300"),
        (Image.new("LAB", (2, 2)), "TIFF", "LAB colours"),
        (Image.new("RGB", (2, 2)), "PPM", "not an image of a known format"),
        (Image.new("RGB", (2, 2)), "EPS", "never opened"),
    ],
)
def test_what_has_no_agreed_colours_is_refused(image: Image.Image, kind: str, reason: str) -> None:
    with pytest.raises(UnreadableImage, match=reason):
        decode(encoded(image, kind), Pixels())


@pytest.mark.parametrize("kind", ["BMP", "TIFF", "PNG"])
def test_a_size_that_the_file_cannot_hold_is_refused_before_decoding(kind: str) -> None:
    data = bytearray(encoded(Image.fromarray(RGB), kind))
    height = data.index({"PNG": (12).to_bytes(4, "big")}.get(kind, (12).to_bytes(4, "little")))
    data[height + (1 if kind == "PNG" else 2)] = 0x70
    if kind == "PNG":
        data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")
    with pytest.raises(UnreadableImage, match=r"bytes cannot hold the 20 x 7340044 pixels"):
        decode(bytes(data), Pixels())


def test_reduced_jpegs_are_smaller_and_only_when_asked() -> None:
    data = encoded(Image.fromarray(RGB).resize((400, 240)), "JPEG")
    assert decode(data, Pixels(size=50)).image.shape == (240, 400, 3)
    assert decode(data, Pixels(size=50, reduced_jpeg=True)).image.shape == (60, 100, 3)


@pytest.mark.parametrize("quality", [1, 10, 35, 49, 50, 75, 90, 95, 100])
def test_the_quality_of_a_jpeg_is_found_by_its_table(quality: int) -> None:
    picture = Image.fromarray(RGB)
    assert decode(encoded(picture, "JPEG", quality=quality), Pixels()).quality == quality
    assert decode(encoded(picture.convert("L"), "JPEG", quality=quality, progressive=True), Pixels()).quality == quality
    assert decode(encoded(picture, "PNG"), Pixels()).quality == 0


def test_the_size_as_stored_is_that_before_turn_and_reduction() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encoded(Image.fromarray(RGB).resize((400, 240)), "JPEG", exif=exif)
    decoded = decode(data, Pixels(size=50, reduced_jpeg=True))
    assert (decoded.stored, decoded.image.shape) == ((240, 400), (100, 60, 3))


def test_a_lack_of_memory_is_no_damage(monkeypatch: pytest.MonkeyPatch) -> None:
    data = encoded(Image.fromarray(RGB))
    for error in (MemoryError(), OSError("out of memory error when reading image file")):  # Python's, and that of a decoder
        with monkeypatch.context() as patch:
            patch.setattr(Image.Image, "load", lambda self, error=error: (_ for _ in ()).throw(error))
            patch.setattr("PIL.ImageFile.ImageFile.load", Image.Image.load)
            with pytest.raises(MemoryError, match="20 x 12 pixels"):
                decode(data, Pixels())


def test_a_side_that_no_resizing_could_bear_is_refused() -> None:
    with pytest.raises(UnreadableImage, match=r"has 1000001 x 1 pixels, more than 1,000,000 a side"):
        decode(encoded(Image.new("1", (1_000_001, 1))), Pixels())


def test_a_tiff_of_three_channels_of_sixteen_bits_is_brought_to_eight() -> None:
    values = np.array([[[0xFFFF, 0x1234, 0x00FF]]], "<u2")
    tags = [(256, 3, 1, 1), (257, 3, 1, 1), (258, 3, 3, 8), (259, 3, 1, 1), (262, 3, 1, 2), (273, 4, 1, 14), (277, 3, 1, 3), (278, 3, 1, 1), (279, 4, 1, 6)]
    directory = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", *tag) for tag in tags) + bytes(4)
    data = b"II*\x00" + struct.pack("<I", 20) + struct.pack("<3H", 16, 16, 16) + values.tobytes() + directory
    decoded = decode(data, Pixels())
    assert decoded.image.tolist() == [[[0xFF, 0x12, 0]]]
    assert decoded.repairs == ("16 bits a channel brought to 8",)


def test_a_path_and_its_bytes_decode_alike(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(encoded(Image.fromarray(RGB)))
    assert np.array_equal(decode(tmp_path / "x", Pixels()).image, RGB)
    with pytest.raises(UnreadableImage, match=r"cannot be read \(No such file"):
        read_file(tmp_path / "y")
    with pytest.raises(UnreadableImage, match="is not a regular file"):
        read_file(tmp_path)


def test_a_thread_that_dies_names_its_file_and_nothing_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """N69: an error that is a mistake of ours, in one of many threads."""
    for label in ("cat", "dog"):
        (tmp_path / label).mkdir()
        for number in range(30):
            (tmp_path / label / f"{number}.png").write_bytes(encoded(Image.fromarray(RGB)) + b"%d" % number)

    def broken(data: bytes, pixels: Pixels) -> Decoded:
        if data.endswith(b"IEND\xaeB`\x8217"):
            raise ZeroDivisionError("of ours")
        return decode(data, pixels)

    monkeypatch.setattr(files, "decode", broken)
    before = threading.active_count()
    with pytest.raises(ZeroDivisionError, match="of ours") as died:
        load(Data(sources=(str(tmp_path),)), Pixels())
    assert died.value.__notes__ == [f"while decoding {tmp_path}/cat/17.png"]
    assert threading.active_count() == before


def test_warning_filters_are_as_before_whatever_threads_do() -> None:
    bad = encoded(Image.fromarray(RGB), "JPEG", exif=b"Exif\x00\x00II*\x00\x08\x00\x00\x00\xff\xffnonsense")
    before, shower = list(warnings.filters), warnings.showwarning
    repairs: list[tuple[str, ...]] = []
    threads = [threading.Thread(target=lambda: repairs.append(decode(bad, Pixels()).repairs)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert repairs == [("broken EXIF data ignored",)] * 8
    assert warnings.filters == before
    assert warnings.showwarning is shower


WHOLE = [encoded(Image.fromarray(RGB), kind) for kind in FORMATS] + [encoded(Image.fromarray(RGB).quantize(16), kind) for kind in ("GIF", "PNG", "TIFF")]


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(WHOLE), st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), max_size=8), st.integers(0, 40))
def test_any_damage_gives_an_image_or_a_reason(data: bytes, changes: list[tuple[int, int]], cut: int) -> None:
    damaged = bytearray(data[: len(data) - cut])
    for at, value in changes:
        damaged[at % len(damaged)] = value
    try:
        image = decode(bytes(damaged), Pixels()).image
    except UnreadableImage:
        return
    assert image.dtype == np.uint8
    assert image.shape[2] in (1, 3)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200), st.sampled_from([b"", *(data[:30] for data in WHOLE)]))
def test_any_bytes_give_a_reason(tail: bytes, start: bytes) -> None:
    with pytest.raises(UnreadableImage):
        decode(start + tail, Pixels())
