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

_IMAGES: Final = 160_000  # met in a training that may take the time it needs: four epochs of CIFAR-10's 40,000
_EPOCHS: Final = (2, 80)  # at least and at most
_BATCH: Final = (16, 250)
_STEPS: Final = 40  # an epoch at least, where the batch allows it
_DECAY: Final = 96.0  # weight decay times steps: as much in all, however long the training
_FILTERS: Final = ((8, 16, 32, 96, 96), (16, 32, 64, 256, 256))  # the last of them are taken, as many as the side can be halved
_WIDE: Final = 8  # epochs from which on the wider network is worth its operations
_WIDER: Final = 20  # classes from which the last block is twice as wide


def fast(facts: Facts = CIFAR) -> Recipe:
    """Few operations, well spent: blocks by the images' size; epochs and batch by their number; mirrored only where that changes nothing."""
    filters = _filters(facts)
    batch_size = _between(facts.rows // _STEPS, _BATCH)
    epochs = _between(round(_epochs(facts, filters)), _EPOCHS)
    return Recipe(
        name="fast",
        pixels=Pixels(normalise="standard"),
        augment=Augment(
            flip_horizontal=facts.mirrored,
            flip_alternating=facts.mirrored,
            shift_pixels=float(max(1, facts.size // 16)),
            rising_sizes=_sizes(facts.size),
        ),
        network=Fast(filters=filters),
        train=Train(
            epochs=epochs,
            batch_size=batch_size,
            optimizer="muon",
            defaults="torch",
            learning_rate=0.1,
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


def _epochs(facts: Facts, filters: tuple[int, ...]) -> float:
    """Return how often there is time, or need, to meet each image."""
    return (_IMAGES if facts.operations is None else facts.operations / _operations(facts, filters)) / facts.rows


def _operations(facts: Facts, filters: tuple[int, ...]) -> float:
    """Return the floating-point operations of training on one image, on the mean over the sizes it rises through: three forward passes."""
    sizes = _sizes(facts.size) or (facts.size,)
    total = 0
    for size in sizes:
        side, width = size, 16
        for maps in filters:
            total += 18 * width * maps * side**2 + 18 * maps**2 * (side // 2) ** 2
            side, width = side // 2, maps
    return 3 * total / len(sizes)


def _filters(facts: Facts) -> tuple[int, ...]:
    """Return the filters of as many blocks as leave at least two pixels a side, three at 32 pixels; more filters where there is time for them."""
    blocks = _between(int(math.log2(facts.size / 2.5)), (1, len(_FILTERS[0])))
    narrow, wide = ((*filters[-blocks:-1], filters[-1] * (2 if facts.classes > _WIDER else 1)) for filters in _FILTERS)
    return wide if facts.operations is not None and _epochs(facts, wide) >= _WIDE else narrow


def _sizes(size: int) -> tuple[int, ...]:
    """Return 20, 24 and 32 pixels of 32; small images are never shrunk."""
    return (size * 5 // 8, size * 3 // 4, size) if size >= 24 else ()
