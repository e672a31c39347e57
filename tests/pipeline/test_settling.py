"""Averages of batch norm that have not settled are said before the first step, where answers would be taken by them."""

from typing import Any

import pytest
from torch import nn

import rung
from rung.pipeline.minutes import steps_per_epoch
from rung.pipeline.own_parts import OwnParts
from rung.pipeline.prepare import Prepared, prepare
from rung.pipeline.settling import unsettled
from rung.recipe import Recipe, change
from rung.recipes import RECIPES


@pytest.fixture(scope="module")
def digits() -> Any:
    return rung.load("digits", settings={"data.per_class": 50})


def ready(digits: Any, **settings: Any) -> Prepared:
    start: Recipe = change(RECIPES["model_s"](), {"train.batch_size": 20} | {name.replace("__", "."): value for name, value in settings.items()})
    return prepare(start, digits, OwnParts())


def test_a_training_of_few_steps_is_said_to_end_before_its_averages_have_settled(digits: Any) -> None:
    few = ready(digits, train__epochs=3)
    steps = 3 * steps_per_epoch(few)
    (sentence,) = unsettled(few)
    assert f"move by 1\u202f% a step: after the {steps} steps of this training, {100 * 0.99**steps:.1f}\u202f% of what they begin as is left" in sentence
    assert "--set network.defaults=torch" in sentence
    assert not unsettled(ready(digits, train__epochs=3, network__defaults="torch")), "0.9 to the power of 60 is nothing"


def test_a_rule_that_acts_before_they_have_settled_is_named(digits: Any) -> None:
    settings = {"train__epochs": 100, "train__early_stopping": None, "train__plateau_patience": 2}
    (sentence,) = unsettled(ready(digits, **settings))
    assert "after the 3 epochs that train.plateau_patience waits at least" in sentence
    assert not unsettled(ready(digits, **settings, train__schedule="constant"))
    (sentence,) = unsettled(ready(digits, **settings | {"train__early_stopping": 4}, train__schedule="constant"))
    assert "after the 5 epochs that train.early_stopping waits" in sentence


def test_a_network_without_batch_norm_has_nothing_to_settle(digits: Any) -> None:
    plain = ready(digits, train__epochs=1, network__batch_norm="none")
    assert not any(isinstance(module, nn.BatchNorm2d) for module in plain.network().modules())
    assert not unsettled(plain)


def test_it_is_said_before_the_first_step_and_kept_with_the_run(tmp_path: Any) -> None:
    said: list[str] = []
    settings = {"data.per_class": 10, "train.epochs": 1, "compute.threads": 1}
    run = rung.train("digits", "model_s", settings=settings, out=tmp_path, say=said.append)
    assert any("warning: the averages that batch norm answers by" in sentence for sentence in said)
    assert any("the averages that batch norm answers by" in sentence for sentence in run.read_data()["warnings"])
