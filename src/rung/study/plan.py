"""The ladder file: what is climbed, in which steps, and how it is decided; read from TOML or made from a list of steps."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, Self

import pydantic
from pydantic import Field

from rung.data.sources import is_name
from rung.errors import RecipeError, did_you_mean, one_line
from rung.own import is_own
from rung.recipe import Recipe, change, flat, read_toml
from rung.recipe.fields import Part
from rung.study import rules
from rung.study.metrics import check_metric

START: Final = "start"  # what the candidate is called that a step begins from
_NAME: Final = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$"
_ALIKE: Final = {  # fields, or beginnings of fields, that are the same for all candidates, and why
    "name": "is a word for lists",
    "why": "is a text",
    "notes": "is a text",
    "costs": "is how answers are scored",
    "seed": "is what noise is measured by, and every candidate gets the same seeds: set seeds of the ladder",
    "split.": "makes the parts, and all candidates have the same parts: put it under [settings]",
    "compute.": "is how the machine works, and all candidates are computed alike: put it under [settings]",
    "data.classes": "makes another task, whose scores cannot be compared",
    "data.categories": "is how answers are scored",
    "train.metrics": "is how answers are scored",
}
_TWO: Final = "noise is measured between seeds, so a ladder needs two at least (five are the habit)"
_FREE: Final = ("split.drop_twins",)

Settings = dict[str, Any]


class Choice(Part):
    """One candidate of a step: its name, and the fields that it changes, {"train.epochs": 5}."""

    place: ClassVar[str] = "candidate"

    name: str
    settings: Settings


class Step(Part):
    """One rung: candidates for one field, or named groups of fields that belong together."""

    place: ClassVar[str] = "step"

    name: str
    why: str = ""
    notes: str = ""
    field: str = Field("", description="the field that is changed; empty where the candidates are groups")
    choices: tuple[Choice, ...]
    keep: str = Field("", description="the candidate that is carried on whatever the rule says, or start; empty: the rule decides")


class Plan(Part):
    """A whole ladder; `steps` may grow from one climb to the next."""

    name: str = Field("ladder", pattern=_NAME, description="a word for the folder of the ladder")
    why: str = Field("", description="why it is climbed; carried into the report")
    notes: str = Field("", description="your own notes; carried into the report")
    data: tuple[str, ...] = Field(min_length=1, description="names or paths of the data, as in `rung train`")
    recipe: str = Field("default", description="the recipe to start from: a name, a recipe.toml, or file.py:function")
    settings: Settings = Field({}, description="fields that differ from the recipe for all candidates")
    metric: str = Field("accuracy", description="what is compared, on the validation part")
    seeds: tuple[Annotated[int, Field(ge=0, lt=2**63)], ...] = Field(tuple(range(5)), description="how many seeds, or a list of them")
    rule: str = Field("score", description="how the kept candidate is chosen: score, score_gap_size, or file.py:function")
    level: Annotated[float, Field(gt=0, le=0.5)] = Field(0.05, description="the error of the whole ladder: how often a false rung may be climbed")
    tie_margin: Annotated[float, Field(ge=0)] = Field(0.005, description="difference of the metric that does not matter: what surely differs less is a tie")
    race: bool = Field(True, description="drop candidates that cannot win any more after each round of one seed for all")
    budget_minutes: Annotated[float, Field(gt=0)] | None = Field(None, description="minutes of training, all runs together; if not set, no limit")
    steps: tuple[Step, ...] = Field(())

    @pydantic.model_validator(mode="after")
    def _seeds_fit(self) -> Self:
        if len(self.seeds) < 2:
            raise ValueError(f"seeds = {list(self.seeds)}: {_TWO}")
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"seeds = {list(self.seeds)}: a seed is there twice, and it would give the same run twice")
        return self

    def to_json(self) -> dict[str, Any]:
        """Return plain values; `plan_from_json` gives an equal plan back."""
        return self.model_dump(mode="json")


def plan_from_json(values: Mapping[str, Any]) -> Plan:
    """Return the plan that `to_json` wrote; raises RecipeError if the values are not those of a plan."""
    steps = [Step(**{**step, "choices": [Choice(**choice) for choice in step["choices"]]}) for step in values["steps"]]
    return Plan(**{**values, "steps": steps})


def read_plan(path: Path, settings: Mapping[str, Any] | None = None, fields: Mapping[str, Any] | None = None) -> Plan:
    """Read a ladder file; `fields` go over those of the file, `settings` over its settings.

    Data and a recipe's file that are not below the working folder are looked for beside it.

    Raises: RecipeError naming what is wrong in it: see `plan_of`.
    """
    values = read_values(path, "ladder", "step")
    values = _undecided(path, values) if "steps_of" in values else values
    plan = plan_of({**values, **(fields or {})}, str(path), settings)
    data = tuple(source if is_name(source) else _beside(source, path.parent) for source in plan.data)
    return plan.model_copy(update={"data": data, "recipe": _beside(plan.recipe, path.parent)})


def _undecided(path: Path, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of the ladder file that `steps_of` names, beside this one, with the fields given here over its own, and without what its steps keep.

    Raises: RecipeError if there are steps here too, or the other file has none.
    """
    other = path.parent / str(values["steps_of"])
    if "step" in values:
        raise RecipeError(f"steps_of takes the steps of {other}, and there are others here: leave one of them out (in {path})")
    theirs = read_values(other, "ladder", "step")
    if not isinstance(theirs.get("step"), list):
        raise RecipeError(f"steps_of = '{one_line(str(values['steps_of']))}' has no step: name a ladder file with [[step]] (in {path})")
    steps = [{key: value for key, value in step.items() if key != "keep"} for step in theirs["step"]]
    return {**theirs, **{name: value for name, value in values.items() if name != "steps_of"}, "step": steps}


def read_values(path: Path, what: str, table: str) -> dict[str, Any]:
    """Read the file of a study, named after itself unless it has a name; what: "ladder", table: "step", in messages. Raises RecipeError if it is empty."""
    values = read_toml(path, what)
    if not values:
        raise RecipeError(f'{path} is empty: a {what} needs data = ".." and at least one [[{table}]]; docs/{what}.md shows one')
    return {"name": word(path.stem), **values}


def check_fields(values: Mapping[str, Any], known: Sequence[str], what: str, origin: str) -> None:
    """Check that a study has only fields that are known, and names its data; raises RecipeError."""
    for name in values:
        if name not in known:
            raise RecipeError(f"there is no field '{one_line(str(name))}' in a {what}: {did_you_mean(str(name), known)} (in {origin})")
    if not values.get("data"):
        raise RecipeError(f'the {what} names no data: write data = "digits", or a path (in {origin})')


def _beside(place: str, folder: Path) -> str:
    """Return a file or folder, or file.py:function, as it is, or where it lies in `folder` if it is only there."""
    file, colon, name = place.rpartition(":") if is_own(place) else (place, "", "")
    return f"{folder / file}{colon}{name}" if not Path(file).exists() and (folder / file).exists() else place


def plan_of(values: Mapping[str, Any], origin: str = "the ladder", settings: Mapping[str, Any] | None = None) -> Plan:
    """Return the plan of nested plain values, as a ladder file holds them ("step": a list of tables).

    Raises: RecipeError for a field that there is not, a step without candidates, with two factors or with a name twice, fewer than two seeds,
    or a value that does not fit.
    """
    check_fields(values, [*(name for name in Plan.model_fields if name != "steps"), "step"], "ladder", origin)
    given = values.get("step")
    if not given or not isinstance(given, list):
        raise RecipeError(f"the ladder has no step: write [[step]] with a name, a field and its candidates (in {origin})")
    try:
        steps = tuple(_step(number, step) for number, step in enumerate(given, 1))
        _no_name_twice([step.name for step in steps], "two steps are")
        merged = {**fields_of(values.get("settings", {}), "settings"), **(settings or {})}
        made = {name: value for name, value in values.items() if name != "step"}
        plan = Plan(**made | {"settings": merged, "data": _texts(values["data"]), "seeds": _seeds(values.get("seeds", 5)), "steps": steps})
        rules.check_rule(plan.rule)
    except RecipeError as error:
        raise RecipeError(f"{error} (in {origin})") from None
    return plan


def fields_of(table: object, where: str) -> Settings:
    """Return the fields of a table by their full names: TOML reads `train.epochs = 5` as a table in a table.

    Raises: RecipeError if it is no table.
    """
    if not isinstance(table, Mapping):
        raise RecipeError(f'{where} = {one_line(repr(table))}: expected fields of a recipe, such as "train.epochs" = 5')
    parts = [name for name in Recipe.model_fields if isinstance(Recipe.model_fields[name].default, Part)]
    found: Settings = {}
    for name, value in table.items():
        found |= {f"{name}.{key}": inner for key, inner in value.items()} if name in parts and isinstance(value, Mapping) else {name: value}
    return found


def fitted(plan: Plan, start: Recipe, origin: str = "", changed: Mapping[str, Any] | None = None) -> Plan:
    """Check every candidate, the settings and the metric against the recipe that the ladder starts from, before anything is trained.

    origin: the file that is named where something in it does not fit; changed: settings that are not from there.
    Returns the plan with all fields by their full names. Raises: RecipeError naming the step and the candidate.
    """
    change(start, changed or {})
    try:
        return _fitted(plan, start)
    except RecipeError as error:
        raise RecipeError(f"{error} (in {origin})" if origin else str(error)) from None


def _fitted(plan: Plan, start: Recipe) -> Plan:
    if "seed" in plan.settings:
        raise RecipeError("settings: seed is set by the ladder: write seeds = [0, 1, 2] above the steps")
    base = change(start, plan.settings)
    if base.split.fit_on != "train":
        raise RecipeError("split.fit_on = 'train+validation' leaves no validation part to compare candidates on: leave it out")
    check_metric(plan.metric, base)
    steps = [_fitted_step(f"step {number} '{step.name}'", step, base) for number, step in enumerate(plan.steps, 1)]
    return plan.model_copy(update={"settings": _full_names(plan.settings, base), "steps": tuple(steps)})


def _fitted_step(place: str, step: Step, base: Recipe) -> Step:
    choices = []
    for choice in step.choices:
        at = f"{place}, candidate '{choice.name}'"
        try:
            settings = _full_names(choice.settings, change(base, choice.settings))
        except RecipeError as error:
            raise RecipeError(f"{at}: {error}") from None
        for name in settings:
            _check_free(name, at)
        choices.append(choice.model_copy(update={"settings": settings}))
    field = next(iter(choices[0].settings)) if step.field else ""
    return step.model_copy(update={"choices": tuple(choices), "field": field})


def changes(before: Plan, now: Plan) -> list[str]:
    """Return what of a plan has changed since it was climbed last, as far as that makes trainings anew, in sentences."""
    alike = ("data", "recipe", "settings", "seeds", "metric", "rule", "level", "tie_margin", "race")
    differing = [name for name in alike if getattr(before, name) != getattr(now, name)]
    said = [f"{', '.join(differing)} of the ladder changed since it was climbed last: every step is decided anew, and what has no run yet is trained"]
    if differing:
        return said
    for number, (old, new) in enumerate(zip(before.steps, now.steps, strict=False), 1):
        if (old.name, old.field, old.choices, old.keep) != (new.name, new.field, new.choices, new.keep):
            what = f"is '{new.name}' now, and was '{old.name}'" if old.name != new.name else f"'{new.name}' changed"
            return [f"step {number} {what} since the ladder was climbed last: from there on it is decided anew, and what has no run yet is trained"]
    return []


def _check_free(name: str, place: str) -> None:
    for alike, reason in _ALIKE.items():
        if name not in _FREE and (name == alike or (alike.endswith(".") and name.startswith(alike))):
            raise RecipeError(f"{place}: {name} cannot be a step: it {reason}")


def _full_names(settings: Settings, recipe: Recipe) -> Settings:
    """Return settings by the full names of their fields: "epochs" is train.epochs."""
    known = flat(recipe)
    return {given if given in known else next(name for name in known if name.rpartition(".")[2] == given): value for given, value in settings.items()}


def _step(number: int, given: object) -> Step:
    """Return one step of the file; raises RecipeError naming it."""
    if not isinstance(given, Mapping):
        raise RecipeError(f"step {number} = {one_line(repr(given))}: expected a table, [[step]]")
    name = given.get("name", given.get("field"))
    place = f"step {number}" + (f" '{name}'" if isinstance(name, str) else "")
    known = ("name", "why", "notes", "field", "candidates", "group", "keep")
    for key in given:
        if key not in known:
            raise RecipeError(f"{place}: {_not_in_a_step(str(key), given, known)}")
    if "group" in given and ("field" in given or "candidates" in given):
        raise RecipeError(f"{place} has a field and a group, which are two factors: make them two steps, or put all that belongs together into the group")
    choices = _groups(given["group"], place) if "group" in given else _values(given, place)
    if not isinstance(name, str) or not name.strip():
        raise RecipeError(f'{place} has no name: write name = ".."')
    _no_name_twice([choice.name for choice in choices], f"{place}: two candidates are")
    texts = {key: str(given.get(key, "")) for key in ("why", "notes")}
    return Step(name=name, field=given.get("field", ""), choices=choices, keep=_keep(given, choices, place), **texts)


def _keep(given: Mapping[str, Any], choices: Sequence[Choice], place: str) -> str:
    """Return the name of the candidate that a step carries on whatever the rule says, "" where the rule decides."""
    if "keep" not in given:
        return ""
    name, names = shown(given["keep"]), [START, *(choice.name for choice in choices)]
    if name not in names:
        raise RecipeError(f"{place}: keep = '{one_line(name)}' is none of its candidates: {did_you_mean(name, names)}")
    return name


def _not_in_a_step(key: str, given: Mapping[str, Any], known: Sequence[str]) -> str:
    """Return what is wrong with a field that a step has not: it may be a factor of the recipe, beside or in place of the step's."""
    names = {name.rpartition(".")[0] or name for name in flat(Recipe())} | set(flat(Recipe()))
    if key not in names or key in known:
        return f"there is no field '{one_line(key)}' in a step: {did_you_mean(key, known)}"
    beside = f" beside {given['field']}, which are two factors in one step" if "field" in given else ""
    return f'it sets {key}{beside}: change one field a step, or name what belongs together as group = [{{name = "..", ..}}]'


def _values(given: Mapping[str, Any], place: str) -> tuple[Choice, ...]:
    """Return the candidates of one field."""
    field, values = given.get("field"), given.get("candidates")
    if isinstance(field, list) or isinstance(values, Mapping):
        two = ", ".join(map(str, field if isinstance(field, list) else values or ()))
        raise RecipeError(
            f"{place} changes {one_line(two)}: two factors in one step cannot be told apart; make two steps, or name what belongs together as "
            'group = [{name = "..", ..}]'
        )
    if not isinstance(field, str) or not field:
        raise RecipeError(f'{place} has no field: write field = "train.epochs" and candidates = [..], or a group')
    if values is not None and not isinstance(values, list):
        given_one = one_line(repr(values))
        raise RecipeError(f"{place}: candidates = {given_one}: expected a list, such as candidates = [{given_one}], with at least one value of {field}")
    if not values:
        raise RecipeError(f"{place} has no candidates: write candidates = [..] with at least one value of {field}")
    if any(isinstance(value, Mapping) and any("." in str(key) for key in fields_of(value, field)) for value in values):
        raise RecipeError(f"{place} has candidates that set fields of their own, and a field besides: leave field out, and write group = [..]")
    return tuple(Choice(name=shown(value), settings={field: value}) for value in values)


def _groups(given: object, place: str) -> tuple[Choice, ...]:
    """Return the candidates that are groups of fields, each with its name."""
    if not isinstance(given, list) or not given:
        raise RecipeError(f'{place} has no candidates: write group = [{{name = "..", "train.epochs" = 5, ..}}, ..]')
    choices = []
    for table in given:
        if not isinstance(table, Mapping) or not isinstance(table.get("name"), str) or not table["name"]:
            raise RecipeError(f'{place}: {one_line(repr(table))} in its group has no name: write {{name = "..", "train.epochs" = 5, ..}}')
        settings = fields_of({key: value for key, value in table.items() if key != "name"}, place)
        if not settings:
            raise RecipeError(f"{place}: '{table['name']}' changes nothing: give it the fields that belong together")
        choices.append(Choice(name=table["name"], settings=settings))
    return tuple(choices)


def _no_name_twice(names: Sequence[str], what: str) -> None:
    for name in names:
        if names.count(name) > 1:
            raise RecipeError(f"{what} called '{one_line(name)}': give each its own name")
        if name == START:
            raise RecipeError(f"{what.replace('two ', 'one of the ').replace(' are', ' is')} called '{START}', which means what a step begins from: rename it")


def _texts(value: object) -> tuple[str, ...]:
    """Return one text or several as several."""
    return (value,) if isinstance(value, str) else tuple(map(str, value)) if isinstance(value, list | tuple) else value  # type: ignore[return-value]


def _seeds(value: object) -> tuple[int, ...]:
    """Return a number of seeds as the seeds 0, 1, .., a list of seeds as it is; raises RecipeError for anything else."""
    if isinstance(value, list | tuple) and all(isinstance(one, int) and not isinstance(one, bool) and one >= 0 for one in value):
        return tuple(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise RecipeError(f"seeds = {one_line(repr(value))}: expected how many, such as 5, or a list of them, such as [0, 1, 2]")
    if value < 2:
        raise RecipeError(f"seeds = {value}: {_TWO}")
    return tuple(range(value))


def too_small(budget_minutes: float, training_s: float, trainings: int, what: str) -> str:
    """Return why a budget does not do for two seeds, with the smallest that does, rounded up to two digits; training_s: what one training takes."""
    one, least = (_minutes(number * training_s / 60) for number in (1, trainings))
    return (
        f"budget_minutes = {budget_minutes:g} is too small for two seeds: one training takes up to {one} min, and {trainings} are needed, {what}: "
        f"write budget_minutes = {least} or more"
    )


def _minutes(value: float) -> str:
    """Write minutes with two digits, rounded up: "6", "0.14"."""
    places = 1 - math.floor(math.log10(value)) if value > 0 else 0
    return f"{math.ceil(round(value * 10.0**places, 6)) / 10.0**places:g}"


def shown(value: object) -> str:
    """Write a value as a ladder file does: true, [16, 32], adam."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(shown, value))}]"
    return str(value)


def word(text: str) -> str:
    """Return a file's name as a word for a folder."""
    word = "".join(c if c.isascii() and (c.isalnum() or c in "_.-") else "-" for c in text).lstrip("_.-")[:64]
    return word or "ladder"
