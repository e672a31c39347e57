"""Settings that do nothing beside the others: said, not refused, for a recipe that is being tried out may well carry them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from rung.recipe.fields import Augment, OwnNetwork
from rung.recipe.whole import Recipe, flat

Fields = Mapping[str, Any]


class _Need(NamedTuple):
    """Whether a field acts, by the values of all fields, and what it needs for that, in words."""

    acts: Callable[[Fields], bool]
    words: str


def idle(recipe: Recipe) -> list[str]:
    """Return a sentence for each field that differs from its default and does nothing, and one for a correction that is made twice."""
    fields = flat(recipe)
    defaults = flat(Recipe(network=recipe.network if isinstance(recipe.network, OwnNetwork) else type(recipe.network)()))
    said = [
        f"{name} = {fields[name]!r} does nothing: it needs {need.words}"
        for name, need in _NEEDS.items()
        if name in fields and fields[name] != defaults[name] and not need.acts(fields)
    ]
    if recipe.train.class_weights == "balanced" and recipe.train.sampling == "balanced":
        said.append("train.class_weights = 'balanced' and train.sampling = 'balanced' both make up for rare classes, together twice: keep one of them")
    return said


def idle_fields(recipe: Recipe) -> set[str]:
    """Return the fields that do nothing beside the others, whatever their values."""
    fields = flat(recipe)
    return {name for name, need in _NEEDS.items() if name in fields and not need.acts(fields)}


def _schedule(*names: str) -> _Need:
    return _Need(lambda fields: fields["train.schedule"] in names, f"train.schedule = {' or '.join(map(repr, names))}")


def _any(*names: str, words: str) -> _Need:
    return _Need(lambda fields: any(fields[name] for name in names), words)


_MOVES = ("augment.rotation_degrees", "augment.zoom_fraction", "augment.shift_fraction", "augment.shift_pixels")
_CHANGES = [f"augment.{name}" for name in Augment.model_fields if name not in ("fill", "offline_copies")]
_NEEDS = {
    "split.validation_fraction": _Need(
        lambda fields: fields["split.folds"] is None and not fields["split.validation_roots"] and fields["split.fit_on"] == "train",
        "a validation part that is drawn: no split.folds, no split.validation_roots, split.fit_on = 'train'",
    ),
    "augment.fill": _any(*_MOVES, words="a rotation, a zoom or a shift, which bring in pixels from outside"),
    "augment.offline_copies": _any(*_CHANGES, words="something that changes the copies, such as augment.flip_horizontal = true"),
    "network.padding": _Need(lambda fields: fields["network.kernel_size"] > 1, "a network.kernel_size above 1"),
    "network.pool_kind": _Need(lambda fields: fields["network.pool"] > 1, "a network.pool above 1"),
    "network.dense_activation": _any("network.dense", words="a layer in network.dense"),
    "network.defaults": _Need(
        lambda fields: fields["network.dense_batch_norm"] or fields.get("network.batch_norm", "none") != "none", "batch norm in the network"
    ),
    "train.step_epochs": _schedule("step"),
    "train.drop_factor": _schedule("step", "plateau"),
    "train.plateau_patience": _schedule("plateau"),
    "train.minimum_rate": _schedule("cosine", "plateau"),
    "train.monitor": _Need(
        lambda fields: fields["train.keep"] == "best" or fields["train.early_stopping"] is not None or fields["train.schedule"] == "plateau",
        "train.keep = 'best', train.early_stopping or train.schedule = 'plateau'",
    ),
}
