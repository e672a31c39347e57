"""Nasty inputs N17 to N39, N54 and N62: single files. One test each, named by its row in docs/nasty.md."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from rung.data.pixels import measure, normalise, to_float
from rung.recipe import Pixels
from tests.data.nasty.support import built, check_left_out, check_warned, loaded, of_row, put, reasons, row_of
from tests.data.nasty.tree import FILES, PER_CLASS, encoded, picture


def test_n17_an_empty_file_is_left_out(photos: Path) -> None:
    check_left_out(photos, put(photos, "n17/none.jpg"), "empty (0 bytes)")


@pytest.mark.parametrize(("file", "reason"), [("page", "a web page"), ("login", "a web page"), ("pointer", "git lfs pull")])
def test_n18_a_web_page_or_lfs_pointer_says_what_it_is(photos: Path, file: str, reason: str) -> None:
    check_left_out(photos, put(photos, f"n18/{file}.jpg"), reason)


def test_n19_wrong_extensions_are_one_warning_with_their_count(photos: Path) -> None:
    for file in of_row("n19"):
        put(photos, file)
    images = check_warned(photos, words="2 files are not what their names say (such as cat/really_jpeg.png)")
    assert len(images) == 2 * PER_CLASS + 2


def test_n20_no_extension_is_read_by_content(photos: Path) -> None:
    put(photos, "n20/picture")
    images = check_warned(photos, words="1 files are not what their names say")
    assert np.array_equal(row_of(images, "picture"), np.asarray(picture(1)))


@pytest.mark.parametrize("file", of_row("n21"))
def test_n21_a_truncated_file_is_left_out(photos: Path, file: str) -> None:
    check_left_out(photos, put(photos, file), "damaged")


@pytest.mark.parametrize("file", of_row("n22"))
def test_n22_bytes_after_the_end_are_a_warning(photos: Path, file: str) -> None:
    put(photos, file)
    assert len(check_warned(photos, words="1 files have bytes after the end")) == 2 * PER_CLASS + 1


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF"])
def test_n22_a_whole_file_has_nothing_after_its_end(photos: Path, kind: str) -> None:
    for seed in range(3):
        (photos / "cat" / f"{seed}-new.{kind.lower()}").write_bytes(encoded(picture(5000 + seed), kind))
    assert loaded(photos).warnings == ()


def test_n23_a_single_pixel_is_a_warning(photos: Path) -> None:
    put(photos, "n23/dot.png")
    check_warned(photos, words="less than 8 pixels")


def test_n24_a_bomb_is_refused_before_decoding(photos: Path) -> None:
    assert len(FILES["n24/bomb.png"]()) < 60_000
    check_left_out(photos, put(photos, "n24/bomb.png"), "more than 178,956,970 pixels")


def test_n24_refusing_a_bomb_takes_little_memory(photos: Path) -> None:
    path = photos / "cat" / put(photos, "n24/bomb.png")
    code = (
        "import resource, sys; from pathlib import Path; from rung.data.decode import decode, UnreadableImage; from rung.recipe import Pixels\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024\n"
        "before = peak()\n"
        "try: decode(Path(sys.argv[1]), Pixels())\n"
        "except UnreadableImage: print(peak() - before)\n"
    )
    grown = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True).stdout
    assert int(grown) < 100


@pytest.mark.parametrize("fit", ["stretch", "crop", "pad"])
def test_n25_a_strip_is_a_warning(photos: Path, fit: str) -> None:
    put(photos, "n25/strip.png")
    check_warned(photos, words="more than 20 times as long as wide (such as cat/strip.png)", pixels=Pixels.model_validate({"size": 16, "fit": fit}))


@pytest.mark.parametrize("file", of_row("n26"))
def test_n26_the_first_frame_of_an_animation_is_read(photos: Path, file: str) -> None:
    name = put(photos, file)
    images = check_warned(photos, words="1 files hold several images (such as cat/moves.")
    difference = np.abs(row_of(images, name).astype(int) - np.asarray(picture(1).quantize(8).convert("RGB")))
    assert difference.max() <= (8 if name.endswith("gif") else 0)


def test_n27_the_first_page_of_a_tiff_is_read(photos: Path) -> None:
    put(photos, "n27/pages.tif")
    images = check_warned(photos, words="1 files hold several images")
    assert np.array_equal(row_of(images, "pages.tif"), np.asarray(picture(1)))


def test_n28_the_first_picture_of_a_burst_is_read(photos: Path) -> None:
    put(photos, "n28/burst.jpg")
    images = check_warned(photos, words="1 files hold several images")
    assert not any("after the end" in warning or "names say" in warning for warning in images.warnings)
    assert np.abs(row_of(images, "burst.jpg").astype(int) - np.asarray(picture(1))).mean() < 8


def test_n29_sixteen_bits_are_scaled_and_never_clipped(photos: Path) -> None:
    put(photos, "n29/deep.png")
    images = loaded(photos, strict=True)
    assert np.array_equal(row_of(images, "deep.png")[..., 0].ravel(), np.linspace(0, 65535, 256).astype(np.uint16) >> 8)
    assert "16 bits" in reasons(images, "deep.png")


@pytest.mark.parametrize("file", of_row("n30"))
def test_n30_a_float_image_that_is_not_finite_is_left_out(photos: Path, file: str) -> None:
    check_left_out(photos, put(photos, file), "1 values that are not finite")


def test_n31_one_bit_becomes_black_and_white(photos: Path) -> None:
    put(photos, "n31/bits.png")
    images = loaded(photos, strict=True)
    assert np.array_equal(row_of(images, "bits.png")[..., 0], np.where(np.random.default_rng(0).random((16, 16)) > 0.5, 255, 0))
    assert "1 bit" in reasons(images, "bits.png")


def test_n32_a_palette_with_transparency_lies_over_the_background(photos: Path) -> None:
    put(photos, "n32/palette.png")
    images = loaded(photos, pixels=Pixels(background=(1, 2, 3)), strict=True)
    left, right = row_of(images, "palette.png")[0, 0], row_of(images, "palette.png")[0, 15]
    assert left.tolist() == [1, 2, 3]
    assert right.tolist() == [0, 0, 255]
    assert "background" in reasons(images, "palette.png")


def test_n33_cmyk_becomes_rgb(photos: Path) -> None:
    put(photos, "n33/print.jpg")
    images = loaded(photos, strict=False)
    assert np.abs(row_of(images, "print.jpg").astype(int) - (255, 0, 0)).max() <= 3
    assert "CMYK" in reasons(images, "print.jpg")


def test_n34_grey_among_colour_says_how_many_channels_and_why(photos: Path) -> None:
    put(photos, "n34/grey.png")
    images = loaded(photos, strict=True)
    assert images.images.shape[3] == 3
    assert f"1 of {2 * PER_CLASS + 1} images are grey: all have 3 channels because the other {2 * PER_CLASS} are in colour" in images.remarks
    assert np.array_equal(row_of(images, "grey.png")[..., 1], np.asarray(picture(1).convert("L")))


def test_n35_hidden_colours_do_not_shine_through(photos: Path) -> None:
    for file in of_row("n35"):
        put(photos, file)
    images = loaded(photos, pixels=Pixels(background=(10, 20, 30)))
    assert (row_of(images, "clear.png") == (10, 20, 30)).all()
    assert row_of(images, "half.png")[0, 0].tolist() == [round((c * 128 + b * 127) / 255) for c, b in zip((100, 200, 0), (10, 20, 30), strict=True)]
    assert "background" in reasons(images, "clear.png")


@pytest.mark.parametrize("file", of_row("n36"))
def test_n36_exif_turns_are_undone(photos: Path, file: str) -> None:
    name = put(photos, file)
    images = loaded(photos, pixels=Pixels(size=24, fit="pad"), strict=True)
    shown = row_of(images, name)[4:20]
    assert np.abs(shown.astype(int) - np.asarray(picture(1, 24, 16))).max() <= (6 if name.endswith("jpeg") else 0)
    assert f"orientation {name[6]}" in reasons(images, name)


def test_n37_broken_exif_is_ignored(photos: Path) -> None:
    put(photos, "n37/exif.jpg")
    images = loaded(photos, strict=True)
    assert len(images) == 2 * PER_CLASS + 1
    assert "broken EXIF" in reasons(images, "exif.jpg")


@pytest.mark.parametrize(("file", "reason"), [("text", "Decompressed data too large"), ("profile", "Decompressed data too large")])
def test_n38_packed_text_or_colour_profile_of_many_megabytes_is_left_out(photos: Path, file: str, reason: str) -> None:
    check_left_out(photos, put(photos, f"n38/{file}.png"), reason)


def test_n38_text_and_colour_profile_of_many_megabytes_as_they_are(photos: Path) -> None:
    info = PngInfo()
    info.add_text("comment", "x" * 8_000_000)
    (photos / "cat" / "text.png").write_bytes(encoded(picture(1), pnginfo=info))
    check_left_out(photos, "text.png", "8 MB of text or colour profile, more than 4 MB")
    (photos / "cat" / "text.png").unlink()
    (photos / "cat" / "profile.jpg").write_bytes(encoded(picture(1), "JPEG", icc_profile=bytes(8_000_000)))
    check_left_out(photos, "profile.jpg", "8 MB of text or colour profile, more than 4 MB")


FOREIGN = [
    ("phone.heic", "pillow-heif"), ("new.avif", "pillow-avif-plugin"), ("camera.cr2", "rawpy"), ("camera.nef", "rawpy"), ("scan.dcm", "pydicom"),
    ("drawing.svg", "SVG, which is never opened"), ("drawing.eps", "never opened"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "reason"), FOREIGN)
def test_n39_formats_that_need_a_plugin_say_which(photos: Path, name: str, reason: str) -> None:
    assert {f"n39/{known}" for known, _ in FOREIGN} == set(of_row("n39"))
    check_left_out(photos, put(photos, f"n39/{name}"), reason)


def test_n54_a_file_of_a_gigabyte_is_left_out_unread(tmp_path: Path) -> None:
    check_left_out(built(tmp_path, "n54"), "huge.png", "1,024 MB, more than 512 MB")


def test_n62_an_image_of_one_colour_is_a_warning_and_divides_nothing_by_zero(photos: Path) -> None:
    put(photos, "n62/plain.png")
    check_warned(photos, words="1 images have all pixels equal (such as cat/plain.png)")
    images = np.full((4, 8, 8, 3), 7, np.uint8)
    mean, deviation = measure(images, np.arange(4))
    pixels = Pixels(normalise="standard", mean=mean, deviation=deviation)
    seen = normalise(to_float(torch.from_numpy(images.transpose(0, 3, 1, 2))), pixels)
    assert seen.abs().max() < 1e-6


def test_nothing_is_replaced_by_a_blank(photos: Path) -> None:
    """Every file is an image as it was made, or is listed as left out: none is filled in."""
    for file in ("n17/none.jpg", "n21/cut.png", "n24/bomb.png", "n30/nan.tif"):
        (photos / "cat").joinpath(file.replace("/", "-")).write_bytes(FILES[file]())
    for k in range(24, 96):
        picture(k).save(photos / "cat" / f"{k}.png")
    images = loaded(photos)
    assert len(images.dropped) == 4
    assert len(images) + len(images.dropped) == len(list(photos.rglob("*.*")))
    for source, image in zip(images.sources, images.images, strict=True):
        assert np.array_equal(image, np.asarray(Image.open(photos / source)))
