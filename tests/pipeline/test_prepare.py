"""What a recipe leaves to the machine, the data or another field is decided before the first step, and stands in the resolved recipe."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from benchmarks.torture.runs import small
from rung import recipe as recipes
from rung.data.imageset import TEST, TRAIN, VALIDATION
from rung.data.load import load
from rung.errors import RecipeError
from rung.pipeline import prepare as module
from rung.pipeline.own_parts import OwnParts
from rung.pipeline.prepare import Prepared, prepare


@pytest.fixture(scope="module")
def digits() -> Any:
    return load(small().data, small().pixels)


def prepared(images: Any, settings: dict[str, Any]) -> Prepared:
    return prepare(recipes.change(small(), settings), images, OwnParts())


def parts(found: Prepared) -> list[list[int]]:
    return [rows.tolist() for rows in (found.splits.train, found.splits.validation, found.splits.test)]


def test_seeds_of_training_share_the_parts_of_one_split_seed(digits: Any) -> None:
    first, second, other = (prepared(digits, {"seed": seed, "split.seed": split}) for seed, split in ((1, 7), (2, 7), (1, 8)))
    assert parts(first) == parts(second) != parts(other)
    assert not np.array_equal(first.training()._order(0), second.training()._order(0))
    assert "seed 7" in first.splits.how


def test_without_a_split_seed_the_parts_follow_the_seed_and_a_run_done_again_with_another_seed_keeps_them(digits: Any) -> None:
    first, other = (prepared(digits, {"seed": seed}) for seed in (1, 2))
    assert parts(first) != parts(other)
    assert first.recipe.split.seed == 1
    again = prepare(recipes.change(first.recipe, {"seed": 2}), digits, OwnParts())
    assert parts(again) == parts(first)


OFF = {"split.folds", "train.steps", "train.clip_value", "train.clip_norm", "train.early_stopping"}  # not set means that there is none


@pytest.mark.parametrize(
    ("settings", "lacks"),
    [
        ({"train.optimizer": "muon", "train.schedule": "one_cycle"}, {"pixels.mean", "pixels.deviation"}),
        ({"train.optimizer": "sgd", "pixels.normalise": "standard"}, {"train.epsilon"}),
        ({"train.optimizer": "rmsprop", "pixels.normalise": "standard"}, {"train.nesterov"}),
        ({"train.optimizer": "adam", "pixels.normalise": "standard"}, {"train.momentum", "train.nesterov"}),
    ],
)
def test_a_resolved_recipe_leaves_nothing_open(digits: Any, settings: dict[str, Any], lacks: set[str]) -> None:
    fields = recipes.flat(prepared(digits, settings).recipe)
    found = {name: value for name, value in fields.items() if name.startswith(("pixels.", "split.", "network.", "train.", "compute."))}
    assert {name for name, value in found.items() if value is None} - OFF == lacks
    assert "auto" not in found.values()


def test_a_resolved_recipe_resolves_to_itself(digits: Any) -> None:
    first = prepared(digits, {"train.optimizer": "muon", "train.schedule": "one_cycle"})
    assert (first.recipe.train.momentum, first.recipe.train.nesterov, first.recipe.train.epsilon, first.recipe.train.warmup_fraction) == (0.95, True, 1e-7, 0.3)
    assert prepare(first.recipe, digits, OwnParts()).recipe == first.recipe


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"train.batch_size": 500}, "train.batch_size = 500 is more than the 130 training images: each step takes them all"),
        ({"split.test_fraction": 0.1}, "split.test_fraction = 0.1 does nothing: the data bring a test part of 20 images"),
        ({"split.validation_fraction": 0.1}, "split.validation_fraction = 0.1 does nothing: the data say which images validate (test: the 20"),
        ({"train.drop_factor": 0.5}, "train.drop_factor = 0.5 does nothing"),
    ],
)
def test_what_does_nothing_with_these_images_is_a_warning(digits: Any, settings: dict[str, Any], words: str) -> None:
    given = replace(digits, parts=np.repeat(np.array([TRAIN, VALIDATION, TEST], dtype=np.int8), (130, 50, 20)))
    plain = prepared(given, {}).warnings  # of the data alone
    (said,) = [sentence for sentence in prepared(given, settings).warnings if sentence not in plain]
    assert said.startswith(words)


def test_quick_checks_of_the_data_warn_before_the_training(digits: Any) -> None:
    few = digits.take(np.concatenate([np.flatnonzero(digits.labels == 0)[:2], np.flatnonzero(digits.labels != 0)]))
    given = replace(few, parts=np.repeat(np.array([TRAIN, TEST], dtype=np.int8), (len(few) - 40, 40)))
    twice = replace(given, images=np.concatenate([given.images[:-1], given.images[10:11]]), digests=np.append(given.digests[:-1], given.digests[10]))
    made = prepared(twice, {})
    assert any(problem.check == "exact-duplicates" and problem.groups[0] == (10, len(few) - 1) for problem in made.problems)
    assert any(problem.sentence.startswith("1 test image of 40") and "equal to an image in train" in problem.sentence for problem in made.problems)


def test_sizes_that_are_too_small_for_the_network_are_refused_before_the_training(digits: Any) -> None:
    with pytest.raises(RecipeError, match="halves the side 2 times, and the images have 4 pixels a side"):
        prepared(digits, {"network.kind": "fast", "network.filters": [8, 8], "augment.rising_sizes": [4, 8]})
    prepared(digits, {"network.kind": "fast", "network.filters": [8, 8], "augment.rising_sizes": [5, 8]})


def test_of_many_training_images_some_are_scored_where_each_takes_several_views(digits: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_TRAIN", 30)
    one, several = prepared(digits, {}), prepared(digits, {"train.evaluation_views": "shift", "seed": 3, "split.seed": 0})
    assert len(one.part("train")) == len(one.splits.train) > 30
    rows = several.scored("train")
    assert len(several.part("train")) == len(set(rows.tolist())) == 30
    assert set(rows.tolist()) <= set(several.splits.train.tolist())
    assert np.array_equal(rows, prepared(digits, {"train.evaluation_views": "shift", "seed": 4, "split.seed": 0}).scored("train"))
    assert len(several.part("validation")) == len(several.splits.validation)
