"""What a file is by its first and last bytes: the reasons that tell a user why it is no image."""

from __future__ import annotations

import struct

RAW = "is a camera's raw file, which needs a plug-in (rawpy) to convert: save it as PNG or JPEG"

_STARTS = (
    (b"IIRO", RAW),
    (b"IIU\x00", RAW),
    (b"FUJIFILMCCD-RAW", RAW),
    (b"version https://git-lfs", "is a Git LFS pointer, not the image itself: run 'git lfs pull'"),
    (b"%!PS", "is PostScript, which is never opened: save it as PNG"),
    (b"\xc5\xd0\xd3\xc6", "is EPS, which is never opened: save it as PNG"),
    (b"%PDF", "is a PDF: save the page as PNG"),
    (b"8BPS", "is a Photoshop file: save it as PNG"),
    (b"\x00\x00\x00\x0cjP  ", "is JPEG 2000, which is not read: save it as PNG"),
    (b"\x00\x00\x00\x0cJXL ", "is JPEG XL, which is not read: save it as PNG or JPEG"),
    (b"\xff\x0a", "is JPEG XL, which is not read: save it as PNG or JPEG"),
    (b"PK\x03\x04", "is a zip archive"),
    (b"\x1f\x8b", "is a gzip archive"),
    (b"\x80\x04\x95", "is a pickle"),
)
_HEIF = (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1")

_EXTENSIONS = {
    "JPEG": ("jpg", "jpeg", "jpe", "jfif", "mpo"), "MPO": ("jpg", "jpeg", "jpe", "jfif", "mpo"), "PNG": ("png", "apng"),
    "WEBP": ("webp",), "BMP": ("bmp", "dib"), "GIF": ("gif",), "TIFF": ("tif", "tiff"),
}  # fmt: skip
_SIGNATURES = (
    (b"\xff\xd8\xff", "JPEG"), (b"\x89PNG", "PNG"), (b"BM", "BMP"), (b"GIF8", "GIF"), (b"II*\x00", "TIFF"), (b"MM\x00*", "TIFF"),
)  # fmt: skip
IMAGE_SUFFIXES = frozenset(f".{e}" for names in _EXTENSIONS.values() for e in names)
RAW_SUFFIXES = frozenset({".cr2", ".cr3", ".nef", ".arw", ".dng", ".orf", ".raf", ".rw2", ".pef", ".srw"})


def what_it_is(data: bytes) -> str | None:
    """Return why these bytes are not opened as an image, or None."""
    for start, reason in _STARTS:
        if data.startswith(start):
            return reason
    if data[4:8] == b"ftyp":
        if data[8:12] in (b"avif", b"avis"):
            return "is AVIF, which needs a plug-in (pillow-avif-plugin) to convert: save it as PNG or JPEG"
        if data[8:12] in _HEIF:
            return "is HEIC, which needs a plug-in (pillow-heif) to convert: save it as PNG or JPEG"
        if data[8:11] == b"crx":
            return RAW
    if data[128:132] == b"DICM":
        return "is DICOM, which needs a plug-in (pydicom) to convert: save it as PNG"
    if data[:4] == b"II*\x00" and data[8:10] == b"CR":
        return RAW
    head = data[:512].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if head.startswith((b"<svg", b"<?xml")) and b"<svg" in data[:4096].lower():
        return "is SVG, which is never opened: save it as PNG"
    if head.startswith((b"<!doctype html", b"<html")):
        return "is a web page, not an image: the download went wrong"
    return None


def starts_like(data: bytes) -> str | None:
    """Return the format that the first bytes promise, or None."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    return next((name for start, name in _SIGNATURES if data.startswith(start)), None)


def extension_fits(suffix: str, image_format: str) -> bool:
    """Return whether ".jpg" and the like is an extension of the format."""
    return suffix.lower().lstrip(".") in _EXTENSIONS.get(image_format, ())


def bytes_after_end(data: bytes, image_format: str) -> int:
    """Return how many bytes follow the end of the image; 0 where the format cannot say."""
    end = {"JPEG": _jpeg_end, "PNG": _png_end, "WEBP": _riff_end, "GIF": _gif_end, "BMP": _bmp_end}.get(image_format, len)(data)
    return max(0, len(data) - end)


def _jpeg_end(data: bytes) -> int:
    position = 2
    while position + 4 <= len(data) and data[position] == 0xFF:
        marker, length = data[position + 1], int.from_bytes(data[position + 2 : position + 4], "big")
        position += 2 + length
        if marker == 0xDA:  # within the scan 0xFF is followed by 0 or a restart number, so this marker is the end
            end = data.find(b"\xff\xd9", position)
            return end + 2 if end >= 0 else len(data)
    return len(data)


def _png_end(data: bytes) -> int:
    position = 8
    while position + 8 <= len(data):
        length = int.from_bytes(data[position : position + 4], "big")
        kind = data[position + 4 : position + 8]
        position += 12 + length
        if kind == b"IEND":
            return position
    return len(data)


def _riff_end(data: bytes) -> int:
    (size,) = struct.unpack_from("<I", data, 4)
    return 8 + int(size) + int(size) % 2


def _gif_end(data: bytes) -> int:
    return len(data) if data.endswith(b"\x3b") or b"\x3b" not in data else data.rindex(b"\x3b") + 1


def _bmp_end(data: bytes) -> int:
    (size,) = struct.unpack_from("<I", data, 2)
    return int(size) or len(data)
