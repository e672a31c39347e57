"""The mistakes of S4, the CNN ladder, in what was trained: pixels, augmentation, losses, weights. Those in what was concluded: cnn_ladder_choices."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from rung import keys
from rung.audit.preflight import augmenting, expected, losses
from rung.data.augment import augment
from rung.data.imageset import ImageSet, pixel_digests
from rung.pipeline.preflight import trainings
from rung.pipeline.preflight.trial import with_rows
from rung.pipeline.preflight.views import views
from rung.pipeline.prepare import Prepared
from rung.recipe import Augment, change
from rung.replays.mistakes.record import Figure, Found, Leads, Said
from rung.replays.mistakes.trial import Trial, failed, heard_of, refused
from rung.replays.mistakes.weights import last_against_best
from rung.training.losses import EPSILON, build_loss

_COLOUR: Final = {"pixels.colour": "auto"}
_UNMOVED: Final = {"augment.flip_horizontal": False, "augment.shift_pixels": 0.0, "augment.fill": "reflect"}


def scrambled(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Return uint8 images (N,H,W,3) as `reshape(N, H, W, 3)` makes them of rows of red, green and blue planes."""
    return np.ascontiguousarray(images.transpose(0, 3, 1, 2)).reshape(images.shape)


def scrambled_colour(trial: Trial) -> Found:
    """Train the final network on colour images whose planes were read as pixels, and on the same images as they are."""
    images, recipe, heard = trial.cifar10(), trial.recipe("cnn_9", _UNMOVED), list[str]()
    wrong = trial.each_seed(trial.prepared(replace(images, images=scrambled(images.images)), recipe, heard))
    right = trial.each_seed(trial.prepared(images, recipe))
    of = f"validation accuracy of a network trained for {trial.size.epochs} epochs on"
    return Found(
        wrong=(Figure(f"{of} scrambled colour images", tuple(one.accuracy() for one in wrong)),),
        right=(Figure(f"{of} the same images as they are", tuple(one.accuracy() for one in right)),),
        said=heard_of(heard, "layout"),
        leads=Leads("lower"),
    )


def colour_not_scaled(trial: Trial) -> Found:
    """Train on colour values of 0..255, where the grey ones it is set beside were divided by 255."""
    images = trial.cifar10()
    prepared = {name: trial.prepared(images, trial.recipe("cnn_9", {**_UNMOVED, "pixels.normalise": name})) for name in ("none", "unit")}
    accuracy = {name: tuple(one.accuracy() for one in trial.each_seed(one_prepared)) for name, one_prepared in prepared.items()}
    few, train = trainings.few_rows(prepared["none"]), prepared["none"].recipe.train
    told = losses.first_loss(few.trace, few.held("train").labels, np.ones(len(images.classes)), train, build_loss(train))
    return Found(
        wrong=(Figure("validation accuracy with colour values of 0..255", accuracy["none"]),),
        right=(Figure("validation accuracy with the same values divided by 255", accuracy["unit"]),),
        said=(*failed(told), trial.compared(images, [prepared[name].recipe for name in ("unit", "none")])),
        leads=Leads("lower"),
    )


def mse_of_labels(logits: Tensor, targets: Tensor) -> Tensor:
    """Mean squared error of probabilities (N,K) and whole labels (N,1), which broadcast: each class is compared with the label's number."""
    return (logits.softmax(1) - targets[:, None].float()).square().mean(1)


def msle_of_labels(logits: Tensor, targets: Tensor) -> Tensor:
    """The same of logarithms."""
    return (logits.softmax(1).log1p() - targets[:, None].float().log1p()).square().mean(1)


def hinge_of_labels(logits: Tensor, targets: Tensor) -> Tensor:
    """Hinge loss with the label's number in place of -1 and 1."""
    return (1 - targets[:, None].float() * logits.softmax(1)).clamp(min=0).mean(1)


def kl_of_labels(logits: Tensor, targets: Tensor) -> Tensor:
    """KL divergence with the label's number, cut to 1e-7..1, in place of shares."""
    wanted, probabilities = targets[:, None].float().clamp(EPSILON, 1), logits.softmax(1).clamp(EPSILON, 1)
    return (wanted * (wanted / probabilities).log()).sum(1)


LABEL_LOSSES: Final = {"mse": mse_of_labels, "msle": msle_of_labels, "hinge": hinge_of_labels, "kl": kl_of_labels}


def losses_on_integers(trial: Trial) -> Found:
    """Train with four losses that are given whole labels beside ten probabilities, and with the same losses given one-hot rows."""
    images = trial.cifar10(grey=True)
    wrong, right, said = list[Figure](), list[Figure](), list[Said]()
    for name, loss in LABEL_LOSSES.items():
        broadcast = trial.prepared(images, trial.recipe("cnn_9", _UNMOVED), loss=loss)
        proper = trial.prepared(images, trial.recipe("cnn_9", {**_UNMOVED, "train.loss": name}))
        wrong.append(Figure(f"validation macro F1 of {name} with whole labels", tuple(one.macro_f1() for one in trial.each_seed(broadcast))))
        right.append(Figure(f"validation macro F1 of {name} with one-hot rows", tuple(one.macro_f1() for one in trial.each_seed(proper))))
        if not said:
            trace = trainings.few_rows(broadcast).trace
            said += failed(losses.loss_encoding(broadcast.recipe.train, build_loss(broadcast.recipe.train, loss), len(images.classes), trace))
    return Found(tuple(wrong), tuple(right), tuple(said), leads=Leads("lower"))


def augmentation_not_used(trial: Trial) -> Found:
    """Train on raw arrays, as the author did after he had fitted an augmenter, and with the augmentation that he meant."""
    images, recipe = trial.cifar10(grey=True), trial.recipe("cnn_9")
    meant = trial.prepared(images, recipe)
    raw = trial.prepared(images, change(recipe, _UNMOVED))
    said = failed(augmenting.acts(views(_few(meant)), *_given(raw)))
    return Found(
        wrong=(
            Figure("validation accuracy “with augmentation”, as it ran", tuple(one.accuracy() for one in trial.each_seed(raw))),
            Figure("share of the images given to the network that augmentation had changed", (_given(raw)[0],)),
        ),
        right=(
            Figure("validation accuracy with augmentation", tuple(one.accuracy() for one in trial.each_seed(meant))),
            Figure("share of the images given to the network that augmentation had changed", (_given(meant)[0],)),
        ),
        said=said,
        leads=Leads("lower"),
    )


def _few(prepared: Prepared) -> Prepared:
    """Return the training of a few of its rows, for what is looked at in all ways."""
    return with_rows(prepared, prepared.splits.train[:64], prepared.splits.train[:0])


def _given(prepared: Prepared) -> tuple[float, int]:
    """Return which share of the images that the first batches give to the network is none that is stored, and how many these are."""
    seen = torch.cat([batch.images for batch in islice(prepared.training().training(0, 32), 10)])
    stored = np.isin(expected.digests(seen, prepared.recipe.pixels), pixel_digests(prepared.images.images))
    return float(1 - stored.mean()), len(seen)


def shift_of_one_pixel(trial: Trial) -> Found:
    """Shift by 1.0, which is one pixel, where 0.1 would have been a tenth of the width."""
    images = trial.cifar10(grey=True)
    ways = {"pixel": {"augment.shift_pixels": 1.0}, "tenth": {"augment.shift_pixels": 0.0, "augment.shift_fraction": 0.1}}
    prepared = {name: trial.prepared(images, trial.recipe("cnn_9", settings)) for name, settings in ways.items()}
    accuracy = {name: tuple(one.accuracy() for one in trial.each_seed(one_prepared)) for name, one_prepared in prepared.items()}
    moved = {name: _moved(images, one.recipe.augment) for name, one in prepared.items()}
    recipe = prepared["pixel"].recipe
    return Found(
        wrong=(
            Figure("pixels by which images are moved, along each axis, with 1.0", (moved["pixel"],), "number"),
            Figure("validation accuracy", accuracy["pixel"]),
        ),
        right=(
            Figure("pixels by which images are moved with a tenth of the side", (moved["tenth"],), "number"),
            Figure("validation accuracy", accuracy["tenth"]),
        ),
        said=(
            refused("rung train --set augment.shift=1.0", lambda: change(recipe, {"augment.shift": 1.0})),
            refused("rung train --set augment.shift_pixels=0.1", lambda: change(recipe, {"augment.shift_pixels": 0.1})),
        ),
        leads=Leads("lower", at=1),
    )


def _moved(images: ImageSet, settings: Augment) -> float:
    """Return the mean distance of draws along one axis, in pixels, by how far a ramp of grey is moved."""
    side = images.images.shape[1]
    ramp = torch.linspace(0, 1, side).expand(500, 1, side, side).contiguous()
    only = Augment(shift_pixels=settings.shift_pixels, shift_fraction=settings.shift_fraction, fill="edge")
    made = augment(ramp, keys.row_keys(keys.stream(0, "moved"), torch.arange(500)), only)
    middle = side // 2
    return float((made[:, 0, middle, middle] - ramp[:, 0, middle, middle]).abs().mean() * (side - 1))


def last_epoch_scored(trial: Trial) -> Found:
    """Stop early and score the weights of the last epoch, which is as many epochs after the best as the patience says."""
    patience = 5 if trial.size.author else 3
    return last_against_best(trial, trial.cifar10(grey=True), trial.recipe("cnn_1", {"train.early_stopping": patience}))
