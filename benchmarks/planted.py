"""Sixty-two ways in which a picture comes back changed: what the search for near-duplicates has to see through.

Each is a function from one image, uint8 (H,W,3), and a generator of draws to an image of the same shape. Widths in pixels are of images of
32 x 32 and grow with the side.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import partial
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageEnhance, ImageFilter

Picture = npt.NDArray[np.uint8]
Change = Callable[[Picture, np.random.Generator], Picture]


def saved(image: Picture, draws: np.random.Generator, *, kind: str, quality: int) -> Picture:
    """Save again with loss."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, kind, quality=quality)
    return np.asarray(Image.open(buffer).convert("RGB"))


def resized(image: Picture, draws: np.random.Generator, *, side: int, up: Image.Resampling = Image.Resampling.BILINEAR) -> Picture:
    """Bring to another size, side pixels of 32, and back."""
    height, width = image.shape[:2]
    other = Image.fromarray(image).resize((side * width // 32, side * height // 32), Image.Resampling.BILINEAR)
    return np.asarray(other.resize((width, height), up))


def cropped(image: Picture, draws: np.random.Generator, *, left: int, top: int, right: int, bottom: int) -> Picture:
    """Cut pixels off and stretch the rest to the whole."""
    height, width = image.shape[:2]
    unit = width / 32
    box = (left * unit, top * unit, width - right * unit, height - bottom * unit)
    return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BICUBIC, box=box))


def all_sides(pixels: int) -> Change:
    """Cut as many pixels off each side."""
    return partial(cropped, left=pixels, top=pixels, right=pixels, bottom=pixels)


def shifted(image: Picture, draws: np.random.Generator, *, right: int, down: int) -> Picture:
    """Move, with the edge repeated."""
    unit = max(1, image.shape[1] // 32)
    right, down = right * unit, down * unit
    padded = np.pad(image, ((abs(down), abs(down)), (abs(right), abs(right)), (0, 0)), mode="edge")
    top, left = abs(down) - down, abs(right) - right
    return padded[top : top + image.shape[0], left : left + image.shape[1]]


def turned(image: Picture, draws: np.random.Generator, *, degrees: float) -> Picture:
    """Turn about the middle, black corners."""
    return np.asarray(Image.fromarray(image).rotate(degrees, Image.Resampling.BICUBIC))


def mirrored(image: Picture, draws: np.random.Generator) -> Picture:
    """Mirror left and right."""
    return image[:, ::-1]


def upside_down(image: Picture, draws: np.random.Generator) -> Picture:
    """Mirror top and bottom."""
    return image[::-1]


def enhanced(image: Picture, draws: np.random.Generator, *, by: type[ImageEnhance._Enhance], factor: float) -> Picture:
    """Change brightness, contrast, colour or sharpness by a factor."""
    return np.asarray(by(Image.fromarray(image)).enhance(factor))


def gamma(image: Picture, draws: np.random.Generator, *, power: float) -> Picture:
    """Raise the values 0..1 to a power."""
    return np.rint(255 * (image / 255) ** power).astype(np.uint8)


def noisy(image: Picture, draws: np.random.Generator, *, deviation: float) -> Picture:
    """Add Gaussian noise, in grey levels."""
    return np.clip(np.rint(image + draws.normal(0, deviation, image.shape)), 0, 255).astype(np.uint8)


def speckled(image: Picture, draws: np.random.Generator, *, share: float) -> Picture:
    """Make a share of the pixels black or white."""
    hit = draws.random(image.shape[:2]) < share
    return np.where(hit[..., None], np.uint8(255) * (draws.random(image.shape[:2]) < 0.5)[..., None].astype(np.uint8), image)


def blurred(image: Picture, draws: np.random.Generator, *, radius: float) -> Picture:
    """Blur, standard deviation in pixels."""
    return np.asarray(Image.fromarray(image).filter(ImageFilter.GaussianBlur(radius * image.shape[1] / 32)))


def grey(image: Picture, draws: np.random.Generator) -> Picture:
    """Take the colour away."""
    return np.asarray(Image.fromarray(image).convert("L").convert("RGB"))


def swapped(image: Picture, draws: np.random.Generator) -> Picture:
    """Read blue, green, red as red, green, blue."""
    return image[..., ::-1]


def hue(image: Picture, draws: np.random.Generator, *, degrees: float) -> Picture:
    """Turn the hue."""
    values = np.array(Image.fromarray(image).convert("HSV"))
    values[..., 0] += np.uint8(degrees * 255 / 360)
    return np.asarray(Image.fromarray(values, "HSV").convert("RGB"))


def bordered(image: Picture, draws: np.random.Generator, *, pixels: int, value: int) -> Picture:
    """Paint the edge over."""
    width = pixels * max(1, image.shape[1] // 32)
    out = np.full_like(image, value)
    out[width:-width, width:-width] = image[width:-width, width:-width]
    return out


def framed(image: Picture, draws: np.random.Generator, *, pixels: int, value: int) -> Picture:
    """Shrink the picture into a frame."""
    height, width = image.shape[:2]
    edge = pixels * max(1, width // 32)
    out = np.full_like(image, value)
    out[edge:-edge, edge:-edge] = np.asarray(Image.fromarray(image).resize((width - 2 * edge, height - 2 * edge), Image.Resampling.BICUBIC))
    return out


def stamped(image: Picture, draws: np.random.Generator, *, side: int) -> Picture:
    """Put a white square, a watermark, into a corner."""
    out = image.copy()
    width = side * max(1, image.shape[1] // 32)
    out[-width:, -width:] = 255
    return out


def posterised(image: Picture, draws: np.random.Generator, *, bits: int) -> Picture:
    """Keep the upper bits only."""
    return image & np.uint8(256 - 2 ** (8 - bits))


def one_after_another(*changes: Change) -> Change:
    """Do several changes in turn."""

    def all_of_them(image: Picture, draws: np.random.Generator) -> Picture:
        for change in changes:
            image = np.ascontiguousarray(change(image, draws))
        return image

    return all_of_them


_BRIGHTNESS, _CONTRAST, _COLOUR, _SHARPNESS = ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color, ImageEnhance.Sharpness

KINDS: Final[dict[str, Change]] = {
    **{f"jpeg {quality}": partial(saved, kind="JPEG", quality=quality) for quality in (30, 40, 50, 60, 70, 80, 90, 95)},
    **{f"webp {quality}": partial(saved, kind="WEBP", quality=quality) for quality in (40, 75)},
    **{f"resized to {side}": partial(resized, side=side) for side in (12, 16, 20, 24, 28)},
    "resized to 64, nearest": partial(resized, side=64, up=Image.Resampling.NEAREST),
    "resized to 48, bicubic": partial(resized, side=48, up=Image.Resampling.BICUBIC),
    "flipped": mirrored,
    "upside down": upside_down,
    **{f"cropped by {pixels}": all_sides(pixels) for pixels in (1, 2, 3, 4)},
    "cropped left 4": partial(cropped, left=4, top=0, right=0, bottom=0),
    "cropped corner 3": partial(cropped, left=0, top=3, right=3, bottom=0),
    "shifted by 1, 0": partial(shifted, right=1, down=0),
    "shifted by 2, 2": partial(shifted, right=2, down=2),
    "shifted by -4, 3": partial(shifted, right=-4, down=3),
    **{f"turned by {degrees}": partial(turned, degrees=degrees) for degrees in (2, -4, 7)},
    **{f"brightness {factor}": partial(enhanced, by=_BRIGHTNESS, factor=factor) for factor in (0.6, 0.85, 1.2)},
    **{f"contrast {factor}": partial(enhanced, by=_CONTRAST, factor=factor) for factor in (0.5, 1.4)},
    **{f"gamma {power}": partial(gamma, power=power) for power in (0.6, 1.6)},
    **{f"colour {factor}": partial(enhanced, by=_COLOUR, factor=factor) for factor in (0.4, 1.8)},
    "sharpened": partial(enhanced, by=_SHARPNESS, factor=2.5),
    **{f"noise {deviation}": partial(noisy, deviation=deviation) for deviation in (4, 10, 18)},
    "speckled": partial(speckled, share=0.02),
    **{f"blurred {radius}": partial(blurred, radius=radius) for radius in (0.5, 1.0, 1.5)},
    "grey": grey,
    "channels swapped": swapped,
    "hue turned": partial(hue, degrees=30),
    "black border 1": partial(bordered, pixels=1, value=0),
    "white border 3": partial(bordered, pixels=3, value=255),
    "white frame 2": partial(framed, pixels=2, value=255),
    "stamp": partial(stamped, side=6),
    "four bits": partial(posterised, bits=4),
    "flipped, jpeg 50": one_after_another(mirrored, partial(saved, kind="JPEG", quality=50)),
    "cropped by 2, jpeg 60": one_after_another(all_sides(2), partial(saved, kind="JPEG", quality=60)),
    "flipped, cropped by 2, brighter": one_after_another(mirrored, all_sides(2), partial(enhanced, by=_BRIGHTNESS, factor=1.2)),
    "resized to 20, grey, jpeg 70": one_after_another(partial(resized, side=20), grey, partial(saved, kind="JPEG", quality=70)),
    "turned by 3, cropped by 2": one_after_another(partial(turned, degrees=3), all_sides(2)),
    "blurred, noise": one_after_another(partial(blurred, radius=0.7), partial(noisy, deviation=6)),
}
