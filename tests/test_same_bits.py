"""The same recipe gives the same bits; over all recipes of `benchmarks.torture.same`: `python -m benchmarks.torture --only same-bits`."""

from pathlib import Path

import pytest

from benchmarks.torture import same
from benchmarks.torture.forks import Forks
from rung import recipe


@pytest.mark.parametrize("number", range(8))
def test_a_recipe_done_twice_gives_the_same_bits(forks: Forks, tmp_path: Path, number: int) -> None:
    assert same.twice(forks, same.RECIPES[number], tmp_path, test_between=number in (0, 5)) is None


def test_the_threads_that_read_files_change_no_bit(forks: Forks, tmp_path: Path) -> None:
    tally = same.same_for_threads(forks, tmp_path)
    assert tally.failures == []


def test_the_recipes_of_the_proof_meet_every_choice() -> None:
    """So that a new optimizer, loss or schedule is put to the proof as well."""
    met = {key: {settings.get(key) for settings in same.RECIPES} for key in ("train.optimizer", "train.schedule", "train.keep", "train.sampling")}
    for key, values in met.items():
        options = recipe.Train.model_fields[key.removeprefix("train.")].annotation
        assert set(options.__args__) - {recipe.Train().model_dump()[key.removeprefix("train.")]} <= values, key
    from rung.training.losses import LOSSES

    assert set(LOSSES) - {"cross_entropy"} <= {settings.get("train.loss") for settings in same.RECIPES}
    assert {"float32", "bfloat16"} <= {settings.get("compute.precision") for settings in same.RECIPES}
