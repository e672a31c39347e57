"""Climbing: what is trained, what is decided, what is said, in worlds where trainings take no time."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rung.errors import RecipeError, RunError
from rung.study.ladder import FILE, RUNS, ladder_from_json, read_ladder
from rung.study.plan import START
from tests.study.worlds_of_climbs import IMAGES, World, step

EPOCHS = step("train.epochs", 15, 8)
BATCH = step("train.batch_size", 16, 32)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "ladder")


def table(world: World) -> str:
    return (world.folder / FILE).read_text()


def test_the_winner_of_a_step_is_carried_on(world: World) -> None:
    found = world.climb(world.plan(EPOCHS, BATCH))
    first, second = found.steps
    assert (first.kept, first.state, first.verdict and first.verdict.kept) == ("15", "decided", "15")
    assert (second.kept, found.winner, found.settings, found.ended) == (START, "15 of step 1", {"train.epochs": 15}, True)
    assert second.start.values == first.named("15").values
    assert second.start.runs == first.named("15").runs, "its runs were not taken from the step before"
    assert found.fall is not None
    assert found.fall.score == pytest.approx(np.mean(second.start.values))
    assert found.fall.reason.startswith("“15” of step 1 has "), "what an earlier step kept is not the ladder's start"
    assert read_ladder(world.folder) == found
    assert ladder_from_json(json.loads(json.dumps(found.to_json()))) == found


def test_nothing_is_trained_twice_and_a_second_climb_gives_the_same_bytes(world: World) -> None:
    plan = world.plan(EPOCHS, BATCH)
    found = world.climb(plan)
    assert len(world.trained) == len(set(world.trained))
    before = table(world)
    assert world.climb(plan, found) == found
    assert world.trained == []
    assert table(world) == before


def test_a_climb_that_lost_runs_anywhere_gives_the_same_bytes(world: World) -> None:
    """As if it had been stopped before they ended."""
    plan = world.plan(EPOCHS, BATCH)
    world.climb(plan)
    before, runs = table(world), sorted((world.folder / RUNS).iterdir())
    for lost in (runs[::2], runs[1:5], runs):
        for run in lost:
            shutil.rmtree(run)
        world.climb(plan)
        assert len(world.trained) == len(lost)
        assert table(world) == before


def test_a_step_that_is_added_takes_what_ran(world: World) -> None:
    first = world.climb(world.plan(EPOCHS))
    longer = world.climb(world.plan(EPOCHS, BATCH), first)
    assert all("'train.batch_size'" in label and "start" not in label for label in world.trained)
    assert longer.steps[0] == first.steps[0]


def test_racing_drops_what_cannot_win_and_only_that(world: World) -> None:
    candidates = step("train.epochs", 11, 12, 2)
    found = world.climb(world.plan(candidates, seeds=5)).steps[0]
    assert [one.dropped_after for one in found.candidates] == [None, None, 3]
    assert len(found.named("2").runs) == 3
    assert "Racing dropped “2” after 3 seeds: it could not win any more." in found.told
    assert found.verdict is not None
    assert [one.verdict for one in found.verdict.differences if one.name == "2"] == ["dropped"]
    slow = world.climb(world.plan(candidates, seeds=5, race=False)).steps[0]
    assert len(slow.named("2").runs) == 5
    assert slow.kept == found.kept
    other = world.climb(world.plan(candidates, seeds=5, rule="score_gap_size")).steps[0]
    assert len(other.named("2").runs) == 5, "another rule may keep what the referee would drop"


def test_networks_of_one_recipe_are_named_before_anything_is_trained(world: World) -> None:
    group = {
        "name": "twice",
        "group": [{"name": "v2", "train.batch_size": 16}, {"name": "v4", "train.batch_size": 16}, {"name": "as before", "train.epochs": 10}],
    }
    found = world.climb(world.plan(group)).steps[0]
    assert (found.named("v4").same_as, found.named("v4").same_how) == ("v2", "recipe")
    assert (found.named("as before").same_as, found.named("v2").same_as) == (START, "")
    assert found.told[0] == "“v4” is the same network as “v2”: its whole recipe is equal, and it is not trained again."
    assert found.verdict is not None
    assert [one.name for one in found.verdict.differences] == ["v2"]
    assert not any("v4" in label or "as before" in label for label in world.trained)
    assert found.named("v4").values == found.named("v2").values


def test_a_network_of_an_earlier_step_is_named(world: World) -> None:
    again = {"name": "again", "group": [{"name": "back", "train.epochs": 8}]}
    found = world.climb(world.plan(EPOCHS, again)).steps[1]
    assert found.told[0] == "“back” is the same network as “8” of step 1: its runs are taken from there."
    assert not any("'back' with seed 0" in label for label in world.trained)


def test_networks_of_equal_weights_are_named_afterwards(world: World) -> None:
    world.idle = ("network.pool_kind",)
    found = world.climb(world.plan(step("network.pool_kind", "average"))).steps[0]
    assert (found.named("average").same_as, found.named("average").same_how) == (START, "weights")
    assert "“average” gave the very weights and answers of “start” with every seed: what it changes does nothing here." in found.told
    assert (found.kept, found.verdict) == (START, None)
    assert found.reason == "“start” stays: no candidate is left to compare with it."


def test_a_candidate_that_diverges_is_left_out_and_not_tried_again(world: World) -> None:
    world.diverges = lambda settings, seed: settings.get("train.learning_rate") == 9.0 and seed == 1
    plan = world.plan(step("train.learning_rate", 9.0, 0.1))
    found = world.climb(plan)
    one = found.steps[0].named("9.0")
    assert one.failed == "with seed 1 the loss is not finite at step 3"
    assert "“9.0” has no score: with seed 1 the loss is not finite at step 3" in found.steps[0].told
    assert found.steps[0].verdict is not None
    assert [difference.name for difference in found.steps[0].verdict.differences] == ["0.1"]
    assert world.climb(plan, found) == found
    assert world.trained == []


def test_a_start_that_diverges_ends_the_climb(world: World) -> None:
    world.diverges = lambda settings, seed: seed == 1
    with pytest.raises(RunError, match=r"^step 1 'train.epochs', has no start to compare with: with seed 1 the loss is not finite"):
        world.climb(world.plan(EPOCHS))


def test_a_spent_budget_keeps_the_start_and_says_so(world: World) -> None:
    """Step 1 has 3 networks with 5 seeds of a minute each, step 2 two more."""
    plan = world.plan(EPOCHS, BATCH, budget_minutes=17, race=False)
    found = world.climb(plan)
    assert [one.state for one in found.steps] == ["decided", "not begun"]
    assert (found.ended, found.steps[1].kept, found.steps[1].reason) == (False, START, "Not begun: the budget is spent.")
    assert found.told == ("The budget of 17 minutes of training was spent in step 2: a larger budget_minutes goes on from here.",)
    assert world.climb(plan, found) == found
    found = world.climb(world.plan(EPOCHS, BATCH, budget_minutes=20, race=False), found)
    assert [one.state for one in found.steps] == ["decided", "budget spent"]
    assert found.steps[1].reason == "It cannot be told at this budget: it is spent."
    assert len(found.steps[1].candidates[0].values) == 2
    found = world.climb(world.plan(EPOCHS, BATCH, budget_minutes=60, race=False), found)
    assert [one.state for one in found.steps] == ["decided", "decided"]
    assert (found.ended, found.told) == (True, ())


def test_a_budget_too_small_for_two_seeds_is_refused(world: World) -> None:
    sentence = r"^budget_minutes = 5 is too small for two seeds: one training takes up to 1 min, and 6 are needed, .* write budget_minutes = 6 or more$"
    for _ in range(2):
        with pytest.raises(RecipeError, match=sentence):
            world.climb(world.plan(EPOCHS, budget_minutes=5))
    assert world.trained == [], "the trial was not taken from the first time"
    world.climb(world.plan(EPOCHS, budget_minutes=6))
    assert len(world.trained) == 5, "the budget that was named does not do"


def test_time_decides_nothing_else(world: World, tmp_path: Path) -> None:
    slow = World(tmp_path / "slow", seconds=500.0)
    assert world.climb(world.plan(EPOCHS, BATCH)) == slow.climb(slow.plan(EPOCHS, BATCH))


@pytest.mark.parametrize(("metric", "natural"), [("loss", False), ("macro_f1", True), ("balanced_accuracy", True)])
def test_other_metrics(world: World, metric: str, natural: bool) -> None:
    """A loss is better where it is lower, and stands in the record as in scores.json."""
    found = world.climb(world.plan(EPOCHS, metric=metric)).steps[0]
    assert found.kept == "15"
    assert (np.mean(found.named("15").values) > np.mean(found.start.values)) is np.bool_(natural)
    assert found.verdict is not None
    assert found.verdict.differences[0].estimate > 0


def test_one_own_metric_is_compared_over_seeds(world: World) -> None:
    found = world.climb(world.plan(EPOCHS, metric="mine", settings={"train.metrics": ["x.py:mine"]})).steps[0]
    assert found.verdict is not None
    assert {one.covers for one in found.verdict.differences} == {"seeds"}


def test_a_metric_that_a_run_has_not(world: World) -> None:
    with pytest.raises(RunError, match=r"scores.json has no yours of validation: look at that run, or choose another metric$"):
        world.climb(world.plan(EPOCHS, metric="yours", settings={"train.metrics": ["x.py:yours"]}))


def size_step(world: World, rows: Any) -> Any:
    world.rows = lambda settings: rows if settings.get("pixels.size") == 12 else np.arange(IMAGES)
    return world.climb(world.plan(step("pixels.size", 12))).steps[0]


def test_a_step_that_changes_the_images_pairs_them_by_what_they_are(world: World) -> None:
    """In another order in each run, too."""
    found = size_step(world, np.random.default_rng(0).permutation(IMAGES))
    assert found.told == (f"All were scored on the same {IMAGES} validation images, paired by what they are, whatever the step made of them.",)
    assert found.verdict is not None
    assert found.verdict.differences[0].covers == "seeds and images"
    assert abs(found.verdict.differences[0].high - found.verdict.differences[0].low) < 0.02, "hard images are hard for both: they were not paired"


def test_images_that_differ_are_compared_where_both_have_them(world: World) -> None:
    found = size_step(world, np.arange(200, 200 + IMAGES))
    assert found.told == (f"The validation images differ: compared on the 200 that all have, of the start's {IMAGES}.",)
    fall = read_ladder(world.folder).fall
    assert fall is not None
    assert fall.score == pytest.approx(np.mean(found.start.values)), "the scores of the ladder are those on all images"
    assert found.verdict is not None
    assert abs(found.verdict.differences[0].estimate) < 0.01


def test_images_that_have_nothing_in_common_are_not_compared(world: World) -> None:
    found = size_step(world, np.arange(1000, 1000 + IMAGES))
    assert found.told[0].startswith("“12” cannot be compared: too few of its 400 validation images are those of the others.")
    assert (found.kept, found.verdict) == (START, None)


def test_the_file_may_keep_what_the_referee_does_not(world: World) -> None:
    found = world.climb(world.plan({**step("train.epochs", 15, 8), "keep": 8}, BATCH, {**step("train.learning_rate", 0.01), "keep": START}))
    first, second, third = found.steps
    assert (first.kept, first.keep, second.kept, third.kept, found.winner, found.ended) == ("8", "8", START, START, "8 of step 1", True)
    assert first.verdict is not None
    assert first.verdict.kept == "15"
    assert first.reason == "“8” is carried on because the ladder's file keeps it; the referee keeps “15”."
    assert third.reason == "“start” is carried on because the ladder's file keeps it; the referee keeps it too."
    assert second.start.runs == first.named("8").runs
    assert found.fall is not None
    assert found.fall.score == pytest.approx(np.mean(second.start.values))
    assert read_ladder(world.folder) == found


def test_nothing_is_raced_in_a_step_whose_kept_one_is_named(world: World) -> None:
    found = world.climb(world.plan({**step("train.epochs", 11, 12, 2), "keep": 2}, seeds=5)).steps[0]
    assert [len(one.runs) for one in found.candidates] == [5, 5, 5]
    assert (found.kept, found.state) == ("2", "decided")


def test_what_the_file_keeps_may_be_another_network_under_a_second_name_or_not_comparable(world: World) -> None:
    again = {"name": "again", "group": [{"name": "a", "train.epochs": 10}], "keep": "a"}
    found = world.climb(world.plan(again))
    assert (found.steps[0].kept, found.steps[0].verdict, found.fall) == ("a", None, None)
    assert found.steps[0].reason == "“a” is carried on because the ladder's file keeps it."
    world.rows = lambda settings: np.arange(1000, 1000 + IMAGES) if settings.get("pixels.size") == 12 else np.arange(IMAGES)
    found = world.climb(world.plan({**step("pixels.size", 12), "keep": 12}))
    assert (found.steps[0].kept, found.steps[0].verdict) == ("12", None)
    assert found.fall is not None
    assert found.fall.score == pytest.approx(np.mean(found.steps[0].named("12").values))


def test_what_the_file_keeps_has_to_have_a_score(world: World) -> None:
    world.diverges = lambda settings, seed: settings.get("train.learning_rate") == 9.0 and seed == 1
    with pytest.raises(RunError, match=r"^step 1 'train.learning_rate', cannot go on from '9.0', which the ladder's file keeps: with seed 1 the loss is not"):
        world.climb(world.plan({**step("train.learning_rate", 0.01, 9.0), "keep": 9.0}))


def test_a_ladder_of_before_there_was_keep_is_read(world: World) -> None:
    plain = world.climb(world.plan(EPOCHS)).to_json()
    for one in (plain["steps"][0], plain["plan"]["steps"][0]):
        assert one.pop("keep") == ""
    assert ladder_from_json(plain) == read_ladder(world.folder)


def test_other_classes_are_another_task(world: World) -> None:
    world.classes = lambda settings: ("a", "c") if "data.per_class" in settings else ("a", "b")
    with pytest.raises(RecipeError, match=r"^step 1 'data.per_class', candidate '5' has other classes: scores of two tasks cannot be compared$"):
        world.climb(world.plan(step("data.per_class", 5)))


def test_a_candidate_that_cannot_be_made_is_named(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    made = world.resolve

    def resolve(settings: Any) -> Any:
        if settings.get("train.batch_size") == 32:
            raise RecipeError("it does not fit")
        return made(settings)

    monkeypatch.setattr(world, "resolve", resolve)
    with pytest.raises(RecipeError, match=r"^step 2 'train.batch_size', candidate '32': it does not fit$"):
        world.climb(world.plan(EPOCHS, BATCH))


def test_candidates_of_other_epochs_are_said(world: World) -> None:
    found = world.climb(world.plan(EPOCHS))
    assert found.steps[0].told[0].startswith("Its candidates train for different numbers of epochs")
    assert world.climb(world.plan(BATCH)).steps[0].told == ()
