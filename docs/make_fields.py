"""Write docs/fields.md, the table of every field of a recipe, from src/rung/recipe/fields.py.

Run with: python docs/make_fields.py
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from rung.recipe import CNN, MLP, OwnNetwork, Recipe, describe, flat

PAGE = Path(__file__).with_name("fields.md")
NETWORKS = {"network.kind = cnn": CNN(), "network.kind = mlp": MLP(), "network.kind = own": OwnNetwork(source="file.py:name")}
TITLES = {
    "": "At the top",
    "data": "data: which images",
    "pixels": "pixels: from a file to numbers",
    "split": "split: training, validation, test",
    "augment": "augment: changes of training images",
    "train": "train: how it is fitted",
    "compute": "compute: on which machine",
}
HEAD = """# Every field of a recipe

This page is written by `python docs/make_fields.py` from `src/rung/recipe/`. What recipes are: [recipes.md](recipes.md).

"Default" is what a field is where neither a recipe nor `--set` says anything. It is not what `--recipe default` sets: `rung recipes default` shows that.
"""


def page() -> str:
    """Return the whole page as Markdown."""
    schema = Recipe.model_json_schema()
    fields, texts = flat(Recipe()), describe(Recipe())
    parts = [HEAD]
    for part, title in TITLES.items():
        names = [name for name in fields if name.rpartition(".")[0] == part and name != "network"]
        parts.append(f"## {title}\n\n{_table(names, fields, texts, schema)}")
        if part == "augment":
            parts.append("## network: what is fitted\n\nThe fields depend on `network.kind`. See [networks.md](networks.md).\n")
            for title_of_kind, network in NETWORKS.items():
                recipe = Recipe(network=network)
                mine = [name for name in flat(recipe) if name.startswith("network.") and name != "network.kind"]
                parts.append(f"### {title_of_kind}\n\n{_table(mine, flat(recipe), describe(recipe), schema, type(network).__name__)}")
    return "\n".join(parts)


def _table(names: list[str], fields: dict[str, Any], texts: dict[str, str], schema: dict[str, Any], owner: str = "") -> str:
    lines = ["| field | default | values | what it is |", "|---|---|---|---|"]
    for name in names:
        part, _, key = name.rpartition(".")
        own_schema = schema["$defs"][owner or part.capitalize()] if part else schema
        required = key in own_schema.get("required", ())
        text = re.sub(r" \([^()]*\|[^()]*\)$", "", texts[name])  # the words to choose from stand in the column of values
        default = "" if required else _shown(fields[name])
        lines.append(f"| `{name}` | {default} | {_values(own_schema['properties'][key])} | {text} |")
    return "\n".join(lines) + "\n"


def _shown(value: Any) -> str:
    if value is None:
        return "not set"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, tuple):
        return f"`{list(value)}`"
    return f"`{value}`" if value != "" else '`""`'


def _values(schema: dict[str, Any]) -> str:
    """Say in words what a field may be, from its JSON schema."""
    if "anyOf" in schema:
        options = sorted((option for option in schema["anyOf"] if option.get("type") != "null"), key=lambda option: option.get("type") == "array")
        if len(options) == 2 and options[1].get("items") == options[0]:
            return f"{_values(options[0])}, or a list of such"
        return " or ".join(map(_values, options))
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    kind = schema.get("type")
    if kind == "array":
        return "list of numbers" if "prefixItems" in schema else f"list of {_values(schema['items']).replace('number', 'numbers').replace('text', 'texts')}"
    if kind == "object":
        return "{class = number, ..}"
    if kind in ("integer", "number"):
        return f"{'whole number' if kind == 'integer' else 'number'}{_range(schema)}"
    return {"boolean": "`true`, `false`", "string": "text"}[str(kind)]


def _range(schema: dict[str, Any]) -> str:
    """Write the range of a number, such as ", from 0, below 1"; a limit of 64 bits is not worth a word."""
    low, above = schema.get("minimum"), schema.get("exclusiveMinimum")
    high, below = schema.get("maximum"), schema.get("exclusiveMaximum")
    words = []
    if low is not None:
        words.append(f"from {low:g}")
    if above is not None:
        words.append(f"above {above:g}")
    if high is not None:
        words.append(f"to {high:g}")
    if below is not None and below < 2**60:
        words.append(f"below {below:g}")
    return f", {', '.join(words)}" if words else ""


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(f"wrote {PAGE}")
