"""The rows of the list of nasty inputs that concern loading, one test each, named by its number; files from one seeded maker."""

from __future__ import annotations

import gc
import os
import pickle
import socket
import struct
import subprocess
import sys
import tarfile
import tracemalloc
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from rung.data import fetch
from rung.data.formats import archives, folder
from rung.data.imageset import TEST, TRAIN, VALIDATION, ImageSet
from rung.data.load import from_arrays, load
from rung.data.pixels import measure, normalise, to_float
from rung.errors import DataError
from rung.recipe import Data, Pixels

PER_CLASS = 24  # one file in 24 or 25 is below the 5 % that may be left out


def picture(seed: int, width: int = 16, height: int = 16) -> Image.Image:
    """Return a smooth coloured picture that only this seed gives."""
    small = np.random.default_rng(seed).integers(0, 256, (4, 4, 3)).astype(np.uint8)
    return Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def fill(path: Path, count: int, seed: int) -> None:
    path.mkdir(parents=True, exist_ok=True)
    for k in range(count):
        picture(seed + k).save(path / f"{k}.png")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A good folder of two classes, to be made nasty."""
    for k, name in enumerate(("cat", "dog")):
        fill(tmp_path / "photos" / name, PER_CLASS, 1000 * k)
    return tmp_path / "photos"


def loaded(path: Path | str, pixels: Pixels | None = None, **data: Any) -> ImageSet:
    return load(Data(sources=(str(path),), **data), pixels or Pixels())


def put(photos: Path, name: str, content: bytes) -> None:
    (photos / "cat" / name).write_bytes(content)


def check_left_out(photos: Path, name: str, reason: str) -> None:
    """The one bad file is left out with its path and reason, and is an error when strict."""
    images = loaded(photos)
    assert len(images) == 2 * PER_CLASS
    assert [note.path for note in images.dropped] == [f"cat/{name}"]
    assert reason in images.dropped[0].reason
    with pytest.raises(DataError, match=r"data\.strict"):
        loaded(photos, strict=True)


def row_of(images: ImageSet, name: str) -> np.ndarray:
    return images.images[images.sources.index(f"cat/{name}")]


def reasons(images: ImageSet, name: str) -> str:
    return "; ".join(note.reason for note in images.repaired if note.path == f"cat/{name}")


def check_warned(images: ImageSet, words: str) -> None:
    assert sum(words in warning for warning in images.warnings) == 1, images.warnings


def test_n01_an_empty_class_folder_is_an_error_that_names_the_option(photos: Path) -> None:
    (photos / "bird").mkdir()
    with pytest.raises(DataError, match=r"1 class folder is empty: bird;.*data\.allow_empty_classes=true"):
        loaded(photos)
    images = loaded(photos, allow_empty_classes=True)
    assert images.classes == ("cat", "dog")
    assert any("bird" in remark for remark in images.remarks)


def test_n02_no_image_at_all_shows_the_first_names(tmp_path: Path) -> None:
    for k in range(7):
        (tmp_path / f"note{k}.doc").write_text("x")
    with pytest.raises(DataError, match=r"no image found in .*note0\.doc, note1\.doc, note2\.doc, note3\.doc, note4\.doc; expected one folder"):
        loaded(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="it is empty"):
        loaded(tmp_path / "empty")


def test_n03_a_root_that_is_not_there_names_the_nearest_folder(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match=r"photos/dgo/x does not exist; the nearest folder that does is .*photos: it holds cat, dog; did you mean 'dog'"):
        loaded(photos / "dgo" / "x")
    with pytest.raises(DataError, match=r"'cifar11' is no data that rung knows.*did you mean 'cifar1"):
        loaded("cifar11")
    monkeypatch.chdir(photos.parent)
    with pytest.raises(DataError, match=r"no folder of that name is in .*did you mean 'photos'"):
        loaded("photo")


def test_n04_one_class_is_not_enough(tmp_path: Path) -> None:
    fill(tmp_path / "photos" / "cat", 3, 0)
    with pytest.raises(DataError, match="only one class, cat: two are needed"):
        loaded(tmp_path / "photos")


def test_n05_one_image_in_a_class_is_a_warning(photos: Path) -> None:
    fill(photos / "bird", 1, 5000)
    check_warned(loaded(photos), "one training image, which cannot be split by class: bird")


@pytest.mark.parametrize("name", [".ipynb_checkpoints", "__MACOSX", "@eaDir", "lost+found", ".hidden"])
def test_n07_folders_of_the_system_are_no_classes_and_are_listed(photos: Path, name: str) -> None:
    fill(photos / name, 2, 5000)
    fill(photos / "cat" / name, 2, 6000)
    images = loaded(photos)
    assert images.classes == ("cat", "dog")
    assert len(images) == 2 * PER_CLASS
    assert {note.path for note in images.repaired} == {name, f"cat/{name}"}


def test_n08_images_beside_class_folders_have_no_class(photos: Path) -> None:
    picture(1).save(photos / "lost.png")
    with pytest.raises(DataError, match=r"1 images lie in .*photos itself \(lost\.png\) beside the class folders cat, dog: which class"):
        loaded(photos)
    fill(photos.parent / "loose", 2, 0)
    with pytest.raises(DataError, match="and no class folder: which class"):
        loaded(photos.parent / "loose")


@pytest.mark.parametrize(("given", "low", "high"), [((1, 2, 3), 1, 3), ((-1, 0, 1), -1, 1), ((0, 1, 3), 0, 3)])
def test_n12_labels_out_of_range_show_range_found_and_expected(given: tuple[int, ...], low: int, high: int) -> None:
    images = np.zeros((3, 8, 8, 3), np.uint8)
    with pytest.raises(DataError, match=rf"run from {low} to {high} .*expected 0\.\.2 for 3 classes"):
        from_arrays(images, np.array(given), classes=["a", "b", "c"])


def test_n12_labels_that_start_at_one_are_no_classes_of_their_own() -> None:
    with pytest.raises(DataError, match=r"run from 1 to 3 .*expected whole numbers from 0"):
        from_arrays(np.zeros((3, 8, 8, 3), np.uint8), np.array([1, 2, 3]))


@pytest.mark.parametrize(("train", "test"), [("Cat", "cat"), ("big cat", "big_cat"), ("café", "cafe")])
def test_n13_class_names_spelled_in_two_ways_show_the_closest_match(tmp_path: Path, train: str, test: str) -> None:
    for part, name in (("train", train), ("test", test)):
        fill(tmp_path / part / name, 3, 0)
        fill(tmp_path / part / "dog", 3, 100)
    with pytest.raises(DataError, match=f"differ between t.*'{train}'.*'{test}'|differ between t.*'{test}'.*'{train}'"):
        loaded(tmp_path)


def test_n13_order_alone_is_no_difference(tmp_path: Path) -> None:
    fill(tmp_path / "train" / "dog", 3, 0)
    fill(tmp_path / "train" / "cat", 3, 10)
    fill(tmp_path / "test" / "cat", 3, 20)
    fill(tmp_path / "test" / "dog", 3, 30)
    images = loaded(tmp_path)
    assert images.classes == ("cat", "dog")
    assert all(images.classes[label] in source for label, source in zip(images.labels, images.sources, strict=True))


def test_n14_a_class_only_in_test_is_an_error(photos: Path, tmp_path: Path) -> None:
    fill(tmp_path / "test" / "cats", 2, 0)
    fill(tmp_path / "test" / "dog", 2, 10)
    with pytest.raises(DataError, match=r"class 'cats' is in the test part \(2 images\) but not in train: did you mean 'cat'"):
        load(Data(sources=(str(photos), str(tmp_path / "test"))), Pixels())


def test_n15_a_class_only_in_train_is_a_warning(photos: Path, tmp_path: Path) -> None:
    fill(tmp_path / "test" / "dog", 2, 10)
    check_warned(load(Data(sources=(str(photos), str(tmp_path / "test"))), Pixels()), "no image in the test part: cat")


def test_n16_known_rubbish_is_ignored_and_other_files_are_left_out(photos: Path) -> None:
    for name in (".DS_Store", "Thumbs.db", "notes.txt"):
        put(photos, name, b"rubbish")
    images = loaded(photos, strict=True)
    assert {note.path for note in images.repaired} == {"cat/.DS_Store", "cat/Thumbs.db", "cat/notes.txt"}
    put(photos, "model.bin", b"\x00\x01 nothing known")
    check_left_out(photos, "model.bin", "not an image of a known format")


def test_n17_an_empty_file_is_left_out(photos: Path) -> None:
    put(photos, "none.jpg", b"")
    check_left_out(photos, "none.jpg", "empty (0 bytes)")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"<!DOCTYPE html><html>404</html>", "a web page"),
        (b"\n  <html><body>log in</body></html>", "a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "git lfs pull"),
    ],
)
def test_n18_a_web_page_or_lfs_pointer_says_what_it_is(photos: Path, content: bytes, reason: str) -> None:
    put(photos, "page.jpg", content)
    check_left_out(photos, "page.jpg", reason)


def test_n19_wrong_extensions_are_one_warning_with_their_count(photos: Path) -> None:
    put(photos, "really_png.jpg", encoded(picture(1)))
    put(photos, "really_jpeg.png", encoded(picture(2), "JPEG"))
    images = loaded(photos)
    assert len(images) == 2 * PER_CLASS + 2
    check_warned(images, "2 files are not what their names say (such as cat/really_jpeg.png)")


def test_n20_no_extension_is_read_by_content(photos: Path) -> None:
    put(photos, "picture", encoded(picture(1)))
    images = loaded(photos)
    assert np.array_equal(row_of(images, "picture"), np.asarray(picture(1)))
    check_warned(images, "1 files are not what their names say")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF"])
def test_n21_a_truncated_file_is_left_out(photos: Path, kind: str) -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))
    content = encoded(noise, kind)
    name = f"cut.{kind.lower()}"
    put(photos, name, content[: len(content) * 2 // 3])
    check_left_out(photos, name, "damaged")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP", "WEBP"])
def test_n22_bytes_after_the_end_are_a_warning(photos: Path, kind: str) -> None:
    put(photos, f"long.{kind.lower()}", encoded(picture(1), kind) + b"<?php more ?>")
    images = loaded(photos)
    assert len(images) == 2 * PER_CLASS + 1
    check_warned(images, "1 files have bytes after the end")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF"])
def test_n22_a_whole_file_has_nothing_after_its_end(photos: Path, kind: str) -> None:
    for seed in range(3):
        put(photos, f"{seed}.{kind.lower()}", encoded(picture(seed), kind))
    assert loaded(photos).warnings == ()


def test_n23_a_single_pixel_is_a_warning(photos: Path) -> None:
    picture(1, 1, 1).save(photos / "cat" / "dot.png")
    check_warned(loaded(photos), "less than 8 pixels")


@pytest.fixture(scope="module")
def bomb() -> bytes:
    """Return a PNG of 20,000 x 20,000 black pixels of one bit; made by hand, for Pillow would draw them all first."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 20_000, 20_000, 1, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(20_000 * 2501))) + chunk(b"IEND", b"")


def test_n24_a_bomb_is_refused_before_decoding(photos: Path, bomb: bytes) -> None:
    assert len(bomb) < 60_000
    put(photos, "bomb.png", bomb)
    check_left_out(photos, "bomb.png", "more than 178,956,970 pixels")


def test_n24_refusing_a_bomb_takes_little_memory(tmp_path: Path, bomb: bytes) -> None:
    (tmp_path / "bomb.png").write_bytes(bomb)
    code = (
        "import resource, sys; from pathlib import Path; from rung.data.decode import decode, UnreadableImage; from rung.recipe import Pixels\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024\n"
        "before = peak()\n"
        "try: decode(Path(sys.argv[1]), Pixels())\n"
        "except UnreadableImage: print(peak() - before)\n"
    )
    grown = subprocess.run([sys.executable, "-c", code, str(tmp_path / "bomb.png")], capture_output=True, text=True, check=True).stdout
    assert int(grown) < 100


def test_n25_a_strip_is_a_warning(photos: Path) -> None:
    picture(1, 1, 30_000).save(photos / "cat" / "strip.png")
    for fit in ("stretch", "crop", "pad"):
        check_warned(loaded(photos, Pixels(size=16, fit=fit)), "more than 20 times as long as wide (such as cat/strip.png)")


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP"])
def test_n26_the_first_frame_of_an_animation_is_read(photos: Path, kind: str) -> None:
    frames = [picture(seed).quantize(8).convert("RGB") for seed in (1, 2, 3)]
    lossless = {"lossless": True} if kind == "WEBP" else {}
    put(photos, f"moves.{kind.lower()}", encoded(frames[0], kind, save_all=True, append_images=frames[1:], **lossless))
    images = loaded(photos)
    check_warned(images, "1 files hold several images (such as cat/moves.")
    difference = np.abs(row_of(images, f"moves.{kind.lower()}").astype(int) - np.asarray(frames[0]))
    assert difference.max() <= (8 if kind == "GIF" else 0)


def test_n27_the_first_page_of_a_tiff_is_read(photos: Path) -> None:
    put(photos, "pages.tif", encoded(picture(1), "TIFF", save_all=True, append_images=[picture(2)]))
    images = loaded(photos)
    check_warned(images, "1 files hold several images")
    assert np.array_equal(row_of(images, "pages.tif"), np.asarray(picture(1)))


def test_n28_the_first_picture_of_a_burst_is_read(photos: Path) -> None:
    put(photos, "burst.jpg", encoded(picture(1), "MPO", save_all=True, append_images=[picture(2)], quality=95))
    images = loaded(photos)
    check_warned(images, "1 files hold several images")
    assert not any("after the end" in warning or "names say" in warning for warning in images.warnings)
    assert np.abs(row_of(images, "burst.jpg").astype(int) - np.asarray(picture(1))).mean() < 8


def test_n29_sixteen_bits_are_scaled_and_never_clipped(photos: Path) -> None:
    ramp = np.linspace(0, 65535, 256).astype(np.uint16).reshape(16, 16)
    put(photos, "deep.png", encoded(Image.fromarray(ramp)))
    images = loaded(photos)
    assert np.array_equal(row_of(images, "deep.png")[..., 0], ramp >> 8)
    assert "16 bits" in reasons(images, "deep.png")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_n30_a_float_image_that_is_not_finite_is_left_out(photos: Path, value: float) -> None:
    values = np.full((16, 16), 0.5, np.float32)
    values[3, 4] = value
    put(photos, "float.tif", encoded(Image.fromarray(values), "TIFF"))
    check_left_out(photos, "float.tif", "1 values that are not finite")


def test_n31_one_bit_becomes_black_and_white(photos: Path) -> None:
    bits = np.random.default_rng(0).random((16, 16)) > 0.5
    put(photos, "bits.png", encoded(Image.fromarray(bits)))
    images = loaded(photos)
    assert np.array_equal(row_of(images, "bits.png")[..., 0], np.where(bits, 255, 0))
    assert "1 bit" in reasons(images, "bits.png")


def test_n32_a_palette_with_transparency_lies_over_the_background(photos: Path) -> None:
    image = Image.new("P", (16, 16), 1)
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.paste(0, (0, 0, 8, 16))
    put(photos, "palette.png", encoded(image, transparency=0))
    images = loaded(photos, Pixels(background=(1, 2, 3)))
    left, right = row_of(images, "palette.png")[0, 0], row_of(images, "palette.png")[0, 15]
    assert left.tolist() == [1, 2, 3]
    assert right.tolist() == [0, 0, 255]
    assert "background" in reasons(images, "palette.png")


def test_n33_cmyk_becomes_rgb(photos: Path) -> None:
    put(photos, "print.jpg", encoded(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), "JPEG"))
    images = loaded(photos)
    assert np.abs(row_of(images, "print.jpg").astype(int) - (255, 0, 0)).max() <= 3
    assert "CMYK" in reasons(images, "print.jpg")


def test_n34_grey_among_colour_says_how_many_channels_and_why(photos: Path) -> None:
    put(photos, "grey.png", encoded(picture(1).convert("L")))
    images = loaded(photos)
    assert images.images.shape[3] == 3
    assert f"1 of {2 * PER_CLASS + 1} images are grey: all have 3 channels because the other {2 * PER_CLASS} are in colour" in images.remarks
    assert np.array_equal(row_of(images, "grey.png")[..., 1], np.asarray(picture(1).convert("L")))


def test_n35_hidden_colours_do_not_shine_through(photos: Path) -> None:
    image = picture(1).convert("RGBA")
    image.putalpha(0)
    half = Image.new("RGBA", (16, 16), (100, 200, 0, 128))
    put(photos, "clear.png", encoded(image))
    put(photos, "half.png", encoded(half))
    images = loaded(photos, Pixels(background=(10, 20, 30)))
    assert (row_of(images, "clear.png") == (10, 20, 30)).all()
    assert row_of(images, "half.png")[0, 0].tolist() == [round((c * 128 + b * 127) / 255) for c, b in zip((100, 200, 0), (10, 20, 30), strict=True)]


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(2, 9))
def test_n36_exif_turns_are_undone(photos: Path, orientation: int, kind: str) -> None:
    undo = {2: "FLIP_LEFT_RIGHT", 3: "ROTATE_180", 4: "FLIP_TOP_BOTTOM", 5: "TRANSPOSE", 6: "ROTATE_90", 7: "TRANSVERSE", 8: "ROTATE_270"}
    upright = picture(1, 24, 16)
    lying = upright.transpose(Image.Transpose[undo[orientation]])
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"WEBP": {"lossless": True}, "JPEG": {"quality": 100, "subsampling": 0}}.get(kind, {})
    name = f"turned.{kind.lower()}"
    put(photos, name, encoded(lying, kind, exif=exif, **options))
    images = loaded(photos, Pixels(size=24, fit="pad"))
    shown = row_of(images, name)[4:20]
    assert np.abs(shown.astype(int) - np.asarray(upright)).max() <= (6 if kind == "JPEG" else 0)
    assert f"orientation {orientation}" in reasons(images, name)


def test_n37_broken_exif_is_ignored(photos: Path) -> None:
    put(photos, "exif.jpg", encoded(picture(1), "JPEG", exif=b"Exif\x00\x00II*\x00\x08\x00\x00\x00\xff\xffnonsense"))
    images = loaded(photos)
    assert len(images) == 2 * PER_CLASS + 1
    assert "broken EXIF" in reasons(images, "exif.jpg")


@pytest.mark.parametrize("packed", [True, False])
def test_n38_text_of_many_megabytes_is_left_out(photos: Path, packed: bool) -> None:
    info = PngInfo()
    info.add_text("comment", "x" * 8_000_000, zip=packed)
    put(photos, "text.png", encoded(picture(1), pnginfo=info))
    check_left_out(photos, "text.png", "")


def test_n38_a_colour_profile_of_many_megabytes_is_left_out(photos: Path) -> None:
    put(photos, "profile.jpg", encoded(picture(1), "JPEG", icc_profile=bytes(8_000_000)))
    check_left_out(photos, "profile.jpg", "8 MB of text or colour profile")


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("phone.heic", b"\x00\x00\x00\x18ftypheic" + bytes(20), "pillow-heif"),
        ("new.avif", b"\x00\x00\x00\x18ftypavif" + bytes(20), "pillow-avif-plugin"),
        ("camera.cr2", b"II*\x00\x10\x00\x00\x00CR\x02\x00" + bytes(20), "rawpy"),
        ("camera.nef", b"II*\x00\x10\x00\x00\x00" + bytes(20), "rawpy"),
        ("scan.dcm", bytes(128) + b"DICM" + bytes(20), "pydicom"),
        ("drawing.svg", b"<?xml version='1.0'?><svg xmlns='x'/>", "SVG, which is never opened"),
        ("drawing.eps", b"%!PS-Adobe-3.0 EPSF-3.0\n", "never opened"),
    ],
)
def test_n39_formats_that_need_a_plugin_say_which(photos: Path, name: str, content: bytes, reason: str) -> None:
    put(photos, name, content)
    check_left_out(photos, name, reason)


def test_n40_odd_names_work(photos: Path) -> None:
    names = ["😀.png", "é.png", "e\u0301.png", "new\nline.png", "-dash.png", "=1+1.png", "x" * 251 + ".png", "two  blanks .png"]
    for k, name in enumerate(names):
        picture(k).save(photos / "cat" / name, "PNG")
    fill(photos / "Kätzchen 🐱", 3, 5000)
    images = loaded(photos)
    assert {f"cat/{name}" for name in names} <= set(images.sources)
    assert len(set(images.sources)) == len(images)
    assert images.classes == ("cat", "dog", "Kätzchen 🐱")


def test_n40_both_forms_of_an_accent_are_one_class(tmp_path: Path) -> None:
    fill(tmp_path / "train" / "caf\u00e9", 2, 0)
    fill(tmp_path / "test" / "cafe\u0301", 2, 10)
    fill(tmp_path / "train" / "bar", 2, 20)
    fill(tmp_path / "test" / "bar", 2, 30)
    assert loaded(tmp_path).classes == ("bar", "caf\u00e9")


def test_n41_names_that_are_not_utf8_work_and_are_shown_escaped(photos: Path) -> None:
    path = os.fsencode(photos / "cat") + b"/caf\xe9.png"
    with open(path, "wb") as file:
        file.write(encoded(picture(1)))
    images = loaded(photos)
    assert "cat/caf\\xe9.png" in images.sources
    "".join(images.sources).encode()


def test_n42_class_names_that_differ_by_case_only_are_a_warning(photos: Path) -> None:
    fill(photos / "Cat", 3, 5000)
    check_warned(loaded(photos), "'Cat' and 'cat' differ only by case")


def test_n44_a_loop_of_links_ends(photos: Path) -> None:
    (photos / "cat" / "again").symlink_to(photos / "cat")
    assert len(loaded(photos)) == 2 * PER_CLASS


def test_n45_links_out_of_the_folder_are_not_followed(photos: Path, tmp_path: Path) -> None:
    picture(1).save(tmp_path / "outside.png")
    (photos / "cat" / "link.png").symlink_to(tmp_path / "outside.png")
    check_left_out(photos, "link.png", "leads out of the folder")


def test_n45_links_within_the_folder_are_followed(photos: Path) -> None:
    (photos / "cat" / "link.png").symlink_to(photos / "cat" / "0.png")
    assert len(loaded(photos)) == 2 * PER_CLASS + 1


def test_n46_a_broken_link_is_left_out(photos: Path) -> None:
    (photos / "cat" / "link.png").symlink_to("nowhere.png")
    check_left_out(photos, "link.png", "a broken link to nowhere.png")


def test_n47_a_file_that_may_not_be_read_is_left_out(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    picture(1).save(photos / "cat" / "secret.png")
    (photos / "cat" / "secret.png").chmod(0)
    if os.geteuid() == 0:  # nothing is forbidden to root: what the system would answer to others
        system_open = os.open

        def forbidden(path: Any, *arguments: Any, **options: Any) -> int:
            if os.fspath(path).endswith("secret.png"):
                raise PermissionError(13, "Permission denied", path)
            return system_open(path, *arguments, **options)

        monkeypatch.setattr(os, "open", forbidden)
    check_left_out(photos, "secret.png", "cannot be read (Permission denied)")


@pytest.mark.timeout(20)
@pytest.mark.parametrize("make", ["pipe", "socket", "device"])
def test_n48_pipes_sockets_and_devices_are_left_out_without_opening(photos: Path, make: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = photos / "cat" / "odd.png"
    if make == "pipe":
        os.mkfifo(path)
    elif make == "socket":
        monkeypatch.chdir(photos / "cat")
        with socket.socket(socket.AF_UNIX) as server:
            server.bind("odd.png")
    else:
        path.symlink_to("/dev/zero")
    check_left_out(photos, "odd.png", "leads out of the folder, to /dev/zero" if make == "device" else f"is a {make}, not a file")


def test_n53_many_files_take_less_than_a_kilobyte_each(tmp_path: Path) -> None:
    count = 4000
    for name in ("cat", "dog"):
        (tmp_path / "many" / name).mkdir(parents=True)
        picture(len(name)).save(tmp_path / f"{name}.png")
        for k in range(count // 2):
            os.link(tmp_path / f"{name}.png", tmp_path / "many" / name / f"a name of usual length {k:08d}.png")
    gc.collect()
    tracemalloc.start()
    found = folder.read(tmp_path / "many")
    kept, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(found) == count
    assert kept / count < 400
    assert peak / count < 1000


def test_n54_a_file_of_a_gigabyte_is_left_out_unread(photos: Path) -> None:
    with (photos / "cat" / "huge.png").open("wb") as file:
        file.truncate(2**30)
    check_left_out(photos, "huge.png", "1,024 MB, more than 512 MB")


def test_n62_an_image_of_one_colour_is_a_warning_and_divides_nothing_by_zero(photos: Path) -> None:
    put(photos, "plain.png", encoded(Image.new("RGB", (16, 16), (9, 9, 9))))
    check_warned(loaded(photos), "1 images have all pixels equal (such as cat/plain.png)")
    images = np.full((4, 8, 8, 3), 7, np.uint8)
    mean, deviation = measure(images, np.arange(4))
    pixels = Pixels(normalise="standard", mean=mean, deviation=deviation)
    seen = normalise(to_float(torch.from_numpy(images.transpose(0, 3, 1, 2))), pixels)
    assert seen.abs().max() < 1e-6


def test_n63_labels_are_cast_exactly_or_not_at_all() -> None:
    images = np.zeros((4, 8, 8), np.uint8)
    images[1:] = 9
    assert from_arrays(images, np.array([0.0, 1.0, 0.0, 1.0])).labels.tolist() == [0, 1, 0, 1]
    assert from_arrays(images, np.array(["0", "1", "0", "1"]), classes=["no", "yes"]).labels.tolist() == [0, 1, 0, 1]
    with pytest.raises(DataError, match=r"holds 0\.5, which is not a whole number"):
        from_arrays(images, np.array([0.0, 0.5, 0.0, 1.0]))
    with pytest.raises(DataError, match="name the class 'yse': did you mean 'yes'"):
        from_arrays(images, np.array(["no", "yse", "no", "yes"]), classes=["no", "yes"])


def test_n65_arrays_of_objects_are_refused(tmp_path: Path) -> None:
    x = np.array([np.zeros((8, 8)), np.zeros((9, 9))], dtype=object)
    np.savez(tmp_path / "o.npz", x=x, y=np.array([0, 1]))
    with pytest.raises(DataError, match="'x' is an array of Python objects, which is not read"):
        loaded(tmp_path / "o.npz")
    with pytest.raises(DataError, match="Python objects"):
        from_arrays(x, [0, 1])


def test_n66_lengths_that_differ_are_both_named() -> None:
    with pytest.raises(DataError, match=r"train holds 5 images and labels of train 4 labels"):
        from_arrays(np.zeros((5, 8, 8), np.uint8), [0, 1, 0, 1])


@pytest.mark.parametrize("layout", ["hwc", "chw", "planes", "interleaved"])
def test_n67_known_layouts_are_read_alike(layout: str) -> None:
    images = np.stack([np.asarray(picture(seed)) for seed in range(6)])
    chw = images.transpose(0, 3, 1, 2)
    given = {"hwc": images, "chw": chw, "planes": chw.reshape(6, -1), "interleaved": images.reshape(6, -1)}[layout]
    assert np.array_equal(from_arrays(given, [0, 1] * 3, layout=layout).images, images)
    if layout in ("hwc", "chw"):
        assert np.array_equal(from_arrays(given, [0, 1] * 3).images, images)
    else:
        with pytest.raises(DataError, match=r"two things: all red, all green, all blue \(data\.layout = 'planes'\) or .*'interleaved'"):
            from_arrays(given, [0, 1] * 3)


def test_n67_a_shape_that_fits_two_layouts_names_the_option() -> None:
    with pytest.raises(DataError, match=r"can be two things: height, width, channels \(data\.layout = 'hwc'\) or channels.*'chw'"):
        from_arrays(np.zeros((4, 3, 8, 3), np.uint8), [0, 1, 0, 1])


def _add(archive: tarfile.TarFile, name: str, content: bytes = b"x", **fields: Any) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content) if "type" not in fields else 0
    for field, value in fields.items():
        setattr(member, field, value)
    archive.addfile(member, BytesIO(content))


def _many(archive: tarfile.TarFile) -> None:
    for k in range(archives.MAX_MEMBERS + 1):
        _add(archive, f"cifar/{k}", b"")


HOSTILE: dict[str, tuple[Callable[[tarfile.TarFile], object], str]] = {
    "link": (lambda a: _add(a, "train", type=tarfile.SYMTYPE, linkname="/etc/passwd"), "is a link"),
    "hard link": (lambda a: _add(a, "train", type=tarfile.LNKTYPE, linkname="/etc/passwd"), "is a link"),
    "device": (lambda a: _add(a, "train", type=tarfile.CHRTYPE), "not a regular file"),
    "pipe": (lambda a: _add(a, "train", type=tarfile.FIFOTYPE), "not a regular file"),
    "parent": (lambda a: _add(a, "../train"), "leads outside"),
    "parent within": (lambda a: _add(a, "cifar/../../train"), "leads outside"),
    "absolute": (lambda a: _add(a, "/tmp/train"), "leads outside"),
    "drive": (lambda a: _add(a, "C:\\train"), "leads outside"),
    "many": (_many, "more than 1,000 members"),
    "twice": (lambda a: [_add(a, name, pickle.dumps({})) for name in ("a/train", "b/train")], "'train' twice"),
    "bomb": (lambda a: _add(a, "zeros", bytes(40_000_000)), "claims 40,000,000 bytes"),
    "long name": (lambda a: _add(a, "x" * 30_000_000), "unpacks to more than"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_n70_hostile_archives_are_refused_and_nothing_is_written(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    make, reason = HOSTILE[kind]
    path = tmp_path / fetch.CIFAR100.archive
    with tarfile.open(path, "w:gz") as archive:
        make(archive)
    before = sorted(tmp_path.rglob("*"))
    monkeypatch.setenv("RUNG_DATA", str(tmp_path))
    with pytest.raises(DataError, match=reason):
        loaded("cifar100")
    assert sorted(tmp_path.rglob("*")) == before


def test_above_five_percent_of_a_class_is_an_error_that_lists_them(photos: Path) -> None:
    for k in range(2):
        put(photos, f"empty{k}.png", b"")
    with pytest.raises(DataError, match=r"class 'cat' would lose 2 of 26 images, more than 5%: cat/empty0\.png is empty .*empty1"):
        loaded(photos)


def test_a_class_without_a_usable_image_is_an_error(photos: Path) -> None:
    (photos / "bird").mkdir()
    (photos / "bird" / "a.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"no image of class 'bird' can be used: bird/a\.png is empty"):
        loaded(photos)


def test_parts_of_the_maker_are_what_the_tests_think(photos: Path) -> None:
    images = loaded(photos)
    assert (images.parts == TRAIN).all()
    assert {TRAIN, VALIDATION, TEST} == {0, 1, 2}
    assert images.warnings == images.dropped == images.repaired == images.remarks == ()
    assert np.array_equal(images.images[images.sources.index("dog/3.png")], np.asarray(picture(1003)))
