"""The pilot behind `rung noise`: what is trained, what is read again, what it says, what it refuses."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

import rung
from rung.errors import RecipeError, RunError
from rung.recipe import Recipe, Split
from rung.store import arrays
from rung.study import noise as pilots
from rung.study.entrants import Entrant, Results
from rung.study.measured import Measured
from rung.study.metrics import metric_named
from rung.study.noise import Pilot, Question, in_unit, number_text, other_parts, pilot, sentences
from rung.study.power import Estimate
from rung.study.resolved import Resolved
from tests.command import Rung, caller

QUICK = {"data.per_class": 30, "train.epochs": 4, "train.learning_rate": 0.01, "network.filters": [4], "network.convolutions": 1}


def measured(values: Sequence[float], images: int = 0, share: bool = True) -> Measured:
    drawn = np.random.default_rng(0)
    of_images = None
    if images:
        of_images = (drawn.random((len(values), images)) < np.array(values)[:, None]).astype(np.float64)
        values = tuple(of_images.mean(axis=1))
    return Measured("one", 1, 1, tuple(range(len(values))), np.array(values, dtype=np.float64), of_images, share)


def plain(found: Pilot) -> list[str]:
    return [sentence.replace("\u202f", " ") for sentence in sentences(found)]


def test_a_pilot_says_what_five_seeds_show_and_what_half_a_point_takes() -> None:
    found = pilot(Question("digits", "mine", "accuracy"), measured((0.97, 0.98, 0.975, 0.972, 0.978)), ["a"] * 5)
    first, second, third = plain(found)
    assert first.startswith("5 seeds of mine on digits: accuracy 97.50 % in the mean. From seed to seed it varies by 0.41 points (0.25 to 1.18)")
    assert second.startswith("With 5 seeds a candidate the smallest difference that shows is ")
    assert "in 80 of 100 first steps with one candidate, at an error of 5 % for the whole ladder" in second
    assert third.startswith("A difference of 0.50 points takes ")
    assert set(found.smallest) == {2, 3, 5, 10, 20}
    sizes = [estimate.value for estimate in found.smallest.values()]
    assert sizes == sorted(sizes, reverse=True), "more seeds show smaller differences"
    assert all(estimate.low < estimate.value < estimate.high for estimate in found.smallest.values())


def test_with_images_it_says_how_many_test_images_are_needed() -> None:
    found = pilot(Question("digits", "mine", "accuracy", 0.01), measured((0.9, 0.9, 0.9), images=400), ["a"] * 3)
    assert found.forecast is not None
    assert found.forecast.images is not None
    assert any("of the 400 validation images: one is right there and the other wrong" in sentence for sentence in plain(found))
    assert any(sentence.startswith("Between two single networks, scored once, it takes ") for sentence in plain(found))


def test_more_candidates_need_a_larger_difference() -> None:
    values = measured((0.97, 0.98, 0.975, 0.972, 0.978))
    one, ten = (pilot(Question("d", "r", "accuracy", candidates=candidates), values, []) for candidates in (1, 10))
    assert one.smallest[5].value < ten.smallest[5].value
    assert "with 10 candidates, which share the error" in " ".join(plain(ten))


def test_a_loss_is_said_as_it_stands_in_the_scores_and_has_no_usual_difference() -> None:
    found = pilot(Question("digits", "mine", "loss"), measured((-0.11, -0.12, -0.10), share=False), [])
    assert found.values == (0.11, 0.12, 0.10)
    assert found.noise.mean == pytest.approx(0.11)
    assert found.forecast is None
    assert "loss 0.1100 in the mean" in plain(found)[0]


def test_other_parts_are_folds_that_leave_the_test_part_as_it_is() -> None:
    start = Recipe(split=Split(validation_fraction=0.25))
    assert other_parts(start, 3) == [{"split.folds": 4, "split.fold": fold} for fold in range(3)]
    assert other_parts(start, 6)[5] == {"split.folds": 6, "split.fold": 5}
    assert other_parts(start, 0) == []


@pytest.mark.parametrize(
    ("found", "text"), [(Estimate(13.2, 6, 110.7, 0.95), "14 (6 to 111)"), (Estimate(math.inf, 20_000, math.inf, 0.95), "no limit (20,000 to no limit)")]
)
def test_foretold_numbers_are_rounded_up(found: Estimate, text: str) -> None:
    assert number_text(found) == text


def test_differences_are_points_of_shares_only() -> None:
    assert in_unit(0.5, "accuracy") == pytest.approx(0.005)
    assert in_unit(0.5, "loss") == 0.5
    assert in_unit(None, "accuracy") is None


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"seeds": 1}, "seeds = 1: noise is measured between seeds, so a pilot needs two"),
        ({"seeds": [3, 3]}, r"seeds = \[3, 3\]: .* two different ones"),
        ({"splits": 1}, "splits = 1: one part has nothing to vary with"),
        ({"candidates": 0}, "candidates = 0: expected how many"),
        ({"difference": -1.0}, "difference = -1: expected a difference to be seen, above 0"),
        ({"settings": {"seed": 3}}, "seed is what noise is measured by"),
        ({"metric": "acuracy"}, "there is no metric 'acuracy': did you mean 'accuracy'"),
        ({"settings": {"split.fit_on": "train+validation", "train.keep": "last"}}, "leaves no validation part"),
        ({"seeds": "five"}, r"rung.noise: seeds is 'five' \(str\): expected how many seeds, or a list of them"),
    ],
)
def test_what_no_pilot_can_have_is_refused_before_anything_is_trained(words: dict[str, object], message: str, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=message):
        rung.noise("digits", "digits", out=tmp_path, **words)  # type: ignore[arg-type]
    assert not list(tmp_path.rglob("recipe.toml"))


def test_seeds_that_all_score_the_same_show_no_noise() -> None:
    with pytest.raises(RunError, match="all 3 seeds have the same score"):
        pilot(Question("d", "r", "accuracy"), measured((0.9, 0.9, 0.9)), [])


def test_a_small_set_is_tried_on_other_parts_too_and_asked_again_nothing_is_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    said: list[tuple[int, int]] = []
    found = rung.noise("digits", "digits", seeds=2, settings=QUICK, out=tmp_path, workers=1, staged=lambda done, total: said.append((done, total)))
    runs = sorted(path.name for path in (tmp_path / "noise" / "runs").iterdir() if (path / "scores.json").exists())
    assert sorted([*found.runs, *found.part_runs]) == runs
    assert len(runs) == 4
    assert found.parts is not None
    assert found.parts.seeds == 2
    assert said[0] == (0, 2)
    assert said[-1] == (2, 2)
    parts = [arrays.read(tmp_path / "noise" / "runs" / run / "splits.safetensors")[0] for run in (*found.runs, *found.part_runs)]
    assert len({rows["test"].tobytes() for rows in parts}) == 1, "the sealed rows stay sealed"
    assert len({rows["validation"].tobytes() for rows in parts}) == 3

    monkeypatch.setattr("rung.workbench.train", lambda *args, **words: pytest.fail("a finished run was trained again"))
    command: Rung = caller(monkeypatch, capsys)
    options = [word for name, value in QUICK.items() for word in ("--set", f"{name}={value}")]
    again = command("noise", "digits", "--recipe", "digits", "--seeds", "2", *options, "--workers", "1", "--out", tmp_path, "--difference", "3", "--json")
    assert again.code == 0, again.err
    values = json.loads(again.out)
    assert values["values"] == list(found.values)
    assert values["forecast"]["difference"] == pytest.approx(0.03)
    shown = command("noise", "digits", "--recipe", "digits", "--seeds", "2", *options, "--workers", "1", "--out", tmp_path, "--splits", "0")
    assert "smallest difference that shows" in shown.out
    assert "other validation parts" not in shown.out


def test_a_training_that_diverges_ends_the_pilot(tmp_path: Path) -> None:
    one = Entrant("mine", {}, {}, Resolved("", 1, 1, ("a", "b"), 1), failed="with seed 1 the loss is not finite")
    with pytest.raises(RunError, match="the noise of mine cannot be measured: with seed 1 the loss is not finite"):
        pilots._measured(one, Results(tmp_path, metric_named("accuracy")))
