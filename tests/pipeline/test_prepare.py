"""What a recipe leaves to the machine, the data or another field is decided before the first step, and stands in the resolved recipe."""

from typing import Any

import numpy as np
import pytest

from benchmarks.torture.runs import small
from rung import recipe as recipes
from rung.data.load import load
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
