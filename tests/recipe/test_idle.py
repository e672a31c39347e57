import re
from typing import Any

import pytest

from rung import recipe as recipes
from rung.recipe import Recipe
from rung.recipe.idle import idle
from rung.recipes import RECIPES

IDLE = [
    ({"train.step_epochs": 3}, r"^train.step_epochs = 3 does nothing: it needs train.schedule = 'step'$", {"train.schedule": "step"}),
    ({"train.drop_factor": 0.5}, "^train.drop_factor = 0.5 does nothing: it needs train.schedule = 'step' or 'plateau'$", {"train.schedule": "plateau"}),
    ({"train.plateau_patience": 5}, "^train.plateau_patience = 5 does nothing: it needs train.schedule = 'plateau'$", {"train.schedule": "plateau"}),
    ({"train.minimum_rate": 1e-5}, "^train.minimum_rate = 1e-05 does nothing: .*'cosine' or 'plateau'$", {"train.schedule": "cosine"}),
    ({"train.monitor": "validation_accuracy", "train.keep": "last"}, "^train.monitor = 'validation_accuracy' does nothing", {"train.early_stopping": 3}),
    ({"augment.fill": "zero"}, "^augment.fill = 'zero' does nothing: it needs a rotation, a zoom or a shift", {"augment.shift_pixels": 1}),
    ({"augment.offline_copies": 2}, "^augment.offline_copies = 2 does nothing: it needs something that changes", {"augment.own": ["mine.py:f"]}),
    ({"network.pool_kind": "average", "network.pool": 1}, "^network.pool_kind = 'average' does nothing: it needs a network.pool above 1", {"network.pool": 2}),
    ({"network.padding": "valid", "network.kernel_size": 1}, "^network.padding = 'valid' does nothing: it needs a", {"network.kernel_size": 3}),
    ({"network.dense_activation": "tanh"}, "^network.dense_activation = 'tanh' does nothing: it needs a layer", {"network.dense": [8]}),
    ({"network.defaults": "torch"}, "^network.defaults = 'torch' does nothing: it needs batch norm", {"network.batch_norm": "after_activation"}),
    (
        {"split.validation_fraction": 0.1, "split.validation_roots": ["train5"]},
        "^split.validation_fraction = 0.1 does nothing: it needs a validation part that is drawn",
        {"split.validation_roots": []},
    ),
    (
        {"train.class_weights": "balanced", "train.sampling": "balanced"},
        "^train.class_weights = 'balanced' and train.sampling = 'balanced' both make up for rare classes, together twice: keep one of them$",
        {"train.sampling": "each_once"},
    ),
]  # fmt: skip


@pytest.mark.parametrize(("settings", "words", "with_effect"), IDLE, ids=[next(iter(settings)) for settings, _, _ in IDLE])
def test_what_does_nothing_is_said_and_what_acts_is_not(settings: dict[str, Any], words: str, with_effect: dict[str, Any]) -> None:
    (said,) = idle(recipes.change(Recipe(), settings))
    assert re.search(words, said)
    assert idle(recipes.change(Recipe(), settings | with_effect)) == []


@pytest.mark.parametrize("name", RECIPES)
def test_no_recipe_that_comes_along_has_an_idle_setting(name: str) -> None:
    assert idle(RECIPES[name]()) == []


@pytest.mark.parametrize("network", [{"kind": "mlp"}, {"kind": "own", "source": "mine.py:net"}])
def test_other_kinds_of_network_have_nothing_idle_by_default(network: dict[str, str]) -> None:
    assert idle(recipes.parse({"network": network})) == []
