"""The whole recipe, its fields by name, and what they say."""

from __future__ import annotations

from typing import Any, Self, get_args

import pydantic
from pydantic import Field

from rung.recipe.fields import CNN, Augment, Compute, Data, Network, Part, Pixels, Seed, Split, Train
from rung.recipe.rules import contradictions


class Recipe(Part):
    """A whole experiment."""

    name: str = Field("recipe", pattern=r"^[A-Za-z0-9_.-]{1,64}$", description="a word for lists and folders")
    why: str = Field("", description="why this run is made; carried into the report")
    notes: str = Field("", description="your own notes; carried into the report")
    costs: str = Field(
        "", description="CSV file with the cost of each answer (rows: true class, columns: answered class), for the score 'cost'; kept with the run"
    )
    seed: Seed = Field(0, description="of every random draw; of those that make the parts, unless split.seed is set")
    data: Data = Data()
    pixels: Pixels = Pixels()
    split: Split = Split()
    augment: Augment = Augment()
    network: Network = CNN()
    train: Train = Train()
    compute: Compute = Compute()

    @pydantic.model_validator(mode="after")
    def _fits_together(self) -> Self:
        for problem in contradictions(self):
            raise ValueError(problem)
        return self


def flat(recipe: Recipe) -> dict[str, Any]:
    """Return every field as {"train.epochs": 10, ...}, in the order of definition."""
    fields: dict[str, Any] = {}
    for name in Recipe.model_fields:
        value = getattr(recipe, name)
        if isinstance(value, Part):
            fields |= {f"{name}.{key}": getattr(value, key) for key in type(value).model_fields}
        else:
            fields[name] = value
    return fields


def describe(recipe: Recipe) -> dict[str, str]:
    """Return the description of every field of `flat(recipe)`, with the values it may take."""
    texts: dict[str, str] = {}
    for name in flat(recipe):
        part, _, key = name.rpartition(".")
        owner: type[Part] = type(getattr(recipe, part)) if part else Recipe
        texts[name] = owner.model_fields[key].description or ""
        options = get_args(owner.model_fields[key].annotation)
        if options and all(isinstance(o, str) for o in options) and len(options) > 1:
            texts[name] += f" ({' | '.join(options)})"
    return texts
