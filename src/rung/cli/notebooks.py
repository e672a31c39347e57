"""The command that writes notebooks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rung.cli.options import Root
from rung.store.run import DEFAULT_ROOT


def notebook(
    what: Annotated[str, typer.Argument(metavar="RUN|LADDER", help="A run's folder, its id, or the beginning of its id; or the folder of a ladder.")],
    page: Annotated[Path | None, typer.Option("--page", metavar="FILE", help="Write the notebook here; if not given, notebook.ipynb in its folder.")] = None,
    out: Root = DEFAULT_ROOT,
) -> None:
    """Write an executed notebook about a run or a ladder, which opens in Jupyter without rung.

    Its code needs Python, numpy, matplotlib and the data that stand in it. Prints where it lies.
    """
    from rung import display

    with display.busy("running the cells"):
        from rung import notebooks

        written = notebooks.notebook(what, page=page, out=out)
    typer.echo(written)
