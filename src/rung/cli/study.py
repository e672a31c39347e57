"""The commands that study several runs at once."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from rung.cli.options import AsJson, Metric, Page, Part, Root, RunNames
from rung.store.run import DEFAULT_ROOT


def compare(
    runs: RunNames,
    metric: Metric = "accuracy",
    part: Part = "validation",
    anyway: Annotated[bool, typer.Option("--anyway", help="Compare runs whose rows, preprocessing or metric differ; they are not ranked.")] = False,
    page: Page = None,
    out: Root = DEFAULT_ROOT,
    as_json: AsJson = False,
) -> None:
    """Set finished runs beside each other: scores with intervals, paired differences, logs, confusions, errors in common.

    Runs of one recipe with several seeds are one group. Writes compare.html into the folder of runs, or where --page says.
    """
    from rung import display, studies

    written = page or out / "compare.html"
    with display.busy("comparing the runs"):
        found = studies.compare(runs, metric=metric, part=part, anyway=anyway, page=written, out=out)
    if as_json:
        typer.echo(json.dumps({**found.to_json(), "page": str(written)}))
    else:
        display.comparison(found, written)
