"""What does not fit together in a recipe: such a recipe cannot be made."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rung.recipe.fields import CNN, MLP, Augment, Network, Pixels, Split, Train

if TYPE_CHECKING:
    from rung.recipe.whole import Recipe


def contradictions(recipe: Recipe) -> Iterator[str]:
    """Give in words what does not fit together, and what would be without effect beside the other settings."""
    yield from _about_parts(recipe.split, recipe.train)
    yield from _about_pixels(recipe.pixels)
    yield from _about_augment(recipe.augment, recipe.pixels)
    yield from _about_sizes(recipe.augment, recipe.network)
    yield from _about_training(recipe.train)
    if isinstance(recipe.network, CNN | MLP):
        yield from _about_layers(recipe.network, recipe.train)


def _about_parts(split: Split, train: Train) -> Iterator[str]:
    if split.fit_on == "train+validation":
        chooses = [name for name, on in (
            ("train.keep = 'best'", train.keep == "best"),
            ("train.early_stopping", train.early_stopping is not None),
            ("train.schedule = 'plateau'", train.schedule == "plateau"),
        ) if on]  # fmt: skip
        if chooses:
            yield f"split.fit_on = 'train+validation' leaves nothing to choose on, but {' and '.join(chooses)} chooses: use keep = 'last' and a fixed schedule"
    if split.folds is not None and split.fold >= split.folds:
        yield f"split.fold = {split.fold} is not one of the {split.folds} folds 0..{split.folds - 1}"
    if split.folds is None and split.fold:
        yield f"split.fold = {split.fold} chooses one of several folds, and split.folds is not set: set it, such as to 5"
    if split.folds is not None and split.validation_roots:
        yield f"split.folds = {split.folds} and split.validation_roots both make the validation part: leave one of them out"


def _about_pixels(pixels: Pixels) -> Iterator[str]:
    mean, deviation = pixels.mean, pixels.deviation
    if (mean is None) != (deviation is None):
        yield "pixels.mean and pixels.deviation belong together, and only one is set: set both, or leave both out to have them measured"
    if mean is not None and pixels.normalise != "standard":
        yield f"pixels.mean and pixels.deviation do nothing with pixels.normalise = '{pixels.normalise}': set that to 'standard', or leave them out"
    if mean is not None and deviation is not None and len(mean) != len(deviation):
        yield f"pixels.mean has {len(mean)} values and pixels.deviation {len(deviation)}: give one for each channel to both"
    if deviation is not None and min(deviation, default=1.0) <= 0:
        yield f"pixels.deviation = {list(deviation)} divides the values: each must be above 0"


def _about_augment(augment: Augment, pixels: Pixels) -> Iterator[str]:
    if augment.mixup_alpha and augment.cutmix_alpha:
        yield "augment.mixup_alpha and augment.cutmix_alpha exclude each other: set one to 0"
    if augment.shift_fraction and augment.shift_pixels:
        yield "augment.shift_fraction and augment.shift_pixels exclude each other: set one to 0"
    if augment.shift_pixels != int(augment.shift_pixels):
        yield f"augment.shift_pixels = {augment.shift_pixels} shifts by whole pixels: give a whole number, or a share of the side to augment.shift_fraction"
    if augment.crop and isinstance(pixels.size, int) and augment.crop > pixels.size:
        yield f"augment.crop = {augment.crop} is larger than the images of pixels.size = {pixels.size}: lower it, or raise pixels.size"
    for name in ("saturation_fraction", "hue_degrees"):
        if pixels.colour == "grey" and getattr(augment, name):
            yield f"augment.{name} needs colour, and pixels.colour = 'grey' takes it away: set one of them otherwise"
    if augment.flip_alternating and not augment.flip_horizontal:
        yield "augment.flip_alternating says how images are mirrored left and right, and augment.flip_horizontal is off: set it to true, or leave the first out"
    for name in ("crop", "mixup_alpha", "cutmix_alpha", "flip_alternating"):
        if augment.offline_copies and getattr(augment, name):
            yield f"augment.{name} changes images in every step, and augment.offline_copies makes copies once: set one of them to 0 or leave it out"


def _about_training(train: Train) -> Iterator[str]:
    if train.weight_decay and train.optimizer not in ("adamw", "muon"):
        yield f"train.weight_decay is decoupled and only adamw and muon have it, not {train.optimizer}: use l2_convolution and l2_dense"
    if train.keep == "averaged" and not train.ema_decay:
        yield "train.keep = 'averaged' needs train.ema_decay above 0, such as 0.999"
    if train.ema_decay and train.keep != "averaged":
        yield f"train.ema_decay averages weights that train.keep = '{train.keep}' never uses: set keep = 'averaged' or ema_decay = 0"
    if train.label_smoothing and train.loss != "cross_entropy":
        yield f"train.label_smoothing belongs to cross_entropy, not to {train.loss}: set it to 0"
    if train.l2_last and not train.l2_dense:
        yield "train.l2_last puts l2_dense on the last layer too, and train.l2_dense is 0: set it, such as to 1e-4"


def _about_sizes(augment: Augment, network: Network) -> Iterator[str]:
    """Say where the network takes images of one size only; an own network is tried out with each."""
    if augment.rising_sizes and (isinstance(network, MLP) or (isinstance(network, CNN) and network.flatten == "flatten")):
        yield (
            f"augment.rising_sizes = {list(augment.rising_sizes)} needs a network that takes images of any size, "
            f"and this one of kind '{network.kind}' does not: use network.kind = 'fast', or 'cnn' with network.flatten = 'average'"
        )


def _about_layers(network: CNN | MLP, train: Train) -> Iterator[str]:
    yield from _per_layer("dense_dropout", network.dense_dropout, len(network.dense), "dense layers")
    if isinstance(network, CNN):
        yield from _per_layer("block_dropout", network.block_dropout, len(network.filters), "blocks")
    elif train.l2_convolution:
        yield f"train.l2_convolution = {train.l2_convolution} is for convolutions, and a network of kind 'mlp' has none: set it to 0"
    if network.dense:
        return
    for name in ("dense_dropout", "dense_batch_norm"):
        if getattr(network, name):
            yield f"network.{name} = {getattr(network, name)} is for the layers of network.dense, and there is none: add one, such as [128], or leave it out"
    if train.l2_dense and not train.l2_last:
        yield f"train.l2_dense = {train.l2_dense} leaves the last layer out, and network.dense has no other: set train.l2_last = true, or l2_dense to 0"


def _per_layer(field: str, value: tuple[float, ...] | float, layers: int, what: str) -> Iterator[str]:
    if isinstance(value, tuple) and len(value) != layers:
        yield f"network.{field} has {len(value)} values for {layers} {what}: give one value, or one for each"
