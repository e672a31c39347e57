"""Minutes are turned into steps before the first step, from the time that steps take here."""

from pathlib import Path
from typing import Any

import pytest

import rung
from rung.errors import RecipeError
from rung.pipeline import minutes as module
from rung.pipeline.minutes import Pace, in_minutes, paced, told
from rung.pipeline.own_parts import OwnParts
from rung.pipeline.prepare import prepare
from rung.recipe import Compute, Data, Recipe, Train

RECIPE = Recipe(data=Data(sources=("digits",), per_class=20), train=Train(batch_size=20), compute=Compute(threads=1))


@pytest.fixture(scope="module")
def digits() -> Any:
    return rung.load("digits", settings={"data.per_class": 20})


def test_steps_and_their_validations_fill_the_minutes(digits: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    ready = prepare(RECIPE, digits, OwnParts())
    an_epoch = ready.training().steps(20)
    monkeypatch.setattr(module, "paced", lambda prepared: Pace(0.5, 3.0, 1e9))
    prepared = in_minutes(ready, (2 * (an_epoch * 0.5 + 3) + 3 + 4 * 0.5 + 0.1) / 60)
    cut = prepared.recipe.train
    assert told(prepared, 0.5) == f"0.5 minutes are {2 * an_epoch + 4} steps here: 3 epochs, the last one cut short"
    assert (cut.steps, cut.epochs) == (2 * an_epoch + 4, 3)
    whole = in_minutes(ready, (2 * (an_epoch * 0.5 + 3) + 3.1) / 60).recipe.train  # a validation without a step before it is none
    assert (whole.steps, whole.epochs) == (2 * an_epoch, 2)
    with pytest.raises(RecipeError, match=r"0\.05 minutes are not enough for one step and a validation, which take 3\.5 s here"):
        in_minutes(ready, 0.05)


def test_a_pace_is_measured_and_changes_nothing(digits: Any) -> None:
    ready = prepare(RECIPE, digits, OwnParts())
    pace = paced(ready)
    assert 0 < pace.step_s < 5
    assert 0 < pace.validation_s < 5
    assert pace.operations > 1e6


@pytest.mark.parametrize("recipe", ["digits", "fast"])
def test_a_run_in_minutes_holds_its_steps_and_is_done_again_by_its_recipe(recipe: str, tmp_path: Path) -> None:
    said: list[str] = []
    run = rung.train("digits", recipe, minutes=0.02, settings={"data.per_class": 30, "compute.threads": 1}, out=tmp_path, say=said.append)
    rows = run.read_rows()
    assert [sentence for sentence in said if sentence.startswith(f"0.02 minutes are {rows[-1]['step']} step")]
    assert f"steps = {rows[-1]['step']}\n" in run.recipe.read_text()
    assert rung.train(run.recipe, out=tmp_path).read_rows() == rows


@pytest.mark.parametrize(("minutes", "settings", "words"), [
    (0.0, {}, "minutes = 0.0: give a number above 0, such as 2 or 0.5"),
    (1.0, {"train.epochs": 3}, "and so does train.epochs = 3: leave one of the two out"),
])  # fmt: skip
def test_minutes_that_mean_nothing_are_refused(minutes: float, settings: dict[str, Any], words: str, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=words):
        rung.train("digits", minutes=minutes, settings=settings, out=tmp_path)
