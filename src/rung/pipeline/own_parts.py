"""The user's own objects of one training: gathered from the recipe and from Python, kept with the run."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import nn

from rung import own
from rung.errors import RecipeError
from rung.own import Own
from rung.recipe import OwnNetwork, Recipe

_TAKEN = ("loss", "accuracy", "objective")  # validation_<name> of these is what the loop itself measures


@dataclass(frozen=True)
class OwnParts:
    """What the user brings; empty where rung's own parts are used."""

    network: Own | None = None
    loss: Own | None = None
    metrics: tuple[Own, ...] = ()
    augmentations: tuple[Own, ...] = ()
    callbacks: tuple[Own, ...] = ()

    def all(self) -> list[Own]:
        """Return every object there is."""
        return [part for part in (self.network, self.loss, *self.metrics, *self.augmentations, *self.callbacks) if part is not None]

    def network_factory(self) -> Callable[..., nn.Module] | None:
        """Return what makes the network; a network passed as made is copied, so that its owner's stays as it is."""
        if self.network is None:
            return None
        made = self.network.call
        return (lambda: copy.deepcopy(made)) if isinstance(made, nn.Module) else made


def gather(
    recipe: Recipe,
    base: Path | None,
    *,
    network: Any = None,
    loss: Any = None,
    metrics: Sequence[Any] = (),
    augmentations: Sequence[Any] = (),
    callbacks: Sequence[Any] = (),
) -> tuple[Recipe, OwnParts]:
    """Load what the recipe names as file.py:name, add what was passed in Python, and return both with the recipe naming all.

    Raises: RecipeError where a file or a name is not there, or a metric's name is taken.
    """
    train, augment = recipe.train, recipe.augment
    parts = OwnParts(
        network=own.wrap(network) if network is not None else own.load(recipe.network.source, base) if isinstance(recipe.network, OwnNetwork) else None,
        loss=own.wrap(loss) if loss is not None else own.load(train.loss, base) if own.is_own(train.loss) else None,
        metrics=(*(own.load(spec, base) for spec in train.metrics), *map(own.wrap, metrics)),
        augmentations=(*(own.load(spec, base) for spec in augment.own), *map(own.wrap, augmentations)),
        callbacks=(*(own.load(spec, base) for spec in train.callbacks), *map(own.wrap, callbacks)),
    )
    names = [metric.name for metric in parts.metrics]
    for name in names:
        if name in _TAKEN or names.count(name) > 1:
            raise RecipeError(f"a metric of yours is called '{name}', which is taken ({', '.join(_TAKEN)}, or another of yours): give it another name")
    return _named(recipe, parts), parts


def _named(recipe: Recipe, parts: OwnParts) -> Recipe:
    names = {"metrics": parts.metrics, "callbacks": parts.callbacks}
    train = recipe.train.model_copy(update={key: tuple(part.origin for part in value) for key, value in names.items()})
    if parts.loss:
        train = train.model_copy(update={"loss": parts.loss.origin})
    return recipe.model_copy(
        update={
            "train": train,
            "augment": recipe.augment.model_copy(update={"own": tuple(part.origin for part in parts.augmentations)}),
            "network": OwnNetwork(source=parts.network.origin) if parts.network else recipe.network,
        }
    )


def kept_with_run(recipe: Recipe, parts: OwnParts) -> tuple[Recipe, dict[str, str]]:
    """Return the recipe as the run stores it, and the files to write beside it: {"source/mine.py": text}.

    The stored recipe names the stored copies, so that the run can be done again when the originals have moved.
    """
    files: dict[str, str] = {}

    def kept(part: Own) -> Own:
        file, _, name = part.origin.rpartition(":")
        stem = Path(file).stem
        path = next(
            candidate
            for number in range(len(files) + 1)
            if files.get(candidate := f"source/{stem}{f'_{number}' if number else ''}.py", part.source) == part.source
        )
        files[path] = part.source
        return replace(part, origin=f"{path}:{name}")

    stored = OwnParts(
        network=kept(parts.network) if parts.network else None,
        loss=kept(parts.loss) if parts.loss else None,
        metrics=tuple(map(kept, parts.metrics)),
        augmentations=tuple(map(kept, parts.augmentations)),
        callbacks=tuple(map(kept, parts.callbacks)),
    )
    return _named(recipe, stored), files
