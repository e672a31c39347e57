"""The commands about recipes: list them, write one to change."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rung.cli.options import RecipeName


def recipes(name: Annotated[str | None, typer.Argument(metavar="NAME", help="Show this recipe: its document and every field.")] = None) -> None:
    """List the recipes that rung brings, or show one."""
    from rung import display, workbench

    if name is None:
        display.recipes(workbench.recipes())
    else:
        typer.echo(workbench.recipe_document(name))


def new(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file to write; it must not exist.")] = Path("recipe.toml"), recipe: RecipeName = "default"
) -> None:
    """Write a commented recipe.toml to change.

    Then: rung train DATA --recipe FILE.
    """
    from rung import workbench

    typer.echo(f"wrote {workbench.new(file, recipe)}; train with: rung train DATA --recipe {file}")
