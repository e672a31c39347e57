"""Candidates of a study before they are trained: which recipe each is once the data have been seen, as `ready` would make it."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from rung.data import pixels as pixel_rules
from rung.data.imageset import ImageSet
from rung.models.build import build, flops, parameter_counts
from rung.pipeline import own_parts, starting
from rung.pipeline.facts import following
from rung.pipeline.own_parts import OwnParts
from rung.pipeline.prepare import Progress, load_images
from rung.pipeline.ready import data_recipe, recipe_named
from rung.recipe import Recipe, to_toml
from rung.study.changes import acting
from rung.study.resolved import Resolved
from rung.training.schedules import written_out

_HELD: Final = 2  # sets of images that are held at once: that of the step's start and that of a candidate which changes the data


class Candidates:
    """Resolves the candidates of one study. recipe: the name or file that all start from; sources: the data of all."""

    def __init__(self, sources: Sequence[str], recipe: str, progress: Progress | None = None) -> None:
        self._sources, self._recipe, self._progress = tuple(sources), recipe, progress
        self._base = Path(recipe).parent if recipe.endswith(".toml") else None
        self._images: OrderedDict[str, ImageSet] = OrderedDict()
        self._followed: dict[str, Recipe | None] = {}

    def start(self) -> Recipe:
        """Return the recipe that all start from, as it is before the data have been seen."""
        return recipe_named(self._recipe)

    def resolve(self, settings: Mapping[str, Any]) -> Resolved:
        """Return what a candidate with these settings is.

        Raises: RecipeError or DataError where its training would be refused for its recipe or its data.
        """
        wanted, own = self._wanted(self.start(), settings)
        where = to_toml(Recipe(data=wanted.data, pixels=wanted.pixels))
        images = self._load(where, wanted)
        if where not in self._followed:
            self._followed[where] = following(self._recipe, images)
        if followed := self._followed[where]:
            wanted, own = self._wanted(followed, settings)
        whole = wanted.model_copy(
            update={
                "name": "recipe",
                "why": "",
                "notes": "",
                "seed": 0,
                "train": written_out(wanted.train),
                "pixels": pixel_rules.resolved(wanted.pixels, images),
            }
        )
        size, channels = wanted.augment.crop or images.images.shape[1], images.images.shape[3]
        with own_parts.explained(own):
            network = build(wanted.network, classes=len(images.classes), channels=channels, size=size, seed=0, own=own.network_factory())
            operations = flops(network, channels, size)
        if own.start:
            starting.check(own.start, network, wanted, images.classes)
        return Resolved(
            identity=_identity(whole, own, images),
            parameters=parameter_counts(network).total,
            flops=operations,
            classes=images.classes,
            epochs=wanted.train.epochs,
            values=acting(whole),
        )

    def _wanted(self, start: Recipe, settings: Mapping[str, Any]) -> tuple[Recipe, OwnParts]:
        return own_parts.gather(data_recipe(start, self._sources, settings=settings), self._base)

    def _load(self, where: str, wanted: Recipe) -> ImageSet:
        if where not in self._images:
            while len(self._images) >= _HELD:
                self._images.popitem(last=False)
            self._images[where] = load_images(wanted, self._progress)
        self._images.move_to_end(where)
        return self._images[where]


def _identity(recipe: Recipe, own: OwnParts, images: ImageSet) -> str:
    nameless = {
        "data": recipe.data.model_copy(update={"sources": ()}),
        "network": recipe.network.model_copy(update={"start": None}),
    }
    digest = hashlib.sha256(to_toml(recipe.model_copy(update=nameless)).encode())
    if own.start:
        digest.update(own.start.sha256.encode())
    for text in (*(part.source for _, part in own.all()), own.costs.text if own.costs else "", *images.classes, images.content_hash()):
        digest.update(b"\0" + text.encode())
    return digest.hexdigest()
