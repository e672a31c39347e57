"""A command of the command line that knows that what it was given as an option may be a field of the recipe."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from typer.core import TyperCommand


class Command(TyperCommand):
    """A command that answers an option there is not, `--epochs 3`, with the field of that name, `--set train.epochs=3`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        given = list(args)  # reading takes them out of the list
        try:
            return super().parse_args(ctx, args)
        except Exception as error:  # the class has moved between versions of typer
            option = getattr(error, "option_name", None)
            if option and any("--set" in parameter.opts for parameter in self.params):
                _add_field(error, str(option), given)
            raise


def _add_field(error: Any, option: str, given: Sequence[str]) -> None:
    from rung.recipe import MLP, Recipe, flat

    word = option.lstrip("-").replace("-", "_")
    known = dict.fromkeys([*flat(Recipe()), *flat(Recipe(network=MLP()))])
    meant = [name for name in known if word in (name, name.rpartition(".")[2])]
    if meant:
        value = _value(option, given)
        error.message += f"; it is a field of the recipe: {' or '.join(f'--set {name}={value}' for name in meant)}"


def _value(option: str, given: Sequence[str]) -> str:
    """Return what stands after the option, if that is a value."""
    for word, following in zip(given, [*given[1:], ""], strict=True):
        if word.startswith(f"{option}="):
            return word.partition("=")[2]
        if word == option and following and not following.startswith("-"):
            return following
    return "VALUE"
