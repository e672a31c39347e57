"""The recipes that rung brings, by name. A recipe is a function that returns a Recipe; its module opens with the document.

Those of FOLLOWING take the Facts of the data and follow them; without any they are those of CIFAR-10.
"""

from __future__ import annotations

from collections.abc import Callable

from rung.recipe import Recipe
from rung.recipes import backprop, cnn_ladder, default, fast, model_s, omnivores
from rung.recipes.facts import Facts

RECIPES: dict[str, Callable[..., Recipe]] = {
    "default": default.default,
    "digits": default.digits,
    "fast": fast.fast,
    "model_s": model_s.model_s,
    "backprop_mlp": backprop.backprop_mlp,
    "backprop_cnn": backprop.backprop_cnn,
    "omnivores": omnivores.omnivores,
    "cnn_1": cnn_ladder.cnn_1,
    "cnn_9": cnn_ladder.cnn_9,
}

FOLLOWING: dict[str, Callable[[Facts], Recipe]] = {"fast": fast.fast}


def smoke(recipe: Recipe) -> Recipe:
    """Return the same path in seconds: two epochs on 20 images a class, scaled to the size the network was made for."""
    size = recipe.pixels.size if isinstance(recipe.pixels.size, int) else 32
    return recipe.model_copy(
        update={
            "name": f"{recipe.name}-smoke",
            "data": recipe.data.model_copy(update={"per_class": 20}),
            "pixels": recipe.pixels.model_copy(update={"size": size}),
            "train": recipe.train.model_copy(update={"epochs": 2, "batch_size": min(recipe.train.batch_size, 64)}),
        }
    )
