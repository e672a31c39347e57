"""The systems that rung brings, as data: every row is a network that can be trained, of the size that its author reported, and nothing of his is left out."""

from functools import cache
from pathlib import Path

import pytest

import rung
from rung.errors import RecipeError
from rung.models.build import build, parameter_counts
from rung.recipe import Network, Recipe, change
from rung.recipes import RECIPES
from rung.study.plan import START, read_plan
from rung.study.system import System, read_system
from rung.study.system_rows import Name, Place, places, recipe_named

SYSTEMS = Path(rung.__file__).parent / "replays" / "systems"
NAMES = ("model_s", "backprop", "omnivores", "cnn_ladder")

MISTAKES = {
    "model_s": {"text-against-code", "best-weights-not-restored"},
    "backprop": {"one-step-epochs", "test-as-validation", "comparisons-not-run", "augmentation-not-there"},
    "omnivores": {
        "species-not-categories", "best-of-900-on-test", "rate-ignored", "clipping-lost", "validation-split-ignored", "pixels-out-of-range",
    },
    "cnn_ladder": {
        "same-network-twice", "augmentation-not-used", "scrambled-colour", "losses-on-integers", "chosen-on-test", "colour-not-scaled",
        "shift-of-one-pixel", "last-epoch-scored", "score-from-nowhere", "two-changes-in-one-step", "winner-not-carried-on", "over-fit-called-under-fit",
    },
}  # fmt: skip

SAME = [  # rows of the CNN ladder that are one network, as its author ran them under different names
    {"v2 (.2 four times)", "v4 (.2 four times)"},
    {"v3 (.3 four times)", "v5 (.3 four times)"},
    {"batch norm", "[64]"},
    {"[128]", "v1 relu/relu"},
    {"v4 relu/tanh", "Adam", "Adam again", "0.001"},
    {"0.0004", "64"},
    {"128", "cross-entropy", "without (batch 128, early stopping)"},
    {"flips, shifts of one pixel", "grey, augmented"},
]

PINNED = {  # keys of seed 0 at the whole budget, under which runs lie and records are shipped
    ("backprop", "mlp", "activation", START): "94955fe5e52499d6",
    ("backprop", "cnn", "activation", START): "f51282bfbf4e261c",
    ("model_s", "tried", "random crop", START): "54a739788be2daeb",
    ("omnivores", "species", "stage 3, as it was meant", START): "8de276545becbe12",
    ("cnn_ladder", "grey", "CNN 9 augmentation, as it was meant", "flips, shifts of one pixel"): "b6f189d23560d22c",
}


@cache
def system(name: str) -> System:
    return read_system(SYSTEMS / name)


@cache
def rows(name: str, small: bool = False) -> dict[Name, Place]:
    return {place.name: place for place in places(system(name), small)}


def recipe_of(place: Place) -> Recipe:
    return change(recipe_named(place.recipe), place.settings)


@cache
def size_of(network: Network, classes: int, channels: int, size: int) -> int:
    return parameter_counts(build(network, classes=classes, channels=channels, size=size, seed=0)).total


def parameters(place: Place) -> int:
    recipe = recipe_of(place)
    classes = 2 if recipe.data.classes else 10 if place.data == ("cifar10",) else 5
    return size_of(recipe.network, classes, 1 if recipe.pixels.colour == "grey" else 3, recipe.augment.crop or 32)


@pytest.mark.parametrize("name", NAMES)
def test_every_row_is_a_network_that_can_be_built(name: str) -> None:
    for place in rows(name).values():
        assert parameters(place) > 0, place.name


@pytest.mark.parametrize("name", NAMES)
def test_the_networks_have_the_reported_parameters(name: str) -> None:
    reported = [figure for figure in system(name).reported if figure.parameters]
    assert reported
    for figure in reported:
        assert parameters(rows(name)[figure.ladder, figure.step, figure.candidate]) == figure.parameters, figure


@pytest.mark.parametrize("name", NAMES)
def test_every_step_is_a_decision_or_of_a_ladder_that_the_author_had_not(name: str) -> None:
    decided = {(decision.ladder, decision.step) for decision in system(name).decisions}
    steps = {(ladder, step.name) for ladder, plan in system(name).plans.items() for step in plan.steps}
    assert steps - decided <= {("categories", "balance"), ("colour", "colour, as it was meant")}
    assert all(decision.said for decision in system(name).decisions)


@pytest.mark.parametrize("name", NAMES)
def test_a_decision_is_never_over_the_network_that_it_kept(name: str) -> None:
    for decision in system(name).decisions:
        step = system(name).step(decision.ladder, decision.step)
        row = rows(name)[decision.ladder, decision.step, step.keep]
        names = decision.over or [one for one in (START, *(choice.name for choice in step.choices)) if one != step.keep]
        for other in names:
            assert rows(name)[decision.ladder, decision.step, other].identity != row.identity, (decision.step, other)


@pytest.mark.parametrize("name", NAMES)
def test_every_mistake_is_there_with_what_rung_says(name: str) -> None:
    assert {mistake.name for mistake in system(name).mistakes} == MISTAKES[name]
    assert all(mistake.text and mistake.lesson for mistake in system(name).mistakes)


def test_the_mistakes_of_the_cnn_ladder_have_their_numbers() -> None:
    assert [mistake.text.partition(" ")[0] for mistake in system("cnn_ladder").mistakes] == [f"({number})" for number in range(1, 13)]


@pytest.mark.parametrize("name", NAMES)
def test_the_small_budget_is_the_same_networks_with_less(name: str) -> None:
    for row, small in rows(name, small=True).items():
        whole, less = recipe_of(rows(name)[row]), recipe_of(small)
        assert less.data.per_class is not None or less.train.epochs < whole.train.epochs
        assert less.train.epochs <= whole.train.epochs
        # batch norm may count as torch's does: Keras' averages do not settle in so few steps
        same = {"data.per_class": "none", "train.epochs": whole.train.epochs, "network.defaults": whole.network.defaults}
        assert change(less, same) == whole


def test_same_networks_under_different_names_are_one_training() -> None:
    together: dict[str, set[str]] = {}
    for place in rows("cnn_ladder").values():
        if place.candidate != START:
            together.setdefault(place.identity, set()).add(place.candidate)
    assert [names for names in together.values() if len(names) > 1] == SAME


def test_the_path_of_the_cnn_ladder_ends_at_its_recipe() -> None:
    place = rows("cnn_ladder")["grey", "CNN 9 augmentation, as it was meant", "flips, shifts of one pixel"]
    last, recipe = recipe_of(place), RECIPES["cnn_9"]()
    assert place.keep
    assert (last.network, last.train, last.augment, last.pixels) == (recipe.network, recipe.train, recipe.augment, recipe.pixels)


def test_colour_starts_from_the_final_choice_in_grey() -> None:
    grey = rows("cnn_ladder")["grey", "CNN 9 augmentation, as it ran", "'with' (batch 32, 50 epochs, none)"]
    colour = rows("cnn_ladder")["colour", "colour, as it ran", START]
    assert grey.identity == colour.identity


def test_every_figure_of_the_cnn_ladder_is_there() -> None:
    figures = system("cnn_ladder").reported
    assert len(figures) == 51
    assert sum(figure.accuracy is not None for figure in figures) == 39
    colour = [row for row in rows("cnn_ladder") if row[1] == "colour, as it ran"]
    reported = {(figure.ladder, figure.step, figure.candidate) for figure in figures}
    as_it_was_meant = {row for row in rows("cnn_ladder") if row[1].endswith("as it was meant")}
    assert set(colour) <= reported
    assert {row for row in rows("cnn_ladder") if row[2] != START} - as_it_was_meant <= reported


def test_the_stages_of_the_omnivores_begin_from_each_other() -> None:
    third = rows("omnivores")["species", "stage 3, as it ran", START]
    assert third.after is not None
    assert third.after.name == ("species", "stage 2, as it ran", START)
    assert third.depth == 2
    ran, meant = (recipe_of(rows("omnivores")["species", f"stage 3, as it {word}", START]).train for word in ("ran", "was meant"))
    assert (ran.learning_rate, ran.clip_value) == (0.001, None)
    assert (meant.learning_rate, meant.clip_value) == (0.00001, 0.5)


def test_what_the_text_of_model_s_says_cannot_be_built() -> None:
    valid = change(RECIPES["model_s"](), {"network.padding": "valid"})
    with pytest.raises(RecipeError, match=r"too deep for images of 32x32 pixels: in block 3 of 3"):
        build(valid.network, classes=10, channels=3, size=32, seed=0)


def test_the_own_rule_of_the_cnn_ladder_decides_its_steps() -> None:
    plan, path = read_plan(SYSTEMS / "cnn_ladder" / "by-rule.toml"), system("cnn_ladder").plans["grey"]
    assert (plan.rule, plan.recipe, plan.data, plan.seeds) == ("score_gap_size", path.recipe, path.data, path.seeds)
    assert [(step.name, step.choices, step.keep) for step in plan.steps] == [(step.name, step.choices, "") for step in path.steps]


def test_the_categories_of_the_omnivores_are_scored_or_learned() -> None:
    ladders = {ladder: {recipe_of(place).data for place in rows("omnivores").values() if place.ladder == ladder} for ladder in ("species", "categories")}
    both = "herbivore=camel,cattle,elephant,kangaroo; omnivore=chimpanzee"
    assert [(data.categories, data.classes) for data in ladders["species"]] == [(both, None)]
    assert [(data.categories, data.classes) for data in ladders["categories"]] == [(None, both)]


@pytest.mark.parametrize("pinned", PINNED)
def test_rows_keep_their_keys(pinned: tuple[str, str, str, str]) -> None:
    name, *row = pinned
    assert rows(name)[row[0], row[1], row[2]].key(0) == PINNED[pinned], (
        "this row has another key, so its runs and its shipped records are left out. Was its ladder file, or the recipe that it starts from, changed on "
        "purpose? Then write the new key here, and train and pack its records again. Was a default of a field changed? Then raise SCHEMA in "
        "study/system_rows.py, for keys leave out what is at its default and rows that set nothing would show old runs; write the new keys here, train "
        "and pack all again. Was neither? Then a key depends on something that trains nothing: mend identity_of."
    )


def test_what_an_author_never_ran_is_not_his_decision() -> None:
    meant = {(name, one.step) for name in NAMES for one in system(name).decisions if one.by == "text"}
    assert meant == {
        ("backprop", "how to do better"),
        ("cnn_ladder", "CNN 4 dropout, as it was meant"),
        ("cnn_ladder", "CNN 9 augmentation, as it was meant"),
    }


@pytest.mark.parametrize("name", NAMES)
def test_how_many_images_there_are_stands_apart_from_the_task(name: str) -> None:
    """At the small budget there are fewer, and the task is the same."""
    assert "sealed" in system(name).images
    assert "sealed" not in system(name).task
