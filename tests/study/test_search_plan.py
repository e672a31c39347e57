"""The search file: what is read from it, and one clear sentence for each way it can be wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rung.errors import RecipeError
from rung.recipe import Recipe
from rung.recipes.default import digits
from rung.study.search_plan import Parameter, fitted_search, read_search, search_of

RATE = {"field": "train.learning_rate", "low": 0.001, "high": 0.1, "log": True}
WIDTH = {"field": "network.filters", "choices": [[4, 8], [8, 16]]}
GOOD: dict[str, Any] = {"data": "digits", "recipe": "digits", "parameter": [RATE, WIDTH]}


def test_a_file_is_read_with_its_defaults_and_the_referee_gets_seeds_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "my search.toml"
    path.write_text('data = "digits"\nseeds = 3\nseed = 7\n[settings]\ntrain.epochs = 4\n[[parameter]]\nfield = "learning_rate"\nlow = 0.001\nhigh = 0.1\n')
    search = fitted_search(read_search(path, {"train.batch_size": 32}), Recipe())
    assert (search.plan.name, search.trials, search.finalists, search.prune) == ("my-search", 20, 3, True)
    assert search.plan.seeds == (8, 9, 10)
    assert search.plan.settings == {"train.epochs": 4, "train.batch_size": 32}
    assert search.plan.steps == ()
    assert search.parameters == (Parameter(field="train.learning_rate", low=0.001, high=0.1),)


def test_the_example_can_be_read() -> None:
    search = fitted_search(read_search(Path(__file__).parents[2] / "examples" / "digits-search.toml"), digits())
    assert [parameter.field for parameter in search.parameters] == ["train.learning_rate", "train.label_smoothing", "augment.shift_fraction"]


def test_what_is_drawn_becomes_a_value_of_the_field() -> None:
    assert Parameter(field="network.filters", choices=([4, 8], [8, 16])).value("[8, 16]") == [8, 16]
    assert Parameter(field="x", choices=(True, "a", 0.5)).names == ["true", "a", "0.5"]
    whole = Parameter(field="train.epochs", low=2, high=9)
    assert whole.whole
    assert whole.value(5) == 5
    share = Parameter(field="train.learning_rate", low=0.0001, high=0.0123456)
    assert share.value(0.00271828) == 0.002718
    assert share.value(0.0123455) == 0.0123456, "no value leaves its bounds by being rounded"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"trails": 5}, "there is no field 'trails' in a search: did you mean 'trials'"),
        ({"rule": "score"}, "there is no field 'rule' in a search"),
        ({"data": ""}, "the search names no data"),
        ({"parameter": []}, r"the search has no parameter: write \[\[parameter\]\]"),
        ({"parameter": [3]}, "parameter 1 = 3: expected a table"),
        ({"parameter": [{"low": 1, "high": 2}]}, "parameter 1 has no field"),
        ({"parameter": [RATE | {"step": 1}]}, "parameter 1 'train.learning_rate': there is no field 'step' in a parameter"),
        ({"parameter": [RATE, WIDTH | {"low": 1}]}, "parameter 2 'network.filters' has choices and low: give choices, or low and high"),
        ({"parameter": [{"field": "train.epochs", "choices": [3]}]}, r"choices = \[3\]: expected a list of two values or more"),
        ({"parameter": [{"field": "train.epochs", "choices": [3, 3]}]}, "a value is there twice"),
        ({"parameter": [{"field": "train.epochs", "low": 3}]}, "high is missing: give low and high as numbers"),
        ({"parameter": [{"field": "train.epochs", "low": 3, "high": "9"}]}, "high = '9': give low and high as numbers"),
        ({"parameter": [{"field": "train.epochs", "low": 3, "high": 3}]}, "low = 3 is not below high = 3"),
        ({"parameter": [RATE | {"low": 0}]}, "low = 0 has no logarithm"),
        ({"parameter": [RATE | {"log": 1}]}, "log = 1: expected true or false"),
        ({"parameter": [RATE, RATE]}, "two parameters are of the field"),
        ({"trials": 0}, "trials = 0: expected a whole number from 1"),
        ({"seeds": 1}, "seeds = 1: noise is measured between seeds"),
        ({"seeds": [0, 1]}, r"seeds = \[0, 1\]: 0 is the seed of the trials"),
        ({"level": 2}, "level = 2"),
    ],
)
def test_a_wrong_file_is_refused_in_one_sentence(change: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message) as refused:
        search_of(GOOD | change, "mine.toml")
    assert str(refused.value).endswith("(in mine.toml)")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"parameter": [{"field": "train.epochz", "low": 1, "high": 2}]}, "parameter 1 'train.epochz', value '1': there is no field 'train.epochz'"),
        ({"parameter": [RATE, {"field": "train.label_smoothing", "low": 0.0, "high": 1.5}]}, "parameter 2 .*, value '1.5': train.label_smoothing = 1.5"),
        ({"parameter": [{"field": "split.validation_fraction", "low": 0.1, "high": 0.5}]}, "makes the parts, and all candidates have the same parts"),
        ({"parameter": [{"field": "seed", "low": 1, "high": 5}]}, "set seeds of the search"),
        ({"metric": "acuracy"}, "there is no metric 'acuracy'"),
        ({"settings": {"seed": 3}}, "settings: seed is set by the search"),
    ],
)
def test_what_does_not_fit_the_recipe_is_refused_before_anything_is_trained(change: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        fitted_search(search_of(GOOD | change), digits())


@pytest.mark.parametrize(("text", "message"), [("", "is empty: a search needs data"), ("data = ", "is not a TOML file"), (None, "cannot read the search")])
def test_a_file_that_is_none_is_refused(tmp_path: Path, text: str | None, message: str) -> None:
    path = tmp_path / "search.toml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(RecipeError, match=message):
        read_search(path)
