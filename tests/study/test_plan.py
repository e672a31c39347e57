"""Ladder files: what they may say, and in what sentence everything else is refused."""

import json
from pathlib import Path
from typing import Any

import pytest

from rung.errors import RecipeError
from rung.recipe import Recipe
from rung.study.plan import Plan, changes, fitted, plan_from_json, plan_of, read_plan, too_small

STEP: dict[str, Any] = {"name": "epochs", "field": "train.epochs", "candidates": [5, 20]}


def plan(*steps: dict[str, Any], **fields: Any) -> Plan:
    return plan_of({"data": "digits", "step": list(steps or (STEP,)), **fields})


def test_a_file_is_read_with_its_defaults(tmp_path: Path) -> None:
    file = tmp_path / "My ladder.toml"
    file.write_text(
        'data = ["digits", "more/"]\nseeds = [3, 4]\n[settings]\ntrain.batch_size = 32\n'
        '[[step]]\nname = "a"\nwhy = "w"\nfield = "train.epochs"\ncandidates = [1]\n'
        '[[step]]\nname = "b"\ngroup = [{name = "x", network.filters = [8], "train.epochs" = 3}]\n'
    )
    found = read_plan(file, {"train.batch_size": 16})
    assert (found.name, found.data, found.recipe, found.metric) == ("My-ladder", ("digits", "more/"), "default", "accuracy")
    assert (found.seeds, found.rule, found.level, found.race) == ((3, 4), "score", 0.05, True)
    assert found.settings == {"train.batch_size": 16}
    assert [step.why for step in found.steps] == ["w", ""]
    assert found.steps[0].choices[0].settings == {"train.epochs": 1}
    assert found.steps[1].choices[0].settings == {"network.filters": [8], "train.epochs": 3}


def test_data_and_recipe_are_found_beside_the_file(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "digits").mkdir()
    (tmp_path / "mine.py").write_text("")
    file = tmp_path / "l.toml"
    file.write_text('data = ["photos", "digits", "nowhere"]\nrecipe = "mine.py:make"\n[[step]]\nname = "a"\nfield = "train.epochs"\ncandidates = [1]\n')
    found = read_plan(file)
    assert found.data == (f"{tmp_path}/photos", "digits", "nowhere"), "names beat folders"
    assert found.recipe == f"{tmp_path}/mine.py:make"


def test_seeds_are_a_number_or_a_list() -> None:
    assert plan(seeds=3).seeds == (0, 1, 2)
    assert plan().seeds == (0, 1, 2, 3, 4)
    assert plan(seeds=[7, 9]).seeds == (7, 9)


def test_candidates_are_named_as_they_are_written() -> None:
    values = [[8, 16], 0.5, True, "adam"]
    assert [choice.name for choice in plan({**STEP, "candidates": values}).steps[0].choices] == ["[8, 16]", "0.5", "true", "adam"]


def test_json_gives_the_plan_back() -> None:
    made = plan(STEP, {"name": "b", "group": [{"name": "x", "network": {"filters": [8]}}]}, settings={"train": {"batch_size": 8}}, budget_minutes=3)
    assert plan_from_json(json.loads(json.dumps(made.to_json()))) == made


def test_a_step_may_name_what_is_carried_on_as_its_candidates_are_written() -> None:
    group = {"name": "b", "group": [{"name": "x", "train.epochs": 3}], "keep": "x"}
    widths = {"name": "c", "field": "network.filters", "candidates": [[8], [8, 16]], "keep": [8, 16]}
    made = plan({**STEP, "keep": 20}, group, widths, {**STEP, "name": "d", "keep": "start"}, {**STEP, "name": "e"})
    assert [step.keep for step in made.steps] == ["20", "x", "[8, 16]", "start", ""]
    assert plan_from_json(json.loads(json.dumps(made.to_json()))) == made
    without = made.to_json()
    for step in without["steps"]:
        step.pop("keep")
    assert plan_from_json(without).steps[0].keep == ""


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"step": [{**STEP, "candidates": ["adam"], "keep": "adan"}]}, r"^step 1 'epochs': keep = 'adan' is none of its candidates: did you mean 'adam'\?"),
        ({"step": [{**STEP, "keep": 6}]}, r"^step 1 'epochs': keep = '6' is none of its candidates: known: start, 5, 20 "),
        ({"step": [{**STEP, "keep": ""}]}, r"^step 1 'epochs': keep = '' is none of its candidates"),
        ({"metrik": "accuracy"}, r"^there is no field 'metrik' in a ladder: did you mean 'metric'\? \(in the ladder\)$"),
        ({"data": ""}, r'^the ladder names no data: write data = "digits"'),
        ({"step": []}, r"^the ladder has no step: write \[\[step\]\] with a name, a field and its candidates"),
        ({"step": ["x"]}, r"^step 1 = 'x': expected a table"),
        (
            {"step": [{"field": "train.epochs", "candidates": [1], "nam": "x"}]},
            r"^step 1 'train.epochs': there is no field 'nam' in a step: did you mean 'name'",
        ),
        ({"step": [{"name": "x"}]}, r"^step 1 'x' has no field: write field = \"train.epochs\" and candidates"),
        (
            {"step": [{"name": "x", "field": "train.epochs"}]},
            r"^step 1 'x' has no candidates: write candidates = \[\.\.\] with at least one",
        ),
        ({"step": [{"name": "x", "field": "train.epochs", "candidates": []}]}, r"^step 1 'x' has no candidates"),
        ({"step": [{**STEP, "candidates": 1}]}, r"^step 1 'epochs': candidates = 1: expected a list, such as candidates = \[1\], with at least one value"),
        ({"step": [{"name": "x", "group": []}]}, r"^step 1 'x' has no candidates: write group"),
        ({"step": [{"name": "x", "group": [{"train.epochs": 1}]}]}, r"^step 1 'x': \{'train.epochs': 1\} in its group has no name"),
        ({"step": [{"name": "x", "group": [{"name": "y"}]}]}, r"^step 1 'x': 'y' changes nothing"),
        ({"step": [STEP, STEP]}, r"^two steps are called 'epochs'"),
        ({"step": [{**STEP, "candidates": [5, 5]}]}, r"^step 1 'epochs': two candidates are called '5'"),
        ({"step": [{"name": "x", "group": [{"name": "start", "train.epochs": 1}]}]}, r"^step 1 'x': one of the candidates is called 'start'"),
        ({"step": [{**STEP, "train.batch_size": [1]}]}, r"^step 1 'epochs': it sets train.batch_size beside train.epochs, which are two factors in one step"),
        ({"step": [{**STEP, "train": {"batch_size": 1}}]}, r"it sets train beside train.epochs, which are two factors in one step"),
        (
            {"step": [{**STEP, "field": ["train.epochs", "train.batch_size"]}]},
            r"^step 1 'epochs' changes train.epochs, train.batch_size: two factors",
        ),
        ({"step": [{**STEP, "candidates": {"train.epochs": 1, "train.batch_size": 2}}]}, r"changes train.epochs, train.batch_size: two factors in one step"),
        ({"step": [{**STEP, "candidates": [{"train.epochs": 1}]}]}, r"has candidates that set fields of their own, and a field besides"),
        ({"step": [{**STEP, "group": [{"name": "y", "seed": 1}]}]}, r"^step 1 'epochs' has a field and a group, which are two factors"),
        ({"seeds": 1}, r"^seeds = 1: noise is measured between seeds, so a ladder needs two at least"),
        ({"seeds": [4]}, r"^seeds = \[4\]: noise is measured between seeds"),
        ({"seeds": [4, 4]}, r"^seeds = \[4, 4\]: a seed is there twice"),
        ({"seeds": "five"}, r"^seeds = 'five': expected how many, such as 5, or a list of them"),
        ({"rule": "scores"}, r"^there is no rule 'scores': did you mean 'score'\? \(your own: file.py:function\)"),
        ({"level": 2}, r"^level = 2: expected a number above 0 to 0.5"),
        ({"budget_minutes": 0}, r"^budget_minutes = 0: expected a number above 0"),
        ({"name": "../x"}, r"^name = '../x': expected a text that fits"),
        ({"settings": 5}, r'^settings = 5: expected fields of a recipe, such as "train.epochs" = 5'),
    ],
)
def test_what_does_not_fit_is_refused_in_one_sentence(values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(RecipeError, match=sentence) as refused:
        plan_of({"data": "digits", "step": [STEP], **values})
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [("", "is empty: a ladder needs data"), ("# nothing\n", "is empty"), ("data = ", "is not a TOML file: "), (None, "cannot read the ladder .*No such file")],
)
def test_a_file_that_is_no_ladder_is_refused(tmp_path: Path, text: str | None, sentence: str) -> None:
    if text is not None:
        (tmp_path / "l.toml").write_text(text)
    with pytest.raises(RecipeError, match=sentence):
        read_plan(tmp_path / "l.toml")


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"step": [{**STEP, "field": "train.epoch"}]}, r"^step 1 'epochs', candidate '5': there is no field 'train.epoch': did you mean 'train.epochs'\?$"),
        ({"step": [{**STEP, "candidates": [0]}]}, r"^step 1 'epochs', candidate '0': train.epochs = 0: expected a whole number from 1"),
        ({"step": [{**STEP, "field": "seed"}]}, r"seed cannot be a step: it is what noise is measured by"),
        ({"step": [{**STEP, "field": "split.folds"}]}, r"split.folds cannot be a step: it makes the parts, and all candidates have the same parts"),
        ({"step": [{**STEP, "field": "threads"}]}, r"compute.threads cannot be a step: it is how the machine works"),
        ({"settings": {"seed": 3}}, r"^settings: seed is set by the ladder"),
        ({"settings": {"train.epoch": 3}}, r"^there is no field 'train.epoch'"),
        ({"settings": {"split.fit_on": "train+validation", "train.keep": "last"}}, r"leaves no validation part to compare candidates on"),
        ({"metric": "acuracy"}, r"^there is no metric 'acuracy': did you mean 'accuracy'\? Your own is one once the recipe names it"),
        ({"metric": "score", "settings": {"train.metrics": ["mine.py:points"]}}, r"^there is no metric 'score': known: .*points$"),
    ],
)
def test_what_does_not_fit_the_recipe_is_refused_before_anything_is_trained(fields: dict[str, Any], sentence: str) -> None:
    made = plan_of({"data": "digits", "step": [STEP], **fields})
    with pytest.raises(RecipeError, match=sentence):
        fitted(made, Recipe())


def test_what_does_not_fit_the_recipe_names_the_file_it_stands_in() -> None:
    with pytest.raises(RecipeError, match=r"there is no field 'train.epoch': did you mean 'train.epochs'\?.* \(in l.toml\)$"):
        fitted(plan({**STEP, "field": "train.epoch"}), Recipe(), "l.toml")
    with pytest.raises(RecipeError, match=r"^there is no metric 'acuracy': .* \(in l.toml\)$"):
        fitted(plan(STEP, metric="acuracy"), Recipe(), "l.toml")
    given = {"train.epoch": 3}
    with pytest.raises(RecipeError, match=r"^there is no field 'train.epoch': did you mean 'train.epochs'\?$"):
        fitted(plan(STEP, settings=given), Recipe(), "l.toml", given)


@pytest.mark.parametrize(("training_s", "trainings", "one", "least"), [(60.0, 6, "1", "6"), (0.4, 6, "0.0067", "0.04"), (1.234, 7, "0.021", "0.15")])
def test_the_smallest_budget_that_does_is_named_in_minutes(training_s: float, trainings: int, one: str, least: str) -> None:
    found = too_small(0.001, training_s, trainings, "all of them")
    assert f"takes up to {one} min, and {trainings} are needed, all of them: write budget_minutes = {least} or more" in found
    assert training_s * trainings <= 60 * float(least) + 1e-9


def test_fields_get_their_full_names() -> None:
    made = fitted(plan({**STEP, "field": "epochs"}, settings={"batch_size": 8}), Recipe())
    assert made.settings == {"train.batch_size": 8}
    assert made.steps[0].field == "train.epochs"
    assert made.steps[0].choices[0].settings == {"train.epochs": 5}


def test_what_changed_since_the_last_climb_is_said() -> None:
    other = {"name": "rate", "field": "train.learning_rate", "candidates": [0.1]}
    before = plan(STEP, other)
    assert changes(before, plan(STEP, other, {"name": "new", "field": "train.batch_size", "candidates": [8]}, why="now")) == []
    assert changes(before, plan({**STEP, "notes": "written later"}, other)) == []
    assert "step 2 'rate' changed since" in changes(before, plan(STEP, {**other, "candidates": [0.2]}))[0]
    assert "step 1 is 'rate' now, and was 'epochs'" in changes(before, plan(other))[0]
    assert "seeds of the ladder changed" in changes(before, plan(STEP, other, seeds=3))[0]


def test_the_steps_of_another_file_are_decided_anew(tmp_path: Path) -> None:
    (tmp_path / "first.toml").write_text('data = "digits"\nseeds = 3\n[[step]]\nfield = "train.epochs"\ncandidates = [1, 2]\nkeep = 1\n')
    (tmp_path / "second.toml").write_text('steps_of = "first.toml"\nrule = "score_gap_size"\n')
    first, second = read_plan(tmp_path / "first.toml"), read_plan(tmp_path / "second.toml")
    assert first.steps[0].keep == "1"
    assert second.steps[0] == first.steps[0].model_copy(update={"keep": ""})
    assert (second.name, second.seeds, second.rule) == ("second", first.seeds, "score_gap_size")


def test_steps_of_another_file_are_all_steps(tmp_path: Path) -> None:
    (tmp_path / "empty.toml").write_text('data = "digits"\n')
    (tmp_path / "l.toml").write_text('steps_of = "empty.toml"\n')
    with pytest.raises(RecipeError, match=r"^steps_of = 'empty.toml' has no step: name a ladder file with \[\[step\]\] \(in .*l.toml\)$"):
        read_plan(tmp_path / "l.toml")
    (tmp_path / "l.toml").write_text('steps_of = "empty.toml"\n[[step]]\nfield = "train.epochs"\ncandidates = [1]\n')
    with pytest.raises(RecipeError, match=r"^steps_of takes the steps of .*empty.toml, and there are others here: leave one of them out"):
        read_plan(tmp_path / "l.toml")
