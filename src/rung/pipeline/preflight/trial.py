"""Small trials of a prepared training: the same way with fewer rows, other labels, or settings taken away."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
from torch import nn

from rung import keys
from rung.audit.preflight.rows import Held
from rung.data.batches import Batches
from rung.data.imageset import ImageSet, pixel_digests
from rung.data.split import Splits
from rung.own import Own
from rung.pipeline.prepare import Prepared, with_train
from rung.recipe import Augment

Rows = npt.NDArray[np.int64]

_AT_ONCE = 0.5  # share of a batch in the moving averages: Keras' 0.01 would take hundreds of steps to mean anything
_SIDE = 48  # pixels, above which fewer images are taken: the time of a step grows with the pixels, and a pre-flight should take a minute
_CANDIDATES = 8  # times as many rows as are wanted are looked at, to leave out copies


def some(images: ImageSet, rows: Rows, count: int, purpose: str, seed: int) -> Rows:
    """Return at most `count` of the rows, drawn by seed and purpose: classes in turn, no two of equal images."""
    if not len(rows):
        return rows
    order = rows[keys.permutation(seed, f"preflight {purpose}", 0, len(rows))][: _CANDIDATES * count]
    _, first = np.unique(pixel_digests(images.images[order]), return_index=True)
    order = order[np.sort(first)]
    turn = np.zeros(len(order), dtype=np.int64)
    for label in np.unique(images.labels[order]):
        members = images.labels[order] == label
        turn[members] = np.arange(members.sum())
    return order[np.argsort(turn, kind="stable")][:count]


def fewer(prepared: Prepared, count: int, least: int) -> int:
    """Return how many images, or epochs of them, to take instead of `count`: of large images so many fewer as have no more pixels, but at least `least`."""
    height, width = prepared.images.images.shape[1:3]
    return int(min(count, max(least, count * _SIDE**2 // (height * width))))


def corner(prepared: Prepared) -> Batches:
    """Return the training rows with one pixel of each image, offline copies included, and nothing of the augmentation: enough to see which rows come when."""
    copies = Augment(offline_copies=prepared.recipe.augment.offline_copies)
    small = replace(prepared, images=replace(prepared.images, images=prepared.images.images[:, :1, :1]))
    return with_augment(small, copies).training()


def with_rows(prepared: Prepared, fitted: Rows, chosen: Rows) -> Prepared:
    """Return the training of these rows alone, fitted on and chosen on; its rows are 0.. in this order."""
    both = np.concatenate([fitted, chosen])
    places = np.arange(len(both))
    splits = Splits(places[: len(fitted)], places[len(fitted) :], places[:0], "rows of a pre-flight")
    return replace(prepared, images=prepared.images.take(both), splits=splits)


def with_labels(prepared: Prepared, labels: Rows) -> Prepared:
    """Return the training with other labels, int64 (N,), for all its rows."""
    return replace(prepared, images=replace(prepared.images, labels=labels))


def with_augment(prepared: Prepared, augment: Augment, own: tuple[Own, ...] = ()) -> Prepared:
    """Return the training with this augmentation and these own functions."""
    return replace(prepared, recipe=prepared.recipe.model_copy(update={"augment": augment}), own=replace(prepared.own, augmentations=own))


def unaugmented(prepared: Prepared) -> Prepared:
    """Return the training without augmentation, on the middle of the images where the recipe crops them."""
    side = prepared.recipe.augment.crop
    plain = with_augment(prepared, Augment())
    if side is None:
        return plain
    height, width = plain.images.images.shape[1:3]
    top, left = (height - side) // 2, (width - side) // 2
    return replace(plain, images=replace(plain.images, images=plain.images.images[:, top : top + side, left : left + side]))


def undisturbed(prepared: Prepared) -> Prepared:
    """Return the training with a rate that stays, one view of each image in evaluation, without early stopping, own metrics and own callbacks."""
    calm = with_train(
        prepared, schedule="constant", warmup_fraction=0.0, minimum_rate=0.0, early_stopping=None, metrics=(), callbacks=(), evaluation_views="one"
    )
    return replace(calm, own=replace(calm.own, metrics=(), callbacks=()))


def unbounded(prepared: Prepared) -> Prepared:
    """Return the training without what keeps a network from learning by heart: L2, weight decay, label smoothing, class weights, balanced sampling."""
    settings = {"l2_convolution": 0.0, "l2_dense": 0.0, "weight_decay": 0.0, "label_smoothing": 0.0, "class_weights": "none", "sampling": "each_once"}
    return with_train(prepared, **settings)


def loosened(network: nn.Module) -> nn.Module:
    """Let the network learn by heart in few steps, in place: no dropout, and batch norm whose moving averages follow at once; returns it."""
    for module in network.modules():
        if isinstance(module, nn.modules.dropout._DropoutNd):
            module.p = 0.0
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.momentum is not None:
            module.momentum = max(module.momentum, _AT_ONCE)
    return network


def held(prepared: Prepared, rows: Rows) -> Held:
    """Return what the files hold of these rows, as the network should be given them: the middle, where the recipe crops."""
    taken = unaugmented(replace(prepared, images=prepared.images.take(rows)))
    return Held(taken.images.images, taken.images.labels)
