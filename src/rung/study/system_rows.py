"""Every row of a system: what it is called, and which training it is; a function of the system's files, without data and without torch."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from rung import own
from rung.errors import RecipeError, did_you_mean, one_line
from rung.recipe import OwnNetwork, Recipe, change, from_toml
from rung.recipes import RECIPES
from rung.study.changes import acting, start_text
from rung.study.plan import START, Plan, Step, fitted
from rung.study.resolved import alike
from rung.study.system import Stage, System, kept_of
from rung.training.schedules import written_out

SCHEMA: Final = 1  # part of every identity once it is more than 1: raise it when a default of a recipe changes, for then the same files train something else
_FREE: Final = {  # of a network, which change none of its parameters
    "start", "initialisation", "defaults", "activation", "dense_activation", "dense_dropout", "block_dropout", "flatten_dropout", "input_dropout",
}  # fmt: skip
_WORDS: Final = {"name", "why", "notes", "seed"}  # of a recipe, which change no training but for the seed

Name = tuple[str, str, str]


@dataclass(frozen=True)
class Place:
    """One row before anything is trained.

    ladder, step, candidate: its name; of a stage, step is the stage's name and candidate "start". keep: whether the author carried it on. recipe: named
    in the ladder; settings: all that is changed of it; data: of the ladder. seeds: it is to have. identity: SHA-256 of the recipe without words and seed:
    two with the same identity are the same training. first: the name of the first row with this identity, its own where it is the first.
    after: the row whose kept weights it begins from. label: how tables and sentences call the candidate, the start of a step with what it has where all
    others have something else: "start (relu)". network: equal for rows whose networks have the same parameters.
    """

    ladder: str
    step: str
    candidate: str
    keep: bool
    recipe: str
    data: tuple[str, ...]
    settings: Mapping[str, Any]
    seeds: tuple[int, ...]
    identity: str
    first: Name
    after: Place | None = None
    label: str = ""
    network: str = ""

    @property
    def name(self) -> Name:
        return self.ladder, self.step, self.candidate

    @property
    def depth(self) -> int:
        """How many trainings must have been before it."""
        return self.after.depth + 1 if self.after else 0

    def key(self, seed: int) -> str:
        """Return the name of the run folder of one seed."""
        return hashlib.sha256(f"{self.identity} {seed}".encode()).hexdigest()[:16]


def places(system: System, small: bool = False, seeds: int | None = None) -> tuple[Place, ...]:
    """Return every row of a system at the whole or the small budget, in the order of its files; seeds: how many, in place of what the system says.

    The start of a later step is there too: it is the same training as what the step before kept.

    Raises: RecipeError naming the ladder, step and candidate whose settings do not fit the recipe.
    """
    first: dict[str, Name] = {}
    found: list[Place] = []
    for ladder in system.ladders:
        over = {**system.small.settings, **ladder.small} if small else {}
        for place in _of_ladder(system, ladder.name, system.plans[ladder.name], over, first):
            wanted = range(seeds or system.small.seeds) if small or seeds else place.seeds
            found.append(_with_seeds(place, tuple(wanted)))
    return tuple(found)


def reported_counts(system: System) -> dict[str, int]:
    """Return the numbers of parameters that the author reported, by `Place.network` at the whole budget."""
    of = {(one.ladder, one.step, one.candidate): one.parameters for one in system.reported if one.parameters is not None}
    return {place.network: of[place.name] for place in reversed(places(system)) if place.name in of}


def _with_seeds(place: Place, seeds: tuple[int, ...]) -> Place:
    return replace(place, seeds=seeds, after=place.after and _with_seeds(place.after, seeds))


def _of_ladder(system: System, ladder: str, plan: Plan, over: Mapping[str, Any], first: dict[str, Name]) -> Iterator[Place]:
    """Yield the rows of one ladder; over: settings that go over those of every row."""
    start, folder = recipe_named(plan.recipe), None if plan.recipe in RECIPES else Path(plan.recipe).parent
    plan = fitted(plan, start, f"ladder {ladder}")

    def place(step: Step | Stage, candidate: str, keep: bool, settings: Mapping[str, Any], after: Place | None = None) -> Place:
        try:
            recipe = change(start, {**settings, "data.sources": plan.data})
            identity = identity_of(recipe, after, folder)
        except RecipeError as error:
            raise RecipeError(f"ladder {ladder}, step '{step.name}', candidate '{candidate}': {error}") from None
        name = (ladder, step.name, candidate)
        label = start_text(step, acting(recipe)) if isinstance(step, Step) and candidate == START else candidate
        named = first.setdefault(identity, name)
        return Place(*name, keep, plan.recipe, plan.data, dict(settings), plan.seeds, identity, named, after, label, _network(recipe, identity))

    base = {**alike(start), **plan.settings}
    kept_at: dict[str, Place] = {}
    for step in plan.steps:
        kept = base
        for name, changed in [(START, {}), *((choice.name, choice.settings) for choice in step.choices)]:
            made = place(step, name, name == kept_of(step), {**base, **changed, **over})
            kept_at.setdefault(START, made)
            if made.keep:
                kept, kept_at[step.name] = {**base, **changed}, made
            yield made
        base = kept
    for stage in system.stages_of(ladder):
        after = kept_at[stage.after]
        kept_at[stage.name] = made = place(stage, START, False, {**after.settings, **stage.settings, **over}, after)
        yield made


def _network(recipe: Recipe, identity: str) -> str:
    """Return what two rows share whose networks have the same layers on images of the same kind; of one's own network its identity."""
    if isinstance(recipe.network, OwnNetwork):
        return identity
    size = (recipe.pixels.size, recipe.pixels.colour, recipe.augment.crop, recipe.data.sources, recipe.data.classes)
    return repr((recipe.network.model_dump(exclude=_FREE), size))


def recipe_named(name: str) -> Recipe:
    """Return the recipe that a ladder starts from; raises RecipeError where it is none that rung brings, nor a recipe.toml."""
    if name not in RECIPES and not name.endswith(".toml"):
        raise RecipeError(f"a system starts from a recipe that rung brings or from a recipe.toml, not from '{one_line(name)}': {did_you_mean(name, RECIPES)}")
    return RECIPES[name]() if name in RECIPES else from_toml(Path(name))


def identity_of(recipe: Recipe, after: Place | None = None, base: Path | None = None) -> str:
    """Return what two recipes share only if they are the same training.

    after: the row whose weights it begins from. base: the folder in which files of one's own are looked for first; what stands in them is part of it.
    A field that rung learns later, and that is left at its default, changes nothing of it; where a default changes, `SCHEMA` is to be raised.

    Raises: RecipeError where a file of one's own is not there.
    """
    values = recipe.model_copy(update={"train": written_out(recipe.train)}).model_dump(mode="json", exclude_defaults=True, exclude=_WORDS)
    parts = [values, recipe.network.kind, after.identity if after else "", *_sources(recipe, base), *([SCHEMA] if SCHEMA > 1 else [])]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _sources(recipe: Recipe, base: Path | None) -> Iterator[str]:
    """Yield the SHA-256 of each file of one's own that a recipe names, in its order."""
    network = [recipe.network.source] if isinstance(recipe.network, OwnNetwork) else []
    loss = [recipe.train.loss] if own.is_own(recipe.train.loss) else []
    for spec in (*network, *loss, *recipe.train.metrics, *recipe.augment.own, *recipe.train.callbacks):
        yield hashlib.sha256(own.find(spec.rpartition(":")[0], base, f"'{spec}'").read_bytes()).hexdigest()
    if recipe.costs:
        yield hashlib.sha256(own.find(recipe.costs, base, f"costs = '{recipe.costs}'").read_bytes()).hexdigest()
