"""The commands that train: try a training out, begin a run, go on with it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from rung.cli.options import (
    AsJson,
    CheckpointSeconds,
    Classes,
    Exact,
    Grey,
    RecipeName,
    Root,
    RunName,
    Seed,
    Settings,
    Size,
    Sources,
    Strict,
    changed,
    one_or_all,
)
from rung.cli.runs import print_run
from rung.cli.stopping import begun
from rung.store.run import DEFAULT_ROOT

if TYPE_CHECKING:
    pass


def preflight(
    data: Sources,
    recipe: RecipeName = "default",
    settings: Settings = None,
    seed: Seed = None,
    classes: Classes = None,
    grey: Grey = False,
    size: Size = None,
    strict: Strict = False,
    as_json: AsJson = False,
) -> None:
    """Try out a training in under a minute: do data, augmentation, network, loss and steps do what they should?

    Exit code 1 if a check fails.
    """
    from rung import display, workbench

    with display.bars(quiet=as_json) as bars:
        found = workbench.preflight(
            one_or_all(data),
            recipe,
            settings=changed(settings, strict),
            seed=seed,
            classes=classes,
            grey=grey,
            size=size,
            progress=bars.reading,
            say=display.say,
            staged=bars.stages("trying out"),
        )
    if as_json:
        typer.echo(json.dumps(found.to_json()))
    else:
        display.preflight(found)
    if found.failed:
        raise typer.Exit(1)


def train(
    data: Sources,
    recipe: RecipeName = "default",
    settings: Settings = None,
    seed: Seed = None,
    classes: Classes = None,
    grey: Grey = False,
    size: Size = None,
    name: Annotated[str | None, typer.Option(metavar="WORD", help="Name of the run's folder, which must not exist.")] = None,
    why: Annotated[str, typer.Option(metavar="TEXT", help="Why this run is made; stands in the report.")] = "",
    notes: Annotated[str, typer.Option(metavar="TEXT", help="Your own notes; stand in the report.")] = "",
    minutes: Annotated[
        float | None, typer.Option(metavar="M", help="Train for so many minutes here: turned into steps before the first, written into the run's recipe.")
    ] = None,
    out: Root = DEFAULT_ROOT,
    checkpoint_seconds: CheckpointSeconds = 30.0,
    exact: Exact = False,
    strict: Strict = False,
    as_json: AsJson = False,
) -> None:
    """Train a classifier, score it, and write its report. DATA may be a run's recipe.toml: that does the run again."""
    begun.append(None)  # before the imports, which take seconds
    from rung import display, workbench

    with display.bars(quiet=as_json) as bars:
        run = workbench.train(
            one_or_all(data),
            recipe,
            settings=changed(settings, strict) | ({"compute.exact": True} if exact else {}),
            seed=seed,
            classes=classes,
            grey=grey,
            size=size,
            why=why,
            notes=notes,
            name=name,
            minutes=minutes,
            out=out,
            observe=bars.step,
            progress=bars.reading,
            scoring=bars.scoring,
            begun=begun.append,
            say=display.say,
            checkpoint_s=checkpoint_seconds,
        )
    print_run(run, as_json)


def resume(run: RunName, out: Root = DEFAULT_ROOT, checkpoint_seconds: CheckpointSeconds = 30.0, as_json: AsJson = False) -> None:
    """Go on with an interrupted run.

    On the same machine and versions the result is, to the bit, that of a run that was not interrupted.
    """
    from rung import display, workbench

    with display.bars(quiet=as_json) as bars:
        found, _ = workbench.resume(
            run,
            out=out,
            observe=bars.step,
            progress=bars.reading,
            scoring=bars.scoring,
            begun=begun.append,
            say=display.say,
            checkpoint_s=checkpoint_seconds,
        )
    print_run(found, as_json)
