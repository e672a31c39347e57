"""The commands about data: what they hold, what is wrong with them, what is kept of them."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from rung.cli.options import AsJson, Classes, Grey, Seed, Settings, Size, Sources, Strict, changed


def data(
    sources: Sources,
    classes: Classes = None,
    grey: Grey = False,
    size: Size = None,
    settings: Settings = None,
    strict: Strict = False,
    as_json: AsJson = False,
) -> None:
    """Describe data: counts, size, what is left out or repaired.

    Exit code 3 if files were left out.
    """
    from rung import display, workbench

    with display.bars(quiet=as_json) as bars:
        images = workbench.load(*sources, classes=classes, grey=grey, size=size, settings=changed(settings, strict), progress=bars.reading)
    report = workbench.describe(images)
    if as_json:
        typer.echo(json.dumps({**report.to_json(), "readings": [asdict(reading) for reading in images.readings]}))
    else:
        display.data(report)
        display.readings(images.readings)
    if report.dropped:
        raise typer.Exit(3)


def check(
    sources: Sources,
    classes: Classes = None,
    grey: Grey = False,
    size: Size = None,
    settings: Settings = None,
    strict: Strict = False,
    seed: Seed = None,
    page: Annotated[Path | None, typer.Option("--page", metavar="FILE", help="Write the page with pictures here.")] = None,
    as_json: AsJson = False,
) -> None:
    """Look for mistakes in data before anything is trained; nothing is changed.

    Exit code 1 if there is an error, 3 if files were left out.
    """
    from rung import display, workbench

    with display.bars(quiet=as_json) as bars:
        found = workbench.check(
            sources,
            classes=classes,
            grey=grey,
            size=size,
            settings=changed(settings, strict),
            seed=seed,
            page=page,
            progress=bars.reading,
            say=display.say,
            staged=bars.stages("checking"),
        )
    if as_json:
        typer.echo(json.dumps(found.to_json()))
    else:
        display.check(found, page)
    if found.errors:
        raise typer.Exit(1)
    if found.left_out:
        raise typer.Exit(3)


def cache(
    clear: Annotated[bool, typer.Option("--clear", help="Remove them; what a process has opened stays its own until it ends.")] = False,
    unused_days: Annotated[float, typer.Option("--unused-days", metavar="DAYS", min=0, help="Only those that were not used for so many days.")] = 0.0,
    as_json: AsJson = False,
) -> None:
    """List the decoded images that are kept between runs, with their sizes, or remove them."""
    from rung import display, workbench
    from rung.data.cache import place

    found, here = workbench.cache(clear=clear, unused_days=unused_days), place()
    if as_json:
        typer.echo(json.dumps([{**asdict(one), "folder": str(one.folder)} for one in found]))
    else:
        display.cache(found, here.root if here else None, clear)
