"""What a row changes of its start, and what the start has where others change it: the values that act, defaults written out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from rung.recipe import Recipe
from rung.recipe.idle import idle_fields
from rung.recipe.whole import flat
from rung.study.plan import START, Step, shown
from rung.training.optimizer_defaults import resolved

_MOST: Final = 2  # values in brackets


def acting(recipe: Recipe) -> dict[str, Any]:
    """Return the value of each field that does something beside the others, the optimizer's defaults in place of what is not set."""
    values = flat(recipe.model_copy(update={"train": resolved(recipe.train)}))
    idle = set(idle_fields(recipe))
    return {name: value for name, value in values.items() if name not in idle}


def changed_text(start: Recipe, other: Recipe, names: Iterable[str]) -> str:
    """Write which of these fields another recipe changes, without those that do nothing in it: "`train.optimizer` = sgd, `train.learning_rate` = 0.01"."""
    before, after = acting(start), acting(other)
    return ", ".join(f"`{name}` = {shown(after[name])}" for name in names if name in after and before.get(name) != after[name])


def start_text(step: Step, values: Mapping[str, Any]) -> str:
    """Name the start of a step with what it has where every candidate has something else: "start (relu)"; "start" alone where that is too much to say.

    values: of the start, those that act.
    """
    fields = set.intersection(*(set(choice.settings) for choice in step.choices))
    found = dict.fromkeys(shown(values[name]) for choice in step.choices[:1] for name in choice.settings if name in fields and name in values)
    return f"{START} ({', '.join(found)})" if 0 < len(found) <= _MOST else START
