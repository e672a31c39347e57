"""What a training starts from, from what a user typed or passed: the recipe with its settings, the images, all of it prepared or refused."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rung import own as own_module
from rung import recipe as recipe_module
from rung.data.imageset import ImageSet
from rung.errors import RecipeError, RunError, did_you_mean
from rung.pipeline import beforehand, execute, own_parts
from rung.pipeline.facts import rules_for
from rung.pipeline.minutes import in_minutes, paced, told
from rung.pipeline.own_parts import OwnParts
from rung.pipeline.prepare import Prepared, Progress, load_images, prepare
from rung.pipeline.settling import unsettled
from rung.recipe import Recipe
from rung.recipes import RECIPES
from rung.store.run import DEFAULT_ROOT, Run

Data = str | Path | Sequence[str | Path] | ImageSet


def sources_of(data: Data) -> list[str | Path]:
    """Return the names and paths of data, none where the images themselves were passed."""
    return [] if isinstance(data, ImageSet) else [data] if isinstance(data, str | Path) else list(data)


def recipe_named(name: str | Path | Recipe) -> Recipe:
    """Return a recipe by name, from a recipe.toml, or from file.py:function.

    Raises: RecipeError if there is none.
    """
    if isinstance(name, Recipe):
        return name
    word = str(name)
    if word in RECIPES:
        return RECIPES[word]()
    if own_module.is_own(word):
        made = own_module.load(word).call()
        if not isinstance(made, Recipe):
            raise RecipeError(f"{word} returned {type(made).__name__}, not a rung.Recipe")
        return made
    if word.endswith(".toml") or Path(word).is_file():
        return recipe_module.from_toml(Path(word))
    meant = did_you_mean(word, RECIPES, "A file must end in .toml, a function be given as file.py:name")
    raise RecipeError(f"there is no recipe '{word}': {meant}")


def data_recipe(
    start: Recipe, sources: Sequence[str | Path], *, classes: str | None = None, size: int | None = None, grey: bool = False, settings: Mapping[str, Any]
) -> Recipe:
    """Return `start` with data, the shorthands for them, and settings put in."""
    short: dict[str, Any] = {}
    if sources:
        short["data.sources"] = tuple(str(source) for source in sources)
    if classes:
        short["data.classes"] = classes
    if size:
        short["pixels.size"] = size
    if grey:
        short["pixels.colour"] = "grey"
    return recipe_module.change(start, {**short, **settings})


def ready(
    data: Data,
    recipe: str | Path | Recipe,
    settings: Mapping[str, Any],
    own: Mapping[str, Any],
    progress: Progress | None,
    say: Callable[[str], None],
    *,
    classes: str | None,
    size: int | None,
    grey: bool,
    minutes: float | None = None,
    root: Path = DEFAULT_ROOT,
) -> Prepared:
    """Return all that a training of these data by this recipe starts from, after what can be refused beforehand has been.

    own: objects passed in Python; root: the folder of runs, for network.start; minutes: that the training may take, see `rung.pipeline.minutes`.
    """
    if minutes is not None:
        _check_minutes(minutes, settings)
    start, base = _start_recipe(data, recipe)
    sources = [] if _is_recipe_file(data) else sources_of(data)

    def with_settings(start: Recipe) -> tuple[Recipe, OwnParts]:
        return own_parts.gather(data_recipe(start, sources, classes=classes, size=size, grey=grey, settings=settings), base, root=root, **own)

    wanted, parts = with_settings(start)
    if isinstance(data, ImageSet):
        _refuse_loading(start, wanted)
    images = data if isinstance(data, ImageSet) else load_images(wanted, progress)
    rules = rules_for(recipe, images)
    if rules:
        wanted, parts = with_settings(rules(None))
    say_troubles(images, say)
    prepared = prepare(wanted, images, parts, say)
    beforehand.check(prepared)
    if minutes is not None:
        if rules:  # the time decides about the network too
            wanted, parts = with_settings(rules(60 * minutes * paced(prepared).operations))
            prepared = prepare(wanted, images, parts, say)
        prepared = in_minutes(prepared, minutes, wanted.train.epochs if rules else None)
        say(told(prepared, minutes))
    prepared = replace(prepared, warnings=(*prepared.warnings, *unsettled(prepared)))
    _say_doubts(prepared, say)
    return prepared


def _check_minutes(minutes: float, settings: Mapping[str, Any]) -> None:
    if not 0 < minutes < math.inf:
        raise RecipeError(f"minutes = {minutes}: give a number above 0, such as 2 or 0.5")
    given = [key for key in ("train.epochs", "train.steps", "epochs", "steps") if key in settings]
    if given:
        raise RecipeError(f"minutes decide how long the training is, and so does {given[0]} = {settings[given[0]]}: leave one of the two out")


def _say_doubts(prepared: Prepared, say: Callable[[str], None]) -> None:
    """Say what reading the data, the recipe and the quick checks give to think about; none of it stops a training, for the user may know it."""
    for sentence in (*prepared.images.warnings, *prepared.warnings):
        say(f"warning: {sentence}")
    for problem in prepared.problems:
        if problem.severity != "note":
            say(f"{problem.severity}: {problem.check}: {problem.sentence} {problem.advice}")


def say_troubles(images: ImageSet, say: Callable[[str], None]) -> None:
    for reading in images.readings:
        if reading.trouble:
            say(f"images are read without the cache: {reading.trouble}")


def _refuse_loading(start: Recipe, wanted: Recipe) -> None:
    """Refuse settings that say how to load images that are loaded already."""
    before, after = recipe_module.flat(start), recipe_module.flat(wanted)
    changed = [
        key
        for key in after
        if (key.startswith("data.") and key != "data.categories") or key in ("pixels.size", "pixels.colour")
        if after[key] != before.get(key)
    ]
    if changed:
        raise RecipeError(f"{', '.join(changed)} would change how images are loaded, and these are loaded already: give them to rung.load")


def _is_recipe_file(data: object) -> bool:
    return isinstance(data, str | Path) and str(data).endswith(".toml")


def _start_recipe(data: object, given: str | Path | Recipe) -> tuple[Recipe, Path | None]:
    """Return the recipe to start from and the folder its own files are looked for in."""
    if _is_recipe_file(data):
        if given != "default":
            raise RecipeError(f"{data} is a recipe that names its data: leave --recipe out, or give the data and --recipe {data}")
        start = recipe_module.from_toml(Path(str(data)))
        if not start.data.sources:
            raise RecipeError(
                f"{data} names no data (data.sources is empty): its images were passed in Python, or give them as rung train DATA --recipe {data}"
            )
        return start, Path(str(data)).parent
    start = recipe_named(given)
    return start, Path(given).parent if not isinstance(given, Recipe) and _is_recipe_file(given) else None


def ready_again(run: Run, data: ImageSet | None, progress: Progress | None, say: Callable[[str], None] = lambda sentence: None) -> Prepared:
    """Prepare a run from its folder, with the same data, or refuse."""
    stored = recipe_module.from_toml(run.recipe)
    stored, own = own_parts.gather(stored, run.folder)
    if data is None and not stored.data.sources:
        raise RunError(f"the images of {run.id} were passed in Python: pass them again, as data=")
    images = data if data is not None else load_images(stored, progress)
    say_troubles(images, say)
    execute.check_same_data(run, images)
    prepared = prepare(stored, images, own, say)
    execute.check_same_splits(run, prepared)
    return prepared
