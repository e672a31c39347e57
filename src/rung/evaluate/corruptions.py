"""What may happen to an image on its way to a network, at five strengths: blur, noise, shift, rotation, brightness, contrast, JPEG.

The idea, and the amounts of all but shift and rotation, are those of D. Hendrycks and T. Dietterich, "Benchmarking neural network robustness to common
corruptions and perturbations" (arXiv 1903.12261), as their code has them for CIFAR-10 (32 pixels a side) and for ImageNet (224). Between these sizes amounts
go over from the one to the other, geometrically; below 32 they stay, above 224 only the blur grows, with the side. Each image draws from its own key, the
same at every strength, so that a corruption only grows; on the processor equal images and keys give equal bits, whatever the batch.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from rung import keys
from rung.data.affine import move
from rung.data.batches import resident
from rung.data.colour import blur, contrast_brightness, noise
from rung.data.draws import Draw
from rung.data.pixels import to_float
from rung.errors import RunError, did_you_mean
from rung.recipe import Augment

Images = npt.NDArray[np.uint8]
Keys = npt.NDArray[np.int64]

STRENGTHS: Final = (1, 2, 3, 4, 5)
_SMALL, _LARGE = 32, 224  # pixels a side for which amounts are published


@dataclass(frozen=True)
class Corruption:
    """One thing that may happen. small, large: its amounts at 32 and 224 pixels a side; unit: of an amount, in words; grows: with the side above 224.

    change: of images, float32 (N,C,H,W) in 0..1, with keys int64 (N,) and an amount; values may leave 0..1.
    """

    small: tuple[float, ...]
    large: tuple[float, ...]
    unit: str
    change: Callable[[Tensor, Tensor, float], Tensor]
    grows: bool = False


def corrupt(images: Images, image_keys: Keys, name: str, strength: int) -> Images:
    """Return uint8 (N,H,W,C) images corrupted; strength 0 gives them as they are. image_keys: int64 (N,), such as `keys_of` their digests.

    Raises: RunError for a corruption or a strength that there is not.
    """
    if name not in CORRUPTIONS:
        raise RunError(f"there is no corruption '{name}': {did_you_mean(name, CORRUPTIONS)}")
    if strength not in (0, *STRENGTHS):
        raise RunError(f"the strength is {strength}: expected 0 (nothing) to {STRENGTHS[-1]}")
    if not strength or not len(images):
        return images
    values = to_float(resident(images, torch.device("cpu"))).contiguous()
    changed = CORRUPTIONS[name].change(values, torch.from_numpy(image_keys), amounts(name, images.shape[1])[strength - 1])
    whole: Images = (changed.clamp(0, 1) * 255).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()
    return whole


def amounts(name: str, size: int) -> tuple[float, ...]:
    """Return the amount of each strength for images of `size` pixels a side."""
    kind = CORRUPTIONS[name]
    share = min(max(math.log(size / _SMALL) / math.log(_LARGE / _SMALL), 0.0), 1.0)
    further = max(size / _LARGE, 1.0) if kind.grows else 1.0
    return tuple(small ** (1 - share) * large**share * further for small, large in zip(kind.small, kind.large, strict=True))


def keys_of(digests: Keys) -> Keys:
    """Return the key of each image from its digest, so that an image draws the same in every run and every order."""
    return keys.row_keys(keys.stream(0, "corruptions"), digests)


def _drawn(count: int, **values: Tensor | float) -> Tensor:
    """Return draws as augmentation makes them, (15,N), with these in place of chance."""
    draws = torch.zeros((len(Draw), count), dtype=torch.float64)
    for name, value in values.items():
        draws[Draw[name]] = value
    return draws


def _blurred(images: Tensor, image_keys: Tensor, pixels: float) -> Tensor:
    return blur(images, _drawn(len(images), BLUR=1.0), Augment(blur_pixels=pixels))


def _noisy(images: Tensor, image_keys: Tensor, deviation: float) -> Tensor:
    return noise(images, image_keys, Augment(noise_fraction=deviation))


def _shifted(images: Tensor, image_keys: Tensor, fraction: float) -> Tensor:
    """Shift each image by a share of its side, in a direction of its own."""
    angle = 2 * math.pi * keys.uniform(image_keys, 0).double()
    draws = _drawn(len(images), SHIFT_X=(angle.cos() + 1) / 2, SHIFT_Y=(angle.sin() + 1) / 2)
    return move(images, draws, Augment(shift_fraction=fraction))


def _turned(images: Tensor, image_keys: Tensor, degrees: float) -> Tensor:
    """Turn each image one way or the other."""
    draws = _drawn(len(images), ROTATION=(keys.uniform(image_keys, 0) < 0.5).double())
    return move(images, draws, Augment(rotation_degrees=degrees))


def _brightened(images: Tensor, image_keys: Tensor, added: float) -> Tensor:
    """Raise the brightness of each pixel, its largest channel, up to 1; hue and saturation stay."""
    value = images.amax(dim=1, keepdim=True)
    raised = (value + added).clamp(max=1.0)
    return torch.where(value > 0, images * (raised / value.clamp(min=1e-12)), raised)


def _flattened(images: Tensor, image_keys: Tensor, factor: float) -> Tensor:
    """Bring each channel's values nearer to their mean in the image: at `factor` of their distance."""
    return contrast_brightness(images, _drawn(len(images), CONTRAST=0.0, BRIGHTNESS=0.5), Augment(contrast_fraction=1 - factor))


def _packed(images: Tensor, image_keys: Tensor, quality: float) -> Tensor:
    """Save each image as a JPEG of this quality and read it again, by Pillow."""
    pixels = (images * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    with ThreadPoolExecutor() as pool:
        read = list(pool.map(partial(_jpeg, quality=round(quality)), pixels))
    return to_float(resident(np.stack(read), torch.device("cpu")))


def _jpeg(image: Images, quality: int) -> Images:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(image[..., 0] if image.shape[2] == 1 else image).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer)).reshape(image.shape)


_SHIFTS: Final = (0.03, 0.06, 0.09, 0.12, 0.15)
_ANGLES: Final = (5.0, 10.0, 15.0, 20.0, 30.0)

CORRUPTIONS: Final[Mapping[str, Corruption]] = MappingProxyType(
    {
        "blur": Corruption((0.4, 0.6, 0.7, 0.8, 1.0), (1.0, 2.0, 3.0, 4.0, 6.0), "pixels of deviation", _blurred, grows=True),
        "noise": Corruption((0.04, 0.06, 0.08, 0.09, 0.10), (0.08, 0.12, 0.18, 0.26, 0.38), "deviation, of the full range", _noisy),
        "shift": Corruption(_SHIFTS, _SHIFTS, "of the side", _shifted),
        "rotation": Corruption(_ANGLES, _ANGLES, "degrees", _turned),
        "brightness": Corruption((0.05, 0.1, 0.15, 0.2, 0.3), (0.1, 0.2, 0.3, 0.4, 0.5), "added, of the full range", _brightened),
        "contrast": Corruption((0.75, 0.5, 0.4, 0.3, 0.15), (0.4, 0.3, 0.2, 0.1, 0.05), "of the contrast left", _flattened),
        "jpeg": Corruption((80.0, 65.0, 58.0, 50.0, 40.0), (25.0, 18.0, 15.0, 10.0, 7.0), "quality", _packed),
    }
)
