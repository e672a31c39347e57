"""The best accuracy for few minutes, without tuning: a whitened stem, Muon, rising resolution; the rest follows from the data, by the rules below.

Task: labelled images of any kind.
Command: rung train cifar10 --recipe fast
Expected: see benchmarks/README.md.

What is shown without data, by `rung recipes fast`, is what CIFAR-10 gets. A setting of yours goes before its rule.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from rung.recipe import Augment, Fast, Pixels, Recipe, Train
from rung.recipes.facts import CIFAR, Facts

_IMAGES: Final = 200_000  # met in a training that may take the time it needs: five epochs of CIFAR-10's 40,000
_EPOCHS: Final = (2, 80)  # at least and at most
_BATCH: Final = (16, 250)
_STEPS: Final = 40  # an epoch at least, where the batch allows it
_DECAY: Final = 60.0  # weight decay times steps: as much in all, however long the training
_WIDER: Final = 20  # classes from which the last block is twice as wide


@dataclass(frozen=True)
class _Width:
    """A network for so much time.

    filters: of five blocks, of which the last are taken; sizes: that images rise through, as shares; epochs: there must be time for so many.
    """

    filters: tuple[int, ...]
    sizes: tuple[float, ...]
    epochs: float


_WIDE: Final = _Width((16, 32, 64, 256, 256), (0.5, 0.625, 0.75, 1), 8)
_MIDDLE: Final = _Width((12, 24, 48, 128, 128), (0.5, 0.625, 0.75, 1), 4)
_NARROW: Final = _Width((8, 16, 32, 96, 96), (0.625, 0.75, 1), 0)


def fast(facts: Facts = CIFAR) -> Recipe:
    """Few operations, well spent: blocks by size, filters by the time, epochs and batch by the number of images; mirrored only where that changes nothing."""
    width = next(width for width in (_WIDE, _MIDDLE, _NARROW) if _epochs(facts, width) >= width.epochs) if facts.operations else _MIDDLE
    batch_size = _between(facts.rows // _STEPS, _BATCH)
    epochs = _between(round(_epochs(facts, width)), _EPOCHS)
    return Recipe(
        name="fast",
        pixels=Pixels(normalise="standard"),
        augment=Augment(
            flip_horizontal=facts.mirrored,
            flip_alternating=facts.mirrored,
            shift_pixels=float(max(1, facts.size // 16)),
            rising_sizes=_sizes(facts, width),
        ),
        network=Fast(filters=_filters(facts, width)),
        train=Train(
            epochs=epochs,
            batch_size=batch_size,
            optimizer="muon",
            defaults="torch",
            learning_rate=0.15,
            momentum=0.8,
            weight_decay=round(_DECAY / (epochs * max(1, facts.rows // batch_size)), 4),
            label_smoothing=0.1,
            schedule="one_cycle",
            warmup_fraction=0.25,
            keep="last",
            evaluation_views="mirror_shift" if facts.mirrored else "shift",
        ),
    )


def _between(value: int, limits: tuple[int, int]) -> int:
    return min(max(value, limits[0]), limits[1])


def _epochs(facts: Facts, width: _Width) -> float:
    """Return how often there is time, or need, to meet each image."""
    return (facts.operations / _operations(facts, width) if facts.operations else _IMAGES) / facts.rows


def _operations(facts: Facts, width: _Width) -> float:
    """Return the floating-point operations of training on one image, on the mean over the sizes it rises through: three forward passes."""
    sizes = _sizes(facts, width) or (facts.size,)
    total = 0
    for size in sizes:
        side, maps = size, 16
        for filters in _filters(facts, width):
            total += 18 * maps * filters * side**2 + 18 * filters**2 * (side // 2) ** 2
            side, maps = side // 2, filters
    return 3 * total / len(sizes)


def _filters(facts: Facts, width: _Width) -> tuple[int, ...]:
    """Return the filters of as many blocks as leave at least two pixels a side: three at 32 pixels."""
    filters = width.filters[-_between(int(math.log2(facts.size / 2.5)), (1, len(width.filters))) :]
    return (*filters[:-1], 2 * filters[-1]) if facts.classes > _WIDER else filters


def _sizes(facts: Facts, width: _Width) -> tuple[int, ...]:
    """Return the sizes that images rise through, 16, 20, 24 and 32 pixels of 32; small images are never shrunk."""
    return tuple(round(facts.size * share) for share in width.sizes) if facts.size >= 24 else ()
