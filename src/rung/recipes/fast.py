"""The best accuracy for few minutes, without tuning: a whitened stem, Muon, rising resolution; the rest follows from the data, by the rules below.

Task: labelled images of any kind.
Command: rung train cifar10 --recipe fast
Expected: see benchmarks/README.md.

What is shown without data, by `rung recipes fast`, is what CIFAR-10 gets. A setting of yours goes before its rule.
"""

from __future__ import annotations

import math
from typing import Final

from rung.recipe import Augment, Fast, Pixels, Recipe, Train
from rung.recipes.facts import CIFAR, Facts

_IMAGES: Final = 160_000  # met in a training: four epochs of CIFAR-10's 40,000
_EPOCHS: Final = (4, 80)
_BATCH: Final = (16, 250)
_STEPS: Final = 40  # an epoch at least, where the batch allows it
_FILTERS: Final = (8, 16, 32, 96, 96)  # the last of them are taken, as many as the side can be halved
_WIDER: Final = 20  # classes from which the last block is twice as wide


def fast(facts: Facts = CIFAR) -> Recipe:
    """Few operations, well spent: blocks by the images' size; epochs and batch by their number; mirrored only where that changes nothing."""
    return Recipe(
        name="fast",
        pixels=Pixels(normalise="standard"),
        augment=Augment(
            flip_horizontal=facts.mirrored,
            flip_alternating=facts.mirrored,
            shift_pixels=float(max(1, facts.size // 16)),
            rising_sizes=_sizes(facts.size),
        ),
        network=Fast(filters=_filters(facts)),
        train=Train(
            epochs=min(max(round(_IMAGES / facts.rows), _EPOCHS[0]), _EPOCHS[1]),
            batch_size=_between(facts.rows // _STEPS, _BATCH),
            optimizer="muon",
            defaults="torch",
            learning_rate=0.1,
            label_smoothing=0.1,
            schedule="one_cycle",
            warmup_fraction=0.25,
            keep="last",
            evaluation_views="mirror_shift" if facts.mirrored else "shift",
        ),
    )


def _between(value: int, limits: tuple[int, int]) -> int:
    return min(max(value, limits[0]), limits[1])


def _filters(facts: Facts) -> tuple[int, ...]:
    """Return the filters of as many blocks as leave at least two pixels a side: three at 32 pixels."""
    blocks = _between(int(math.log2(facts.size / 2.5)), (1, len(_FILTERS)))
    filters = _FILTERS[-blocks:]
    return (*filters[:-1], 2 * filters[-1]) if facts.classes > _WIDER else filters


def _sizes(size: int) -> tuple[int, ...]:
    """Return 20, 24 and 32 pixels of 32; small images are never shrunk."""
    return (size * 5 // 8, size * 3 // 4, size) if size >= 24 else ()
