"""S2, the backpropagation assignment: a multilayer perceptron and a small CNN on CIFAR-10.

Task: ten classes at 32 px.
Commands: rung train cifar10 --recipe backprop_mlp; rung train cifar10 --recipe backprop_cnn
Expected: see benchmarks/README.md; the author reports 43.87 % and 73.46 %, both on the test set that also chose the epoch.

The author's augmenting generator ran dry, so that every second of the MLP's 50 epochs was one step: the recipe asks for 25 whole
epochs, the training that was in fact done. The CNN had no augmentation, though the text credits it.
"""

from __future__ import annotations

from rung.recipe import CNN, MLP, Augment, Recipe, Train


def backprop_mlp() -> Recipe:
    """Flatten, 512 with dropout 0.3, 256, 10 classes: 1,707,274 parameters."""
    return Recipe(
        name="backprop_mlp",
        augment=Augment(flip_horizontal=True, rotation_degrees=10.0, shift_fraction=0.1, fill="edge"),
        network=MLP(dense=(512, 256), dense_dropout=(0.3, 0.0)),
        train=Train(epochs=25, batch_size=64, learning_rate=0.001),
    )


def backprop_cnn() -> Recipe:
    """Three unpadded convolutions, dense 512 and 256 with dropout 0.5: 489,802 parameters."""
    return Recipe(
        name="backprop_cnn",
        network=CNN(filters=(32, 64, 128), padding="valid", dense=(512, 256), dense_dropout=0.5),
        train=Train(
            epochs=50,
            batch_size=64,
            learning_rate=0.001,
            schedule="plateau",
            drop_factor=0.2,
            plateau_patience=3,
            minimum_rate=1e-4,
            early_stopping=5,
        ),
    )
