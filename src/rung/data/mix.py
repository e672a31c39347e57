"""Mixing the images of a step in pairs: mixup (Zhang et al. 2018) and cutmix (Yun et al. 2019).

As in both papers' code one share, drawn from Beta(alpha, alpha), serves the whole step, and each image's partner comes from a permutation
of the step.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from rung import keys
from rung.recipe import Augment


def mix(images: Tensor, targets: Tensor, key: int, settings: Augment) -> tuple[Tensor, Tensor]:
    """Return images (N,C,H,W) and class shares (N,K) mixed in pairs, as the step's key draws them; unchanged if neither is on.

    mixup: share * own + (1 - share) * partner. cutmix: a box of (1 - share) of the area, its middle anywhere, is the partner's; the share of
    the targets is that of the pixels that stayed. `images` is the step's whole batch, in its order.
    """
    alpha = settings.mixup_alpha or settings.cutmix_alpha
    if not alpha:
        return images, targets
    rows = torch.arange(len(images), device=images.device)
    # Streams of their own: row 1 of a key and draw 0 of the same key are the same bits.
    partners = torch.argsort(keys.row_keys(keys.stream(key, "partners"), rows), stable=True)
    own_key = np.array([keys.stream(key, "share and box")], dtype=np.int64)
    share_draw, x_draw, y_draw = (float(keys.uniform(own_key, draw)[0]) for draw in range(3))
    share = _beta(alpha, share_draw)
    if settings.mixup_alpha:
        images = images * share + images[partners].mul_(1 - share)
    else:
        top, bottom, left, right = _box(images.shape[2], images.shape[3], share, x_draw, y_draw)
        mixed = images.clone()
        mixed[:, :, top:bottom, left:right] = images[partners, :, top:bottom, left:right]
        images = mixed
        share = 1 - (bottom - top) * (right - left) / (images.shape[2] * images.shape[3])
    return images, targets * share + targets[partners] * (1 - share)


def _beta(alpha: float, draw: float) -> float:
    """Return the value of Beta(alpha, alpha) below which a share `draw` (0..1) of it lies."""
    from scipy.special import betaincinv

    return float(betaincinv(alpha, alpha, draw))


def _box(height: int, width: int, share: float, x_draw: float, y_draw: float) -> tuple[int, int, int, int]:
    """Return top, bottom, left, right of a box of (1 - share) of the area, cut at the image's edges."""
    side = math.sqrt(1 - share)
    box_height, box_width = int(height * side), int(width * side)
    top, left = int(y_draw * height) - box_height // 2, int(x_draw * width) - box_width // 2
    return max(top, 0), min(top + box_height, height), max(left, 0), min(left + box_width, width)
