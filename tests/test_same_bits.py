"""The same recipe gives the same bits; over all recipes of `benchmarks.torture.same`: `python -m benchmarks.torture --only same-bits`."""

import random
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.torture import runs, same
from benchmarks.torture.forks import Forks
from rung import recipe, workbench
from rung.training.loop import EpochEnd


@pytest.mark.parametrize("number", range(8))
def test_a_recipe_done_twice_gives_the_same_bits(forks: Forks, tmp_path: Path, number: int) -> None:
    assert same.twice(forks, same.RECIPES[number], tmp_path, test_between=number in (0, 5)) is None


def test_the_threads_that_read_files_change_no_bit(forks: Forks, tmp_path: Path) -> None:
    tally = same.same_for_threads(forks, tmp_path)
    assert tally.failures == []


def test_the_cache_of_decoded_images_changes_no_bit(tmp_path: Path) -> None:
    tally = same.same_for_cache(tmp_path)
    assert (tally.total, tally.failures) == (4, [])


def test_what_else_draws_and_evaluates_in_between_changes_no_bit(tmp_path: Path) -> None:
    """A callback leaves the network in evaluation mode, answers with it, and draws from every generator."""

    def meddle(end: EpochEnd) -> None:
        end.model.eval()
        with torch.no_grad():
            end.model(torch.rand(7, 1, 8, 8))
        np.random.default_rng().random()
        random.random()

    wanted = recipe.change(runs.small(), {"network.block_dropout": 0.3, "augment.shift_pixels": 1.0})
    calm = workbench.train("digits", wanted, out=tmp_path, name="calm")
    disturbed = workbench.train("digits", wanted, out=tmp_path, name="disturbed", callbacks=[meddle])
    assert same.digests(disturbed.folder) == same.digests(calm.folder)
    assert len(same.digests(calm.folder)) == 4


def test_the_proof_on_a_gpu_does_what_it_says_where_there_is_none(forks: Forks, tmp_path: Path) -> None:
    """The code of the proof is held to here; that a GPU gives the same bits is not."""
    if not torch.cuda.is_available():
        assert same.same_on_gpu(forks, tmp_path, 1).note == "could not be run: torch sees no GPU here"
    tally = same.same_on_gpu(forks, tmp_path, 1, device="cpu")
    assert (tally.total, tally.failures) == (1, [])
    assert re.fullmatch(r"training took \d+\.\d\d times as long as without", tally.note)


def test_the_recipes_of_the_proof_meet_every_choice() -> None:
    """So that a new optimizer, loss or schedule is put to the proof as well."""
    met = {key: {settings.get(key) for settings in same.RECIPES} for key in ("train.optimizer", "train.schedule", "train.keep", "train.sampling")}
    for key, values in met.items():
        options = recipe.Train.model_fields[key.removeprefix("train.")].annotation
        assert set(options.__args__) - {recipe.Train().model_dump()[key.removeprefix("train.")]} <= values, key
    from rung.training.losses import LOSSES

    assert set(LOSSES) - {"cross_entropy"} <= {settings.get("train.loss") for settings in same.RECIPES}
    assert {"float32", "bfloat16"} <= {settings.get("compute.precision") for settings in same.RECIPES}
