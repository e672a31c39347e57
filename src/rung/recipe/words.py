"""What is wrong with a recipe, in sentences that name the field, what was found and what would be right."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, get_args

import pydantic
from pydantic.fields import FieldInfo

from rung.errors import one_line
from rung.recipe.right import right

_NEARLY: Final = 0.85  # how alike two names are of which one is a slip of the other, by difflib


def refused(error: pydantic.ValidationError, kind: type[pydantic.BaseModel], values: Mapping[str, Any]) -> str:
    """Return one sentence for each place at fault, with "; " between; kind: the recipe or part that `values` were meant for."""
    known = dict(fields(kind, values))
    return "; ".join(dict.fromkeys(_explained(detail, getattr(kind, "place", ""), known, values) for detail in error.errors()))


def names(kind: type[pydantic.BaseModel], values: Mapping[str, Any]) -> Iterator[str]:
    """Yield the full name of every field of a recipe or part ("train.epochs", "seed"); of a network those of the kind in `values`."""
    yield from (name for name, _ in fields(kind, values))


def fields(kind: type[pydantic.BaseModel], values: Mapping[str, Any]) -> Iterator[tuple[str, FieldInfo]]:
    """Yield every field with its full name, as `names` does."""
    place = getattr(kind, "place", "")
    for name, field in kind.model_fields.items():
        inner = [option for option in (field.annotation, *get_args(field.annotation)) if isinstance(option, type) and issubclass(option, pydantic.BaseModel)]
        if not inner:
            yield (f"{place}.{name}" if place else name), field
            continue
        given = values.get(name, {})
        wanted = given.get("kind") if isinstance(given, Mapping) else getattr(given, "kind", None)
        chosen = next((option for option in inner if "kind" in option.model_fields and option.model_fields["kind"].default == wanted), inner[0])
        yield from fields(chosen, {})


def no_field(given: str, known: Sequence[str]) -> str:
    """Return that there is no field `given`, and the one of the full names `known` that was probably meant."""
    part = given.rpartition(".")[0]
    parts = list(dict.fromkeys(name.rpartition(".")[0] for name in known if "." in name))
    if given in parts:
        return f"'{given}' is no field but a part, which has {', '.join(_last(name) for name in known if name.startswith(f'{given}.'))}"
    if meant := _meant(given, [*parts, *known], part in parts):
        return f"there is no field '{given}': did you mean '{meant}'?"
    if part in parts:
        return f"there is no field '{given}': {part} has {', '.join(_last(name) for name in known if name.startswith(f'{part}.'))}"
    return f"there is no field '{given}': the parts are {', '.join(parts)}, and `rung recipes default` shows every field"


def _meant(given: str, known: Sequence[str], part_is_right: bool) -> str | None:
    """Return the field of the same part that is nearly this one, else that of this very name in another part, else the nearest of the same part.

    Where there is no such part, else the nearest of any.
    """
    part, _, key = given.rpartition(".")
    beside = [name for name in known if name.rpartition(".")[0] == part]
    likely = (
        (beside, difflib.get_close_matches(key, map(_last, beside), n=1, cutoff=_NEARLY)),
        (known, [key] if key in map(_last, known) else []),
        (beside, difflib.get_close_matches(key, map(_last, beside), n=1)),
        (known, [] if part_is_right else difflib.get_close_matches(key, map(_last, known), n=1)),
    )
    return next((name for names, found in likely for name in names if _last(name) in found), None)


def _last(name: str) -> str:
    return name.rpartition(".")[2]


def _explained(error: Any, part: str, known: Mapping[str, FieldInfo], values: Mapping[str, Any]) -> str:
    """Return what is wrong in one place, and what would be right; of a union, or of several values of one list, it is the same each time."""
    steps = [part, *map(str, error["loc"])] if part else [str(step) for step in error["loc"]]
    if not part and steps[:1] == ["network"]:
        del steps[1:2]  # the kind that was taken
    name = ".".join(steps[:2])  # what follows is a place within the value
    if error["type"] == "extra_forbidden":
        return no_field(name, list(known))
    if error["type"] == "value_error":
        return str(error["ctx"]["error"])
    if error["type"] == "missing" and len(steps) <= 2:
        return f"{name} must be set"
    if error["type"].startswith("union_tag"):
        return f"{name}.kind {'= ' + repr(error['ctx']['tag']) if 'tag' in error['ctx'] else 'is not set'}: expected 'cnn', 'mlp' or 'own'"
    if name not in known:
        return f"{name} = {one_line(repr(error['input']))}: expected a table of fields, such as {{'{name}': {{..}}}}"
    found = _value(values, name if not part else steps[1], error["input"])
    return f"{name} = {one_line(repr(found))}: expected {right(known[name])}"


def _value(values: Mapping[str, Any], name: str, otherwise: Any) -> Any:
    """Return what was given for a field, whole, even where only one value of a list is wrong."""
    part, _, key = name.rpartition(".")
    holder = values.get(part) if part else values
    return holder.get(key, otherwise) if isinstance(holder, Mapping) else getattr(holder, key, otherwise)
