"""The recipes for any data: a middle-sized CNN that trains in minutes on two processor cores.

Task: labelled images of any number, colour and size (larger ones are brought to 64 px).
Commands: rung train photos/; rung train digits --recipe digits
Expected: see benchmarks/README.md; digits: at least 98 % on its sealed test part, the mean of five seeds, in seconds.

Nothing is mirrored, because mirroring can change what a picture says (digits, letters, signs): where it cannot,
--set augment.flip_horizontal=true helps.
"""

from __future__ import annotations

from rung.recipe import CNN, Augment, Pixels, Recipe, Train


def default() -> Recipe:
    """Three blocks of two convolutions with batch norm, global average pooling, Adam with a one-cycle rate."""
    return Recipe(
        name="default",
        pixels=Pixels(normalise="standard"),
        augment=Augment(shift_fraction=0.1, zoom_fraction=0.1),
        network=CNN(filters=(32, 64, 128), convolutions=2, batch_norm="before_activation", flatten="average", initialisation="he_normal", defaults="torch"),
        train=Train(epochs=20, batch_size=64, optimizer="adamw", learning_rate=0.004, weight_decay=0.01, schedule="one_cycle"),
    )


def digits() -> Recipe:
    """The default network without the third block, for 8 px images."""
    base = default()
    return base.model_copy(
        update={
            "name": "digits",
            "network": base.network.model_copy(update={"filters": (32, 64)}),
            "train": base.train.model_copy(update={"epochs": 25}),
        }
    )
