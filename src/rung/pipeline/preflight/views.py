"""What augmentation makes of some rows: as the recipe has it, each setting alone, in several epochs and batches."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from rung.audit.preflight.augmenting import Views, on
from rung.pipeline.preflight import trial
from rung.pipeline.prepare import Prepared
from rung.recipe import Augment

_BATCH, _SMALL_BATCH = 64, 7
_ALIKE = 64  # rows with the same image


def view(prepared: Prepared, epoch: int, batch_size: int = _BATCH) -> Tensor:
    """Return the training images of an epoch in the order of rows, as the network is given them, float32 (N,C,H,W); of offline copies, copy number `epoch`.

    A row that the epoch left out is not a number throughout.
    """
    batches = list(prepared.training().training(epoch, batch_size))
    images, rows = torch.cat([batch.images for batch in batches]), torch.cat([batch.rows for batch in batches])
    count, copies = len(prepared.splits.train), prepared.recipe.augment.offline_copies
    ordered = images.new_full((count * (1 + copies), *images.shape[1:]), torch.nan)
    ordered[rows] = images
    copy = 1 + epoch % copies if copies else 0
    return ordered[copy * count : (copy + 1) * count]


def plain(prepared: Prepared) -> Tensor:
    """Return the training images in the order of rows without augmentation, as `view` does."""
    return view(trial.unaugmented(prepared), 0)


def each_alone(prepared: Prepared) -> dict[str, Prepared]:
    """Return the training with each setting of its augmentation alone, and each own function alone, by name."""
    augment, middle = prepared.recipe.augment, trial.unaugmented(prepared)
    ways: dict[str, Prepared] = {}
    for name in on(augment):
        alternating = augment.flip_alternating and name == "flip_horizontal"
        alone = Augment.model_construct(**Augment().model_dump() | {name: getattr(augment, name), "fill": augment.fill, "flip_alternating": alternating})
        ways[name] = trial.with_augment(prepared if name == "crop" else middle, alone)
    for part in prepared.own.augmentations:
        ways[f"{part.name}()"] = trial.with_augment(middle, Augment(), (part,))
    return ways


def views(prepared: Prepared) -> Views:
    """Return what the recipe's augmentation makes of the training rows of `prepared`, which should be few; all in their full size."""
    prepared = trial.with_augment(prepared, prepared.recipe.augment.model_copy(update={"rising_sizes": ()}), prepared.own.augmentations)
    images = prepared.images.images[prepared.splits.train]
    busiest = int(prepared.splits.train[images.reshape(len(images), -1).std(axis=1).argmax()])
    alike = trial.with_rows(prepared, np.full(_ALIKE, busiest), np.zeros(0, np.int64))
    return Views(
        plain(prepared),
        {name: view(way, 0) for name, way in each_alone(prepared).items()},
        first=view(prepared, 0),
        second=view(prepared, 1),
        again=view(prepared, 0),
        apart=view(prepared, 0, _SMALL_BATCH),
        alike=view(alike, 0),
    )
