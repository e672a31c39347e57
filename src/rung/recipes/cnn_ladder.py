"""S4, the CNN ladder: the first and the last network on grey CIFAR-10.

Task: ten classes at 32 px, grey; 40,000 training, 10,000 validation rows (the last of the training rows).
Commands: rung train cifar10 --recipe cnn_1; rung train cifar10 --recipe cnn_9
Expected: see benchmarks/README.md; the author reports 66.66 % (CNN 1) and 81.51 % (CNN 9) on the test set by which every step was chosen.

The author's CNN 9 fitted an augmenter and never used it; the recipe uses it. Shift ranges of 1.0 mean one pixel in Keras.
"""

from __future__ import annotations

from rung.recipe import CNN, Augment, Pixels, Recipe, Train


def cnn_1() -> Recipe:
    """Convolutions 32, 64, 64 without padding, dense 64: 72,842 parameters."""
    return Recipe(
        name="cnn_1",
        pixels=Pixels(colour="grey"),
        network=CNN(filters=(32, 64, 64), padding="valid", dense=(64,)),
        train=Train(epochs=500, batch_size=64, learning_rate=0.001, early_stopping=5),
    )


def cnn_9() -> Recipe:
    """Six padded convolutions with batch norm and dropout, dense 128 with tanh, augmentation: 552,298 parameters."""
    return Recipe(
        name="cnn_9",
        pixels=Pixels(colour="grey"),
        augment=Augment(flip_horizontal=True, shift_pixels=1.0, fill="edge"),
        network=CNN(
            filters=(32, 64, 128),
            convolutions=2,
            batch_norm="after_activation",
            block_dropout=(0.3, 0.4, 0.5),
            dense=(128,),
            dense_activation="tanh",
            dense_dropout=0.3,
            dense_batch_norm=True,
        ),
        train=Train(epochs=50, batch_size=32, learning_rate=0.0004),
    )
