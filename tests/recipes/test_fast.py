"""The recipe that follows the data: its rules over what it is meant for, and that the data's facts are found."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import rung
from rung.models.build import build
from rung.pipeline.facts import facts_of, following
from rung.recipe import Fast
from rung.recipes.facts import CIFAR, Facts
from rung.recipes.fast import fast

MANY = [
    Facts(rows, classes, size, mirrored)
    for rows in (100, 1_437, 40_000, 10_000_000)
    for classes in (2, 1_000)
    for size in (16, 64, 224)
    for mirrored in (False, True)
]


@pytest.mark.parametrize("facts", MANY)
def test_the_rules_make_a_recipe_for_any_data(facts: Facts) -> None:
    recipe = fast(facts)
    assert isinstance(recipe.network, Fast)
    for size in (*recipe.augment.rising_sizes, facts.size):
        build(recipe.network, classes=facts.classes, channels=3, size=size, seed=0)
    assert recipe.augment.flip_horizontal == recipe.augment.flip_alternating == facts.mirrored
    assert recipe.train.evaluation_views.startswith("mirror") == facts.mirrored
    assert 2 <= recipe.train.epochs <= 80
    assert recipe.augment.rising_sizes[-1:] in ((), (facts.size,))


def test_the_time_decides_about_the_network() -> None:
    one_epoch = 40_000 * 3 * 43e6 * 0.65  # operations of the narrow network, on images that rise through three sizes
    filters = [fast(replace(CIFAR, operations=epochs * one_epoch)).network for epochs in (3, 12, 120)]
    assert [network.filters[-1] for network in filters if isinstance(network, Fast)] == [96, 128, 256]
    short, long = (fast(replace(CIFAR, operations=epochs * one_epoch)).train for epochs in (2.5, 5))
    assert long.epochs > short.epochs
    assert long.weight_decay * long.epochs == pytest.approx(short.weight_decay * short.epochs, rel=0.01)  # as much in all


def test_few_images_get_small_batches_and_many_epochs() -> None:
    assert (fast(Facts(500, 10, 32, True)).train.batch_size, fast(Facts(500, 10, 32, True)).train.epochs) == (16, 80)
    assert (fast(CIFAR).train.batch_size, fast(CIFAR).train.epochs) == (250, 5)
    assert fast(CIFAR) == fast()


def test_digits_change_when_mirrored() -> None:
    digits = rung.load("digits")
    assert facts_of(digits) == Facts(1_797, 10, 8, mirrored=False)
    assert following("fast", digits) == fast(Facts(1_797, 10, 8, mirrored=False))
    assert following("digits", digits) is None


def test_images_that_say_the_same_when_mirrored_are_known() -> None:
    draws = np.random.default_rng(0)
    labels = np.arange(600) % 3
    shades = 60 * labels[:, None, None] + draws.integers(0, 80, (600, 12, 12))
    assert facts_of(rung.from_arrays(shades.astype(np.uint8), labels)).mirrored


def test_a_run_follows_its_data_and_settings_go_before_rules(tmp_path: Path) -> None:
    run = rung.train("digits", "fast", settings={"data.per_class": 30, "train.epochs": 2, "train.learning_rate": 0.03, "compute.threads": 1}, out=tmp_path)
    text = run.recipe.read_text()
    assert "epochs = 2\n" in text
    assert "learning_rate = 0.03\n" in text
    assert "flip_horizontal = false\n" in text
    assert rung.train(run.recipe, out=tmp_path).read_rows() == run.read_rows()
