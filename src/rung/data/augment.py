"""Augmentation of whole batches: each image draws its own values from its key, so batch size, order, threads and ranks change nothing.

Order: geometry (one interpolation), blur, contrast and brightness, saturation and hue, noise, cutout, your own functions; then values
are cut to 0..1, once. Fields, units and their Keras counterparts: docs/augmentation.md.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from rung import keys
from rung.data.affine import centre_crop, move
from rung.data.colour import blur, contrast_brightness, cutout, noise, saturation_hue
from rung.data.draws import Draw, derived, draw
from rung.data.mix import mix
from rung.errors import RecipeError
from rung.recipe import Augment

__all__ = ["augment", "centre_crop", "mix", "offline"]

_OFFLINE_BATCH = 500


@torch.no_grad()
def augment(images: Tensor, image_keys: Tensor, settings: Augment, own: Sequence[Callable[..., Any]] = (), mirrored: Tensor | None = None) -> Tensor:
    """Return the augmented images, float32 in 0..1, (N,C,H,W), or (N,C,crop,crop) with a crop; the input itself if nothing is on.

    images: float32 (N,C,H,W) in 0..1, in any memory layout, never changed; image_keys: int64 (N,), one for each image and epoch.
    own: functions f(images, keys) -> images; each gets keys of its own. mirrored: bool (N,), which are mirrored left and right, where that is not by chance.

    Raises: RecipeError if a setting does not fit the images, or an own function returns another shape, type or values that are not finite.
    """
    before = images
    draws = draw(image_keys)
    if mirrored is not None:
        draws[Draw.FLIP_HORIZONTAL] = torch.where(mirrored, 0.0, 1.0)
    images = move(images, draws, settings)
    if settings.blur_pixels:
        images = blur(images, draws, settings)
    if settings.contrast_fraction or settings.brightness_fraction:
        images = contrast_brightness(images, draws, settings)
    if settings.saturation_fraction or settings.hue_degrees:
        images = saturation_hue(images, draws, settings)
    if settings.noise_fraction:
        images = noise(images, image_keys, settings)
    if settings.cutout_pixels:
        images = cutout(images, draws, settings)
    if images is not before:
        images.clamp_(0, 1)
    for position, function in enumerate(own):
        images = _checked(function, images.clone() if images is before else images, derived(image_keys, f"augment own {position}"))
    return images.clamp(0, 1) if own else images


def _checked(function: Callable[..., Any], images: Tensor, image_keys: Tensor) -> Tensor:
    name = getattr(function, "__name__", type(function).__name__)
    result = function(images, image_keys)
    if not isinstance(result, Tensor):
        raise RecipeError(f"the augmentation '{name}' returned {type(result).__name__}: it must return a tensor of images")
    if result.shape != images.shape or result.dtype != images.dtype or result.device != images.device:
        raise RecipeError(
            f"the augmentation '{name}' returned {result.dtype} {tuple(result.shape)} on {result.device} "
            f"for {images.dtype} {tuple(images.shape)} on {images.device}: it must keep all three"
        )
    finite = torch.isfinite(result).flatten(1).all(dim=1)
    if not finite.all():
        bad = int((~finite).sum())
        raise RecipeError(f"the augmentation '{name}' returned values that are not finite, in {bad} of {len(result)} images")
    return result


def offline(
    images: npt.NDArray[np.uint8], settings: Augment, key: int, own: Sequence[Callable[..., Any]] = (), rows: npt.NDArray[np.int64] | None = None
) -> npt.NDArray[np.uint8]:
    """Return settings.offline_copies augmented copies of uint8 images (N,H,W,C): (N*copies,H,W,C), all rows' first copies before the second ones.

    Labels repeat as np.tile(labels, copies). Each copy depends on the key, its row and its number alone. rows: int64 (N,), the rows that the images are,
    where they are some of many; 0 to N-1 if not given.
    A recipe with offline copies has no crop, mixup or cutmix, which change images in every step.

    Raises: as `augment` does.
    """
    count = len(images)
    numbers = torch.arange(count) if rows is None else torch.from_numpy(rows)
    result = np.empty((count * settings.offline_copies, *images.shape[1:]), dtype=np.uint8)
    for copy in range(settings.offline_copies):
        stream = keys.stream(key, "offline copy", copy)
        for start in range(0, count, _OFFLINE_BATCH):
            # The bytes are divided as floats, like everywhere, and come back by rounding to the nearest.
            batch = torch.from_numpy(np.ascontiguousarray(images[start : start + _OFFLINE_BATCH])).permute(0, 3, 1, 2).float() / 255
            changed = augment(batch, keys.row_keys(stream, numbers[start : start + _OFFLINE_BATCH]), settings, own)
            place = copy * count + start
            result[place : place + len(batch)] = (changed * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    return result
