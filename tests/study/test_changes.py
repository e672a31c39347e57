"""What a row changes, and what its start has, in the values that act."""

from __future__ import annotations

from rung import replays
from rung.recipe import change
from rung.study.changes import changed_text
from rung.study.system import System
from rung.study.system_rows import places, recipe_named


def told(step: str) -> dict[str, str]:
    system: System = replays.system("backprop")
    rows = [place for place in places(system) if place.ladder == "cnn" and place.step == step]
    recipes = [change(recipe_named(place.recipe), place.settings) for place in rows]
    return {place.candidate: changed_text(recipes[0], recipe, place.settings) for place, recipe in zip(rows, recipes, strict=True)}


def test_what_is_not_set_is_written_as_its_default() -> None:
    assert told("optimizer") == {
        "start": "",
        "SGD": "`train.optimizer` = sgd, `train.learning_rate` = 0.01",
        "SGD, momentum 0.9": "`train.optimizer` = sgd, `train.learning_rate` = 0.01, `train.momentum` = 0.9",
        "RMSprop": "`train.optimizer` = rmsprop",
    }


def test_what_does_nothing_is_left_out() -> None:
    assert told("schedule")["constant"] == "`train.schedule` = constant"


def test_the_start_has_the_values_that_candidates_change() -> None:
    found = [place.label for place in places(replays.system("backprop")) if place.candidate == "start" and place.ladder == "cnn"]
    assert found == [
        "start (relu)", "start (cross_entropy)", "start (adam, 0.001)", "start (0.001)", "start (0.001)", "start (glorot_uniform)", "start (plateau, 0.0001)",
        "start (5)", "start",
    ]  # fmt: skip
