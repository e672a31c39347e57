"""What groups of runs are called, and in which settings they differ."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from rung.study.entry import Entry

_DATED = re.compile(r"\d{8}-\d{6}-")


def names_of(groups: Sequence[Sequence[Entry]]) -> list[str]:
    """Return a name for each group: the run's own for one run, what its runs' names begin with for several, else the recipe's; no name twice."""
    names = [_name(group) for group in groups]
    return [name if names.count(name) == 1 else f"{name} ({names[: place + 1].count(name)})" for place, name in enumerate(names)]


def _name(group: Sequence[Entry]) -> str:
    if len(group) == 1:
        return group[0].id
    shared = re.sub(r"[-_.]?(seed)?[-_.]?\d*$", "", _beginning([entry.id for entry in group])).rstrip("-_.")
    return group[0].recipe.name if len(shared) < 2 or _DATED.match(group[0].id) else shared


def _beginning(words: Sequence[str]) -> str:
    """Return what all words begin with."""
    same = next((place for place, letters in enumerate(zip(*words, strict=False)) if len(set(letters)) > 1), min(map(len, words)))
    return words[0][:same]


def settings_apart(groups: Sequence[Sequence[Entry]]) -> list[dict[str, str]]:
    """Return for each group the fields of the recipe in which the groups differ, as text; "–" for a field that its network does not have."""
    values = [group[0].settings() for group in groups]
    names = dict.fromkeys(name for settings in values for name in settings)
    apart = [name for name in names if any(settings.get(name) != values[0].get(name) or (name in settings) != (name in values[0]) for settings in values)]
    return [{name: _text(settings[name]) if name in settings else "–" for name in apart} for settings in values]


def _text(value: Any) -> str:
    if isinstance(value, tuple | list):
        return ", ".join(map(_text, value)) or "none"
    return "not set" if value is None else f"{value:g}" if isinstance(value, float) else str(value) or "none"
