"""Recipes from and to text: TOML files, `--set`, and one recipe made from another."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import pydantic

from rung.errors import RecipeError
from rung.recipe.whole import Recipe, describe, flat
from rung.recipe.words import names, no_field, refused
from rung.store import atomic

_UNSET: Final = frozenset(name for name, value in flat(Recipe()).items() if value is None)  # by default; no field of a network is


def parse(values: Mapping[str, Any], origin: str = "the recipe") -> Recipe:
    """Return the recipe of nested plain values.

    Raises: RecipeError naming each field at fault, what was found there and what would be right.
    """
    try:
        return Recipe.model_validate(values)
    except pydantic.ValidationError as error:
        raise RecipeError(f"{refused(error, Recipe, values)} (in {origin})") from None


def change(recipe: Recipe, settings: Mapping[str, Any]) -> Recipe:
    """Return the recipe with some fields changed: {"train.epochs": 3}, or {"epochs": 3} where only one part has the name.

    A changed network.kind starts from that kind's defaults. "none" takes the value of a field away that need not be set.

    Raises: RecipeError for a field that does not exist or a value that does not fit.
    """
    values = recipe.model_dump()
    kind = settings.get("network.kind", settings.get("kind"))
    if kind is not None and kind != recipe.network.kind:
        values["network"] = {"kind": kind}
    known = list(names(Recipe, values))
    for given, value in settings.items():
        name = _full_name(given, known)
        *parts, key = name.split(".")
        target = values[parts[0]] if parts else values
        target[key] = None if value == "none" and name in _UNSET else value
    return parse(values, "the settings")


def _full_name(given: str, known: Sequence[str]) -> str:
    if given in known:
        return given
    matches = sorted({name for name in known if name.rpartition(".")[2] == given})
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise RecipeError(f"'{given}' is a field of several parts: say which, {' or '.join(matches)}")
    raise RecipeError(no_field(given, known))


def setting(text: str) -> tuple[str, Any]:
    """Read one `--set` text, "train.epochs=3"; the value is TOML, or else taken as a word.

    Raises: RecipeError without a key or an equals sign.
    """
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise RecipeError(f"--set {text}: expected key=value, such as --set train.epochs=3")
    try:
        return key.strip(), tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return key.strip(), value.strip()


def from_toml(path: Path) -> Recipe:
    """Read a recipe.toml.

    Raises: RecipeError if it is not there, is not TOML, or does not fit.
    """
    return parse(read_toml(path, "recipe"), str(path))


def read_toml(path: Path, what: str) -> dict[str, Any]:
    """Read a TOML file; what: it is, in messages. Raises: RecipeError if it cannot be read or is no TOML."""
    try:
        return tomllib.loads(atomic.read_bytes(path).decode("utf-8"))
    except OSError as error:
        raise RecipeError(f"cannot read the {what} {path}: {atomic.reason(error)}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path} is not a TOML file: {error}") from None


def to_toml(recipe: Recipe, comments: bool = False) -> str:
    """Write the recipe as TOML; fields that are None are left out, `comments` adds each field's description."""
    import tomlkit

    document = tomlkit.document()
    texts = describe(recipe) if comments else {}
    tables: dict[str, Any] = {"": document}
    for name, value in flat(recipe).items():
        part, _, key = name.rpartition(".")
        if part not in tables:
            tables[part] = document[part] = tomlkit.table()
        if value is None:
            if comments:
                tables[part].add(tomlkit.comment(f"{key} is not set: {texts[name]}"))
            continue
        item = tomlkit.item(list(value) if isinstance(value, tuple) else value)
        if texts.get(name):
            item.comment(texts[name])
        tables[part].add(key, item)
    return tomlkit.dumps(document)
