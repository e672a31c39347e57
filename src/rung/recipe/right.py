"""What a field of a recipe may be, in words that are made from its type and range."""

from __future__ import annotations

import types
from collections.abc import Iterable
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

_NOUNS: Final[dict[Any, tuple[str, str]]] = {  # one, several with an example
    int: ("a whole number", "whole numbers{range}, such as [16, 32]"),
    float: ("a number", "numbers{range}, such as [0.1, 0.2]"),
    str: ("a text", 'texts, such as ["a", "b"]'),
    bool: ("true or false", "true or false"),
}


def right(field: FieldInfo) -> str:
    """Return "a whole number from 1", "true or false", "a list of whole numbers from 1, such as [16, 32]" or the like."""
    if patterns := [rule.pattern for rule in field.metadata if getattr(rule, "pattern", None)]:
        return f"a text that fits {patterns[0]}"
    return _words(field.annotation, field.metadata)


def _words(kind: Any, rules: Iterable[Any]) -> str:
    inner = get_args(kind)
    origin = get_origin(kind)
    if origin is Annotated:
        return _words(inner[0], [rule for given in inner[1:] for rule in getattr(given, "metadata", ())])
    if origin is Literal:
        return _either(map(repr, inner))
    if origin in (Union, types.UnionType):
        return _either(_words(option, rules) for option in inner)
    if origin is tuple:
        several = _several(inner[0])
        return f"a list of {several}" if inner[-1] is Ellipsis else f"a list of {len(inner)} {several.partition(',')[0]}"
    if origin is dict:
        return f"a table of names with {_words(inner[1], ())} each"
    if kind is type(None):
        return "none"
    return f"{_NOUNS[kind][0]}{_range(rules)}"


def _several(kind: Any) -> str:
    plain, rules = (get_args(kind)[0], [rule for given in get_args(kind)[1:] for rule in given.metadata]) if get_origin(kind) is Annotated else (kind, [])
    return _NOUNS[plain][1].format(range=_range(rules))


def _range(rules: Iterable[Any]) -> str:
    """Return the bounds of a number: " from 0 to below 1"."""
    found = {bound: getattr(rule, bound) for rule in rules for bound in ("ge", "gt", "le", "lt") if getattr(rule, bound, None) is not None}
    low = f" from {found['ge']}" if "ge" in found else f" above {found['gt']}" if "gt" in found else ""
    high = f" to {found['le']}" if "le" in found else f" to below {found['lt']}" if "lt" in found and "ge" in found else ""
    return low + high if high or "lt" not in found else f"{low} and below {found['lt']}"


def _either(words: Iterable[str]) -> str:
    *first, last = words
    return f"{', '.join(first)} or {last}" if first else last
