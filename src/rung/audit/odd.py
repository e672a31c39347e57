"""Images that show nothing, images whose values lie on another scale, and negatives."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from rung.audit.material import Material, shown
from rung.audit.negatives import NAME, inverted
from rung.audit.problem import Problem, Severity
from rung.data.imageset import PARTS
from rung.words import listing, plural

_CHUNK: Final = 2**24  # values looked at at once
_BLANK: Final = 2.0  # grey levels of deviation within an image, below which nothing can be seen
_DARK: Final = 17  # the highest value of an image that was stored on a scale to 1, to 15 or to 16
_NEARLY_ALL, _HARDLY_ANY = 0.9, 0.1


def unlike(material: Material) -> list[Problem]:
    """Pixels: blank images, images on another scale of values (0 to 1 kept as 0 to 255), negatives among the images or a whole part of them."""
    values = _measure(material.images.images)
    scales = list(_scales(material, values))
    return [*_blank(material, values), *scales, *([] if scales else inverted(material))]  # dark images are not negatives of bright ones


def scaled(material: Material) -> list[Problem]:
    """Pixels: images on another scale of values (0 to 1 kept as 0 to 255)."""
    return list(_scales(material, _measure(material.images.images)))


@dataclass(frozen=True)
class _Values:
    """Of each image: its highest value and the deviation of its values, float32 (N,), in grey levels."""

    highest: npt.NDArray[np.float32]
    deviation: npt.NDArray[np.float32]


def _measure(images: npt.NDArray[np.uint8]) -> _Values:
    highest, deviation = np.empty(len(images), np.float32), np.empty(len(images), np.float32)
    step = max(1, _CHUNK // images[0].size)
    for start in range(0, len(images), step):
        rows = slice(start, start + step)
        flat = images[rows].reshape(-1, images[0].size)
        highest[rows] = flat.max(axis=1)
        sample = flat[:, :: max(1, flat.shape[1] // 1024)].astype(np.float32)
        deviation[rows] = sample.std(axis=1)
        for row in np.flatnonzero(deviation[rows] < _BLANK) + start:
            deviation[row] = images[row].std()
    return _Values(highest, deviation)


def _blank(material: Material, values: _Values) -> Iterator[Problem]:
    """Name images without contrast; dark ones on a small scale are another matter."""
    rows = np.flatnonzero(values.deviation == 0)
    faint = np.flatnonzero((values.deviation > 0) & (values.deviation < _BLANK) & (values.highest >= _DARK))
    for which, what in ((rows, "blank: all pixels are equal"), (faint, f"nearly blank: their values differ by less than {_BLANK:g} of 255")):
        if len(which):
            yield Problem(
                NAME,
                "warning",
                f"{plural(len(which), 'image')} {'is' if len(which) == 1 else 'are'} {what} (such as {material.images.sources[which[0]]}).",
                "They teach nothing and cannot be answered: look whether they were read or saved wrongly, and leave them out.",
                shown([(int(row),) for row in which]),
                len(which),
                {"images": len(which)},
            )


def _scales(material: Material, values: _Values) -> Iterator[Problem]:
    """Compare the highest values of the images of each part."""
    dark = (values.highest < _DARK) & (values.deviation > 0)
    if not dark.any():
        return
    part = material.part_of()
    there = [k for k in range(len(PARTS)) if (part == k).any()]
    shares = {k: float(dark[part == k].mean()) for k in there}
    unscaled = [k for k in there if shares[k] >= _NEARLY_ALL]
    rows = np.flatnonzero(dark)
    numbers = {"images": len(rows), "highest_value": float(values.highest[dark].max()), **{f"share_{PARTS[k]}": share for k, share in shares.items()}}
    severity: Severity = "warning"
    most = f"{numbers['highest_value']:g} of 255"
    if len(unscaled) == len(there):
        what = f"No image has a value above {most}: were they stored on another scale?"
    elif unscaled and any(shares[k] <= _HARDLY_ANY for k in there):
        severity = "error"
        what = f"The images of {listing([PARTS[k] for k in unscaled])} have no value above {most}, those of the other parts have: some are scaled, some not."
    else:
        have = "has" if len(rows) == 1 else "have"
        what = f"{plural(len(rows), 'image')} of {len(part):,} {have} no value above {_DARK - 1} of 255: scaled to 0..1 before they were stored?"
    advice = "Bring all images to 0..255 as uint8, or to 0..1 as floating point, in one way."
    yield Problem(NAME, severity, what, advice, shown([(int(row),) for row in rows]), len(rows), numbers)
