"""S3, omnivores and herbivores, first stage: five species of CIFAR-100, with offline augmentation.

Task: camel, cattle, chimpanzee, elephant, kangaroo: 2,500 training images of 32 px, 500 test images.
Command: rung train cifar100:large_omnivores_and_herbivores --recipe omnivores
Expected: see benchmarks/README.md; the author reports 75.4 % for this stage, the best of 300 epochs chosen on those 500 test images.

Each image and two augmented copies of it are made once (7,500 in all). Fitting keeps 20 % of the training images apart for choosing,
by accuracy, as the author chose.
"""

from __future__ import annotations

from rung.recipe import CNN, Augment, Recipe, Train


def omnivores() -> Recipe:
    """Blocks of two convolutions with batch norm and dropout, global average pooling: 357,413 parameters; 300 epochs."""
    return Recipe(
        name="omnivores",
        augment=Augment(flip_horizontal=True, flip_vertical=True, rotation_degrees=72.0, zoom_fraction=0.3, contrast_fraction=0.3, offline_copies=2),
        network=CNN(
            filters=(32, 64, 128),
            convolutions=2,
            batch_norm="after_activation",
            block_dropout=(0.25, 0.3, 0.35),
            flatten="average",
            dense=(512,),
            dense_dropout=0.5,
        ),
        train=Train(epochs=300, batch_size=32, learning_rate=0.001, clip_value=0.5, monitor="validation_accuracy"),
    )
