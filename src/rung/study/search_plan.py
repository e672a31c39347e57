"""The search file: what is searched, between which bounds, with how many trials; the rest is that of a ladder."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Final

from pydantic import Field

from rung.errors import RecipeError, did_you_mean, one_line
from rung.recipe import Recipe
from rung.recipe.fields import Count, Part, Seed
from rung.study.plan import Plan, check_fields, fitted, plan_of, read_values, shown

_NOT_OF_A_SEARCH: Final = ("steps", "rule")  # the referee decides
_OWN: Final = ("trials", "finalists", "seed", "prune")
_OF_A_PARAMETER: Final = ("field", "choices", "low", "high", "log")
_WORDS: Final = {"two steps are called": "two parameters are of the field", " the ladder": " the search", "above the steps": "above the parameters"}
_DIGITS: Final = 4  # of a value between bounds: what differs less makes no difference, and can be read


class Parameter(Part):
    """One field that is searched: among choices, or between bounds (whole numbers where both bounds are)."""

    place: ClassVar[str] = "parameter"

    field: str
    choices: tuple[Any, ...] = ()
    low: int | float | None = None
    high: int | float | None = None
    log: bool = False

    @property
    def names(self) -> list[str]:
        """The choices as text, by which they are remembered."""
        return [shown(choice) for choice in self.choices]

    @property
    def whole(self) -> bool:
        """Whether its values are whole numbers."""
        return isinstance(self.low, int) and isinstance(self.high, int)

    def value(self, drawn: Any) -> Any:
        """Return the value of the field for what the sampler drew."""
        if self.choices:
            return self.choices[self.names.index(drawn)]
        if self.whole:
            return int(drawn)
        assert self.low is not None
        assert self.high is not None
        return min(max(float(f"{drawn:.{_DIGITS}g}"), float(self.low)), float(self.high))


class SearchPlan(Part):
    """A whole search. plan: the ladder of the last step, without steps yet: its seeds are the referee's."""

    plan: Plan
    parameters: tuple[Parameter, ...]
    trials: Count = Field(20, description="how many combinations are tried")
    finalists: Count = Field(3, description="how many of the best trials the referee judges against the start")
    seed: Seed = Field(0, description="of the trials and of what is drawn for them; the referee's seeds are others")
    prune: bool = Field(True, description="end a trial whose validation accuracy lies below the median of the others after as many epochs")

    def to_json(self) -> dict[str, Any]:
        """Return plain values in a fixed order."""
        return self.model_dump(mode="json")

    def begun_as(self) -> dict[str, Any]:
        """Return what must be the same for a search to go on: the trials remembered were drawn and scored with it."""
        plan = self.plan.to_json()
        return {name: plan[name] for name in ("data", "recipe", "settings", "metric")} | {
            "seed": self.seed,
            "parameters": [parameter.model_dump(mode="json") for parameter in self.parameters],
        }


def read_search(path: Path, settings: Mapping[str, Any] | None = None) -> SearchPlan:
    """Read a search file; `settings` go over those of the file. Raises: RecipeError naming what is wrong in it."""
    return search_of(read_values(path, "search", "parameter"), str(path), settings)


def search_of(values: Mapping[str, Any], origin: str = "the search", settings: Mapping[str, Any] | None = None) -> SearchPlan:
    """Return the search of nested plain values, as a search file holds them ("parameter": a list of tables).

    Raises: RecipeError for a field that there is not, no parameter, bounds or choices that cannot be, or a value that does not fit.
    """
    check_fields(values, [*(name for name in Plan.model_fields if name not in _NOT_OF_A_SEARCH), *_OWN, "parameter"], "search", origin)
    given = values.get("parameter")
    if not isinstance(given, list) or not given:
        raise RecipeError(f"the search has no parameter: write [[parameter]] with a field, and choices or low and high (in {origin})")
    try:
        parameters = tuple(_parameter(number, table) for number, table in enumerate(given, 1))
        own = {name: values[name] for name in _OWN if name in values}
        whole = SearchPlan(plan=Plan(data=("none",)), parameters=parameters, **own)  # the types of its own fields
        seeds = values.get("seeds", 5)
        if isinstance(seeds, int) and not isinstance(seeds, bool) and seeds > 1:
            seeds = list(range(whole.seed + 1, whole.seed + 1 + seeds))
        elif isinstance(seeds, list) and whole.seed in seeds:
            raise RecipeError(f"seeds = {seeds}: {whole.seed} is the seed of the trials, which chose by it: the referee needs others")
    except RecipeError as error:
        raise RecipeError(f"{error} (in {origin})") from None
    rest = {name: value for name, value in values.items() if name not in (*_OWN, "parameter")}
    try:
        plan = plan_of(rest | {"seeds": seeds, "step": [_step(parameter) for parameter in parameters]}, origin, settings)
    except RecipeError as error:
        raise RecipeError(_of_parameters(str(error))) from None
    return whole.model_copy(update={"plan": plan})


def fitted_search(search: SearchPlan, start: Recipe) -> SearchPlan:
    """Check every parameter, the settings and the metric against the recipe that is searched around, before anything is trained.

    Returns the search with all fields by their full names. Raises: RecipeError naming the parameter and the value.
    """
    try:
        plan = fitted(search.plan, start)
    except RecipeError as error:
        raise RecipeError(_of_parameters(str(error))) from None
    parameters = [parameter.model_copy(update={"field": step.field}) for parameter, step in zip(search.parameters, plan.steps, strict=True)]
    return search.model_copy(update={"plan": plan.model_copy(update={"steps": ()}), "parameters": tuple(parameters)})


def _parameter(number: int, given: object) -> Parameter:
    """Return one parameter of the file; raises RecipeError naming it."""
    if not isinstance(given, Mapping):
        raise RecipeError(f"parameter {number} = {one_line(repr(given))}: expected a table, [[parameter]]")
    name = given.get("field")
    place = f"parameter {number}" + (f" '{one_line(name)}'" if isinstance(name, str) else "")
    for key in given:
        if key not in _OF_A_PARAMETER:
            raise RecipeError(f"{place}: there is no field '{one_line(str(key))}' in a parameter: {did_you_mean(str(key), _OF_A_PARAMETER)}")
    if not isinstance(name, str) or not name:
        raise RecipeError(f'{place} has no field: write field = "train.learning_rate"')
    bounds = [key for key in ("low", "high", "log") if key in given]
    if "choices" in given and bounds:
        raise RecipeError(f"{place} has choices and {' and '.join(bounds)}: give choices, or low and high")
    if "choices" in given:
        return _among(place, given)
    return _between(place, given)


def _among(place: str, given: Mapping[str, Any]) -> Parameter:
    choices = given["choices"]
    if not isinstance(choices, list) or len(choices) < 2:
        raise RecipeError(f"{place}: choices = {one_line(repr(choices))}: expected a list of two values or more")
    made = Parameter(field=given["field"], choices=tuple(choices))
    if len(set(made.names)) < len(choices):
        raise RecipeError(f"{place}: choices = {one_line(repr(choices))}: a value is there twice")
    return made


def _between(place: str, given: Mapping[str, Any]) -> Parameter:
    low, high, log = given.get("low"), given.get("high"), given.get("log", False)
    for key, value in (("low", low), ("high", high)):
        if not isinstance(value, int | float) or isinstance(value, bool):
            found = "is missing" if value is None else f"= {one_line(repr(value))}"
            raise RecipeError(f"{place}: {key} {found}: give low and high as numbers, or choices = [..]")
    assert low is not None
    assert high is not None
    if not low < high:
        raise RecipeError(f"{place}: low = {low} is not below high = {high}")
    if not isinstance(log, bool):
        raise RecipeError(f"{place}: log = {one_line(repr(log))}: expected true or false")
    if log and low <= 0:
        raise RecipeError(f"{place}: low = {low} has no logarithm: with log = true both bounds are above 0")
    return Parameter(field=given["field"], low=low, high=high, log=log)


def _step(parameter: Parameter) -> dict[str, Any]:
    """Return the step of a ladder by which a parameter's values are checked: its choices, or its bounds."""
    return {"name": parameter.field, "field": parameter.field, "candidates": list(parameter.choices) or [parameter.low, parameter.high]}


def _of_parameters(message: str) -> str:
    """Say of a parameter what was found in the step that stands for it."""
    message = re.sub(r"\bstep (\d+) '", r"parameter \1 '", message, count=1).replace(", candidate '", ", value '", 1)
    for of_ladder, of_search in _WORDS.items():
        message = message.replace(of_ladder, of_search)
    return message
