"""Makes the nasty tree: every input of docs/nasty.md that is a file or a folder, always the same bytes, under 5 MB on the disk.

Run with: python -m tests.data.nasty.tree OUT
"""

from __future__ import annotations

import gzip
import os
import socket
import struct
import sys
import tarfile
import zlib
from collections.abc import Callable
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

PER_CLASS = 24  # one file in 24 or 25 is below the 5 % that may be left out
FORMATS = ("PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF")
UNDO = {2: "FLIP_LEFT_RIGHT", 3: "ROTATE_180", 4: "FLIP_TOP_BOTTOM", 5: "TRANSPOSE", 6: "ROTATE_90", 7: "TRANSVERSE", 8: "ROTATE_270"}
ODD_NAMES = ["😀.png", "é.png", "e\u0301.png", "new\nline.png", "x" * 251 + ".png", "two  blanks .png"]
CELL_NAMES = ["-dash.png", "=1+1.png", "+1.png", "@x.png", 'quo"te, comma.png']


def picture(seed: int, width: int = 16, height: int = 16) -> Image.Image:
    """Return a smooth coloured picture that only this seed gives."""
    small = np.random.default_rng(seed).integers(0, 256, (4, 4, 3)).astype(np.uint8)
    return Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    """Return an image as a file's bytes."""
    buffer = BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def fill(path: Path, count: int, seed: int) -> None:
    """Write so many good pictures into a folder, which is made."""
    path.mkdir(parents=True, exist_ok=True)
    for k in range(count):
        picture(seed + k).save(path / f"{k}.png")


def photos(root: Path, count: int = PER_CLASS) -> Path:
    """Write a good folder of two classes, to be made nasty, and return it."""
    for k, name in enumerate(("cat", "dog")):
        fill(root / "photos" / name, count, 1000 * k)
    return root / "photos"


def _cut(kind: str) -> bytes:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))
    content = encoded(noise, kind)
    return content[: len(content) * 2 // 3]


def _bomb() -> bytes:
    """Return a PNG of 20,000 x 20,000 black pixels of one bit; made by hand, for Pillow would draw them all first."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 20_000, 20_000, 1, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(20_000 * 2501))) + chunk(b"IEND", b"")


def _moving(kind: str) -> bytes:
    frames = [picture(seed).quantize(8).convert("RGB") for seed in (1, 2, 3)]
    return encoded(frames[0], kind, save_all=True, append_images=frames[1:], **({"lossless": True} if kind == "WEBP" else {}))


def _float(value: float) -> bytes:
    values = np.full((16, 16), 0.5, np.float32)
    values[3, 4] = value
    return encoded(Image.fromarray(values), "TIFF")


def _bits() -> bytes:
    return encoded(Image.fromarray(np.random.default_rng(0).random((16, 16)) > 0.5))


def _palette() -> bytes:
    """Return a palette image, left transparent (red), right blue."""
    image = Image.new("P", (16, 16), 1)
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.paste(0, (0, 0, 8, 16))
    return encoded(image, transparency=0)


def _clear() -> bytes:
    image = picture(1).convert("RGBA")
    image.putalpha(0)
    return encoded(image)


def _turned(orientation: int, kind: str) -> bytes:
    """Return picture(1, 24, 16) as a camera stores it that was held so."""
    lying = picture(1, 24, 16).transpose(Image.Transpose[UNDO[orientation]])
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encoded(lying, kind, exif=exif, **{"WEBP": {"lossless": True}, "JPEG": {"quality": 100, "subsampling": 0}}.get(kind, {}))


def _text() -> bytes:
    info = PngInfo()
    info.add_text("comment", "x" * 8_000_000, zip=True)
    return encoded(picture(1), pnginfo=info)


PAGES = {
    "page": b"<!DOCTYPE html><html>404</html>",
    "login": b"\n  <html><body>log in</body></html>",
    "pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
}
FOREIGN = {
    "phone.heic": b"\x00\x00\x00\x18ftypheic" + bytes(20),
    "new.avif": b"\x00\x00\x00\x18ftypavif" + bytes(20),
    "camera.cr2": b"II*\x00\x10\x00\x00\x00CR\x02\x00" + bytes(20),
    "camera.nef": b"II*\x00\x10\x00\x00\x00" + bytes(20),
    "scan.dcm": bytes(128) + b"DICM" + bytes(20),
    "drawing.svg": b"<?xml version='1.0'?><svg xmlns='x'/>",
    "drawing.eps": b"%!PS-Adobe-3.0 EPSF-3.0\n",
}

# Files to be put among good pictures: "row/name" and what gives their bytes.
FILES: dict[str, Callable[[], bytes]] = {
    "n16/model.bin": lambda: b"\x00\x01 nothing known",
    "n17/none.jpg": lambda: b"",
    **{f"n18/{name}.jpg": partial(bytes, content) for name, content in PAGES.items()},
    "n19/really_png.jpg": lambda: encoded(picture(1)),
    "n19/really_jpeg.png": lambda: encoded(picture(2), "JPEG"),
    "n20/picture": lambda: encoded(picture(1)),
    **{f"n21/cut.{kind.lower()}": partial(_cut, kind) for kind in FORMATS},
    **{f"n22/long.{kind.lower()}": lambda kind=kind: encoded(picture(1), kind) + b"<?php more ?>" for kind in FORMATS[:5]},
    "n23/dot.png": lambda: encoded(picture(1, 1, 1)),
    "n24/bomb.png": _bomb,
    "n25/strip.png": lambda: encoded(picture(1, 1, 30_000)),
    **{f"n26/moves.{kind.lower()}": partial(_moving, kind) for kind in ("GIF", "PNG", "WEBP")},
    "n27/pages.tif": lambda: encoded(picture(1), "TIFF", save_all=True, append_images=[picture(2)]),
    "n28/burst.jpg": lambda: encoded(picture(1), "MPO", save_all=True, append_images=[picture(2)], quality=95),
    "n29/deep.png": lambda: encoded(Image.fromarray(np.linspace(0, 65535, 256).astype(np.uint16).reshape(16, 16))),
    "n30/nan.tif": lambda: _float(np.nan),
    "n30/inf.tif": lambda: _float(np.inf),
    "n31/bits.png": _bits,
    "n32/palette.png": _palette,
    "n33/print.jpg": lambda: encoded(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), "JPEG"),
    "n34/grey.png": lambda: encoded(picture(1).convert("L")),
    "n35/clear.png": _clear,
    "n35/half.png": lambda: encoded(Image.new("RGBA", (16, 16), (100, 200, 0, 128))),
    **{f"n36/turned{k}.{kind.lower()}": partial(_turned, k, kind) for k in UNDO for kind in ("JPEG", "PNG", "WEBP", "TIFF")},
    "n37/exif.jpg": lambda: encoded(picture(1), "JPEG", exif=b"Exif\x00\x00II*\x00\x08\x00\x00\x00\xff\xffnonsense"),
    "n38/text.png": _text,
    "n38/profile.png": lambda: encoded(picture(1), icc_profile=bytes(8_000_000)),
    **{f"n39/{name}": partial(bytes, content) for name, content in FOREIGN.items()},
    "n62/plain.png": lambda: encoded(Image.new("RGB", (16, 16), (9, 9, 9))),
}


def _n02(root: Path) -> None:
    for k in range(7):
        (root / f"note{k}.doc").write_text("x")


def _n07(root: Path) -> None:
    for k, name in enumerate((".ipynb_checkpoints", "__MACOSX", "@eaDir", "lost+found", ".hidden")):
        fill(photos(root, 3) / name, 2, 5000 + 10 * k)
        fill(root / "photos" / "cat" / name, 2, 6000 + 10 * k)


def _n09(root: Path) -> None:
    for part, seed in (("train", 0), ("test", 100)):
        for k, name in enumerate(("cat", "dog")):
            fill(root / part / name, 4, seed + 1000 * k)
    (root / "test" / "cat" / "copy.png").write_bytes((root / "train" / "cat" / "0.png").read_bytes())


def _n13(root: Path) -> None:
    for k, (train, test) in enumerate((("Cat", "cat"), ("big cat", "big_cat"), ("café", "cafe"))):
        for part, name in (("train", train), ("test", test)):
            fill(root / str(k) / part / name, 3, 0 if part == "train" else 50)
            fill(root / str(k) / part / "dog", 3, 100 if part == "train" else 150)


def _n14(root: Path) -> None:
    photos(root, 3)
    fill(root / "test" / "cats", 2, 2000)
    fill(root / "test" / "dog", 2, 3000)


def _n15(root: Path) -> None:
    photos(root, 3)
    fill(root / "test" / "dog", 2, 3000)


def _n16(root: Path) -> None:
    for name in (".DS_Store", "Thumbs.db", "notes.txt"):
        (photos(root, 3) / "cat" / name).write_bytes(b"rubbish")


def _named(names: list[str], root: Path) -> None:
    folder = photos(root, 3) / "cat"
    for k, name in enumerate(names):
        picture(100 + k).save(folder / name, "PNG")


def _n40(root: Path) -> None:
    _named(ODD_NAMES, root)
    fill(root / "photos" / "Kätzchen 🐱", 3, 5000)


def _n41(root: Path) -> None:
    with open(os.fsencode(photos(root, 3) / "cat") + b"/caf\xe9.png", "wb") as file:
        file.write(encoded(picture(1)))


def _n42(root: Path) -> None:
    fill(photos(root, 3) / "Cat", 3, 5000)
    picture(200).save(root / "photos" / "dog" / "A.png")
    picture(201).save(root / "photos" / "dog" / "a.png")


def _n45(root: Path) -> None:
    picture(1).save(root / "outside.png")
    fill(root / "more", 2, 4000)
    (photos(root) / "cat" / "link.png").symlink_to("../../outside.png")
    (root / "photos" / "dog" / "more").symlink_to("../../more")


def _n48(root: Path) -> None:
    folder = photos(root) / "cat"
    os.mkfifo(folder / "pipe.png")
    (folder / "device.png").symlink_to("/dev/zero")
    here = os.getcwd()
    os.chdir(folder)  # the name of a socket may have 107 bytes
    try:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind("socket.png")
    finally:
        os.chdir(here)


def _n54(root: Path) -> None:
    with (photos(root) / "cat" / "huge.png").open("wb") as file:
        file.truncate(2**30)


def _among(root: Path, made: Callable[[Path], object]) -> None:
    made(photos(root))


# Whole folders: "row" and what makes them in an empty folder.
FOLDERS: dict[str, Callable[[Path], None]] = {
    "n01": partial(_among, made=lambda folder: (folder / "bird").mkdir()),
    "n02": _n02,
    "n04": lambda root: fill(root / "photos" / "cat", 3, 0),
    "n05": partial(_among, made=lambda folder: fill(folder / "bird", 1, 5000)),
    "n07": _n07,
    "n08": partial(_among, made=lambda folder: picture(1).save(folder / "lost.png")),
    "n09": _n09,
    "n10": partial(_among, made=lambda folder: (folder / "dog" / "copy.png").write_bytes((folder / "cat" / "0.png").read_bytes())),
    "n13": _n13,
    "n14": _n14,
    "n15": _n15,
    "n16": _n16,
    "n40": _n40,
    "n41": _n41,
    "n42": _n42,
    "n43": partial(_named, CELL_NAMES),
    "n44": partial(_among, made=lambda folder: (folder / "cat" / "again").symlink_to("../cat")),
    "n45": _n45,
    "n46": partial(_among, made=lambda folder: (folder / "cat" / "link.png").symlink_to("nowhere.png")),
    "n48": _n48,
    "n54": _n54,
}


def _add(archive: tarfile.TarFile, name: str, content: bytes = b"x", **fields: Any) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content) if "type" not in fields else 0
    for field, value in fields.items():
        setattr(member, field, value)
    archive.addfile(member, BytesIO(content))


def _many(archive: tarfile.TarFile) -> None:
    for k in range(1_001):
        _add(archive, f"cifar/{k}", b"")


# Members of an archive that is to be the official one of CIFAR-100, and what the refusal says.
ARCHIVES: dict[str, tuple[Callable[[tarfile.TarFile], object], str]] = {
    "link": (lambda a: _add(a, "train", type=tarfile.SYMTYPE, linkname="/etc/passwd"), "is a link"),
    "hard link": (lambda a: _add(a, "train", type=tarfile.LNKTYPE, linkname="/etc/passwd"), "is a link"),
    "device": (lambda a: _add(a, "train", type=tarfile.CHRTYPE), "not a regular file"),
    "pipe": (lambda a: _add(a, "train", type=tarfile.FIFOTYPE), "not a regular file"),
    "parent": (lambda a: _add(a, "../train"), "leads outside"),
    "parent within": (lambda a: _add(a, "cifar/../../train"), "leads outside"),
    "absolute": (lambda a: _add(a, "/tmp/train"), "leads outside"),
    "drive": (lambda a: _add(a, "C:\\train"), "leads outside"),
    "many": (_many, "more than 1,000 members"),
    "twice": (lambda a: [_add(a, name, b"\x80\x02}.") for name in ("a/train", "b/train")], "'train' twice"),
    "bomb": (lambda a: _add(a, "zeros", bytes(40_000_000)), "claims 40,000,000 bytes"),
    "long name": (lambda a: _add(a, "x" * 30_000_000), "unpacks to more than"),
}


def archive(path: Path, kind: str) -> None:
    """Write one of ARCHIVES."""
    with path.open("wb") as file, gzip.GzipFile("", "wb", fileobj=file, mtime=0) as packed, tarfile.open(fileobj=packed, mode="w") as made:
        ARCHIVES[kind][0](made)


def make(out: Path) -> None:
    """Write the whole tree into a folder, which is made: out/files/ROW/NAME, out/folders/ROW/, out/archives/KIND.tar.gz."""
    for name, content in FILES.items():
        (out / "files" / name).parent.mkdir(parents=True, exist_ok=True)
        (out / "files" / name).write_bytes(content())
    for row, build in FOLDERS.items():
        (out / "folders" / row).mkdir(parents=True)
        build(out / "folders" / row)
    (out / "archives").mkdir()
    for kind in ARCHIVES:
        archive(out / "archives" / f"{kind}.tar.gz", kind)


if __name__ == "__main__":
    make(Path(sys.argv[1]))
