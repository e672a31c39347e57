"""Images inside the page: PNG data URIs, small images enlarged without smoothing, and the map of a large confusion table."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from rung.reports.svg import document, segment, text
from rung.words import shorten

SMALLEST, LARGEST = 64, 128  # pixels a side that a picture is stored with
_RIGHT, _WRONG = (0, 114, 178), (213, 94, 0)  # blue and vermilion that colour-blind readers tell apart


def image_uri(image: npt.NDArray[np.uint8]) -> str:
    """Return uint8 (H,W,C), C 1 or 3, as a PNG data URI of about 64 to 128 pixels: small images by whole factors, large ones averaged down."""
    from PIL import Image

    factor = -(-SMALLEST // max(image.shape[:2]))
    image = image.repeat(factor, axis=0).repeat(factor, axis=1)
    picture = Image.fromarray(np.ascontiguousarray(image[..., 0] if image.shape[2] == 1 else image))
    if max(picture.size) > LARGEST:
        picture.thumbnail((LARGEST, LARGEST), Image.Resampling.BOX)
    return _uri(picture)


def _uri(picture: object) -> str:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")  # type: ignore[attr-defined]
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def checked_svg(svg: str) -> str:
    """Return an SVG picture that may stand in the page as it is.

    Raises: ValueError if it is not well-formed or could do more than be looked at (scripts, handlers, links out of the page).
    """
    from xml.etree import ElementTree

    for element in ElementTree.fromstring(svg).iter():
        name = element.tag.rpartition("}")[2].lower()
        attributes = {key.rpartition("}")[2].lower(): value for key, value in element.attrib.items()}
        if name in ("script", "foreignobject", "iframe") or any(key.startswith("on") for key in attributes):
            raise ValueError(f"the picture of the network has a {name} that acts: only shapes and text may be shown")
        if not attributes.get("href", "#").startswith(("#", "data:image/png")):
            raise ValueError(f"the picture of the network refers to {attributes['href']}: a report must not need anything else")
    return svg


def depth(share: float) -> float:
    """Return the opacity 0..0.6 of a cell that holds this share of its row; the root lets rare confusions be seen, 0.6 keeps its text readable."""
    return round(0.6 * math.sqrt(share), 3)


_SIDE = 300  # pixels of the map inside its names


def name_step(classes: int) -> int:
    """Return n: every n-th class is named at the edges of a map, so that the names do not touch."""
    return math.ceil(11 * classes / _SIDE)


def confusion_map(confusion: npt.NDArray[np.int64], classes: Sequence[str]) -> str:
    """Draw a confusion table (rows true, columns answered) as a map of coloured cells; with many classes only every n-th is named."""
    from PIL import Image

    size, left, top, side = len(classes), 92, 92, _SIDE
    shares = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    pixels = np.zeros((size, size, 4), dtype=np.uint8)
    pixels[..., :3] = _WRONG
    pixels[np.arange(size), np.arange(size), :3] = _RIGHT
    pixels[..., 3] = np.round(255 * np.sqrt(shares))
    cell = side / size
    body = f'<image href="{_uri(Image.fromarray(pixels))}" x="{left}" y="{top}" width="{side}" height="{side}" preserveAspectRatio="none"/>'
    for k in range(0, size, name_step(size)):
        middle = (k + 0.5) * cell
        name = shorten(classes[k], 16)
        body += text(left - 5, top + middle + 3, name, "edge", "end") + text(left + middle + 3, top - 5, name, "edge", turn=-90)
    for a, b in (((left, top), (left + side, top)), ((left, top), (left, top + side))):
        body += segment(*a, *b, "axis")
    return document(400, 400, f"Map of the confusion table of {size} classes, true classes down, answered classes across", body)
