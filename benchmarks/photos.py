"""Made photos: JPEG files with the texture of natural images, the same for the same seed.

python -m benchmarks.photos FOLDER COUNT WIDTH HEIGHT
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

_CANVAS = (2560, 1920)  # what each photo is a window of


def canvas(seed: int) -> npt.NDArray[np.float32]:
    """Return a landscape of noise whose amplitude falls with its frequency, as that of natural images does, float32 (H,W,3) about 0."""
    random = np.random.default_rng(seed)
    width, height = _CANVAS
    out = np.zeros((height, width, 3), np.float32)
    for octave in range(1, 10):
        cells = 2**octave
        shape = (max(2, height * cells // width), cells, 3)
        coarse = random.normal(0, 60 / octave**1.1, shape).astype(np.float32)
        for channel in range(3):
            out[..., channel] += np.asarray(Image.fromarray(coarse[..., channel]).resize((width, height), Image.Resampling.BICUBIC))
    out += 0.8 * out.mean(axis=2, keepdims=True)  # channels of photos go together
    return out


def make(folder: Path, count: int, width: int, height: int, seed: int = 0) -> None:
    """Write `count` photos in two class folders, of JPEG qualities 80 to 95, each a window of the canvas with light and grain of its own."""
    scene, random = canvas(seed), np.random.default_rng([seed, width, height])
    for k in range(count):
        top, left = random.integers(0, _CANVAS[1] - height + 1), random.integers(0, _CANVAS[0] - width + 1)
        light = random.uniform(0.4, 0.9, 3).astype(np.float32)
        grain = random.integers(-6, 7, (height, width, 1), dtype=np.int8)
        pixels = np.clip(scene[top : top + height, left : left + width] * light + grain + 120, 0, 255).astype(np.uint8)
        path = folder / "ab"[k % 2] / f"{k:05d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path, quality=int(random.integers(80, 96)))


if __name__ == "__main__":
    make(Path(sys.argv[1]), *(int(word) for word in sys.argv[2:5]))
