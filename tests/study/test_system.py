"""Systems read from their files, and every row of them."""

from pathlib import Path

import pytest

from rung.errors import RecipeError
from rung.study import system_rows
from rung.study.system import read_system
from rung.study.system_rows import identity_of, places, recipe_named
from tests.study.made_systems import LADDER, SYSTEM, make_system


def test_rows_follow_the_author_s_path_and_same_trainings_are_known(tmp_path: Path) -> None:
    found = {place.name[1:]: place for place in places(read_system(make_system(tmp_path)))}
    assert [name for name, place in found.items() if place.keep] == [("filters", "8-16"), ("batch", "start")]
    assert list(found["batch", "32"].settings["network.filters"]) == [8, 16]
    assert found["batch", "start"].first == ("base", "filters", "8-16")
    assert found["batch", "64"].identity == found["filters", "8-16"].identity, "64 is the batch size of the recipe"
    stage = found["stage 2", "start"]
    assert (stage.depth, stage.after and stage.after.identity) == (1, found["batch", "start"].identity)
    assert {place.seeds for place in found.values()} == {(0, 1, 2)}
    assert all(place.settings["compute.threads"] == 1 and place.settings["split.seed"] == 0 for place in found.values())


def test_the_small_budget_changes_every_row(tmp_path: Path) -> None:
    system = read_system(make_system(tmp_path))
    small, whole = places(system, small=True), places(system)
    assert all(place.settings["data.per_class"] == 20 and place.settings["train.epochs"] == 1 for place in small)
    assert {place.identity for place in small}.isdisjoint(place.identity for place in whole)
    assert {place.seeds for place in small} == {(0, 1)}
    stage = next(place for place in places(system, seeds=4) if place.after)
    assert stage.seeds == stage.after.seeds == (0, 1, 2, 3)  # type: ignore[union-attr]


def test_a_ladder_has_its_own_word_on_the_small_budget(tmp_path: Path) -> None:
    whole = [place.identity for place in places(read_system(make_system(tmp_path)))]
    said = SYSTEM.replace("[[ladder]]\n", '[[ladder]]\nsmall = { data.per_class = "none", train.batch_size = 8 }\n', 1)
    system = read_system(make_system(tmp_path / "other", said))
    for place in places(system, small=True):
        assert (place.settings["data.per_class"], place.settings["train.batch_size"], place.settings["train.epochs"]) == ("none", 8, 1)
    assert [place.identity for place in places(system)] == whole


def test_identity_is_of_the_training_alone() -> None:
    recipe = recipe_named("digits")
    assert identity_of(recipe) == identity_of(recipe.model_copy(update={"name": "other", "seed": 3, "why": "for a test"}))
    explicit = recipe.model_copy(update={"train": recipe.train.model_copy(update={"momentum": None, "warmup_fraction": 0.3})})
    assert identity_of(explicit) == identity_of(recipe), "what the schedule takes where nothing is said"
    assert identity_of(recipe.model_copy(update={"train": recipe.train.model_copy(update={"epochs": 3})})) != identity_of(recipe)


def test_what_stands_in_files_of_ones_own_is_part_of_the_identity(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A network, and a metric looked for beside the recipe: another text in the file is another training, the same text at another time is not."""
    made = make_system(tmp_path)
    monkeypatch.chdir(tmp_path / "tiny")
    (tmp_path / "own.toml").write_text('network.kind = "own"\nnetwork.source = "net.py:net"\ntrain.metrics = ["more.py:count"]\n')
    one_step = 'data = "digits"\nrecipe = "../own.toml"\n[[step]]\nname = "batch"\nkeep = "start"\nfield = "train.batch_size"\ncandidates = [32]\n'
    (made / "base.toml").write_text(one_step)
    (made / "system.toml").write_text('[[ladder]]\nfile = "base.toml"\n')

    def keys() -> list[str]:
        return [place.key(0) for place in places(read_system(made))]

    (tmp_path / "more.py").write_text("def count(): ...\n")
    with pytest.raises(RecipeError, match=r"ladder base, step 'batch', candidate 'start': 'net.py:net' asks for the file net.py, which is not in "):
        keys()
    (tmp_path / "net.py").write_text("def net(): ...\n")
    before = keys()
    (tmp_path / "net.py").write_text("def net(): ...\n")
    assert keys() == before
    (tmp_path / "net.py").write_text("def net(): return 1\n")
    assert not set(keys()) & set(before)
    before = keys()
    (tmp_path / "more.py").write_text("def count(): return 1\n")
    assert not set(keys()) & set(before)


def test_a_raised_schema_is_another_identity(monkeypatch: pytest.MonkeyPatch) -> None:
    before = identity_of(recipe_named("digits"))
    monkeypatch.setattr(system_rows, "SCHEMA", 2)
    assert identity_of(recipe_named("digits")) != before


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('step = "filters"\ncandidate = "8-16"', 'step = "filtres"', r"\[\[reported\]\] 2: ladder base has no step 'filtres': did you mean 'filters'\?"),
        ('candidate = "8-16"', 'candidate = "8-32"', r"\[\[reported\]\] 2: step 'filters' of ladder base has no candidate '8-32': known: start, 8, 8-16"),
        ("accuracy = 92.3", "accuracy = 923", r"\[\[reported\]\] 2: reported.accuracy = 923: expected "),
        ("accuracy = 92.3", "acuracy = 92.3", r"there is no field 'reported.acuracy': did you mean 'reported.accuracy'\?"),
        ('over = ["start"]', 'over = ["8-16"]', r"'8-16' is what step 'filters' keeps, and cannot be preferred to itself"),
        ('over = ["start"]', 'over = ["9"]', r"\[\[decision\]\] 1: step 'filters' of ladder base has no candidate '9'"),
        ('after = "batch"', 'after = "bach"', r"'stage 2' comes after 'bach', which ladder base has not: did you mean 'batch'\?"),
        ('name = "stage 2"', 'name = "batch"', r"ladder base has a step or stage of this name already"),
        ('file = "base.toml"', 'file = "other.toml"', r"cannot read the ladder .*other.toml"),
        ("[small]", "[smal]", r"there is no field 'smal' in a system: did you mean 'small'\?"),
        ('ladder = "base"\nstep = "filters"\naccuracy', 'ladder = "bass"\nstep = "filters"\naccuracy', r"there is no ladder 'bass': did you mean 'base'\?"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in SYSTEM
    with pytest.raises(RecipeError, match=message):
        read_system(make_system(tmp_path, SYSTEM.replace(old, new, 1)))


def test_a_step_without_what_was_carried_on_is_no_path(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"step 'batch' does not say what the author carried on: write keep"):
        read_system(make_system(tmp_path, ladder=LADDER.replace('keep = "start"\n', "")))


def test_settings_that_do_not_fit_name_their_row(tmp_path: Path) -> None:
    system = read_system(make_system(tmp_path, SYSTEM.replace("train.learning_rate = 0.0001", "train.learning_rate = -1.0")))
    with pytest.raises(RecipeError, match=r"ladder base, step 'stage 2', candidate 'start': train.learning_rate = -1.0"):
        places(system)
