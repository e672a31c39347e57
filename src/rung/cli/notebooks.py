"""The command that writes notebooks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rung.cli.options import Root
from rung.store.run import DEFAULT_ROOT


def notebook(
    what: Annotated[
        str, typer.Argument(metavar="RUN|LADDER|SYSTEM", help="A run's folder, its id, or the beginning of its id; the folder of a ladder; or a system.")
    ],
    page: Annotated[Path | None, typer.Option("--page", metavar="FILE", help="Write the notebook here; if not given, notebook.ipynb in its folder.")] = None,
    small: Annotated[bool, typer.Option("--small", help="Of a system: what is known at its small budget.")] = False,
    out: Root = DEFAULT_ROOT,
) -> None:
    """Write an executed notebook about a run, a ladder or a replayed system, which opens in Jupyter without rung.

    Its code needs Python, numpy, matplotlib and the data that stand in it. Nothing is trained. Prints where it lies.
    """
    from rung import display

    with display.busy("running the cells"):
        from rung import notebooks

        written = notebooks.notebook(what, page=page, small=small, out=out)
    typer.echo(written)
