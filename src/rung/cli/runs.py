"""The commands about finished runs: open the test part, write the report, list them, answer images."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rung.cli.options import AsJson, Root, RunName
from rung.cli.stopping import SAVED, begun
from rung.store.run import DEFAULT_ROOT

if TYPE_CHECKING:
    from rung.store.run import Run


def test(run: RunName, out: Root = DEFAULT_ROOT, as_json: AsJson = False) -> None:
    """Open the sealed test part for a finished run. The opening is written into the ledger of the runs folder."""
    begun.append(SAVED)
    from rung import display, workbench

    with display.bars(quiet=as_json) as bars:
        opening = workbench.test(run, out=out, progress=bars.reading, scoring=bars.scoring)
    if as_json:
        counted = {"opening": opening.opening, "opened_before": opening.opened_before}
        typer.echo(json.dumps({**where(opening.run), **counted, "scores": opening.scores.to_json()}))
    else:
        display.opening(opening)


def report(run: RunName, out: Root = DEFAULT_ROOT) -> None:
    """Write a run's report.html again, from its files.

    Prints where the report lies.
    """
    from rung import display

    with display.busy("writing the report"):
        from rung import workbench

        written = workbench.report(run, out=out)
    typer.echo(written)


def runs(out: Root = DEFAULT_ROOT, as_json: AsJson = False) -> None:
    """List the runs of a folder, oldest first, and verify its ledger.

    A broken run is listed with its problem. Exit code 1 if the ledger of opened test sets was changed.
    """
    from rung import display, workbench

    found = workbench.runs(out)
    if as_json:
        typer.echo(json.dumps([{**asdict(summary), "run": summary.run.id} for summary in found]))
    else:
        display.runs(found, out)
    openings = workbench.verify_ledger(out)
    if not as_json:
        display.ledger(openings, out)


def predict(
    run: RunName,
    files: Annotated[list[Path], typer.Argument(metavar="FILE", help="Image files, or folders that hold some.")],
    out: Root = DEFAULT_ROOT,
    as_json: AsJson = False,
) -> None:
    """Answer image files with a run's weights.

    The preprocessing is the one it was trained with. Exit code 3 if some files cannot be read.
    """
    from rung import display, workbench

    with display.bars(quiet=as_json) as bars:
        answers = workbench.predict(run, files, out=out, progress=bars.reading)
    if as_json:
        typer.echo(json.dumps([asdict(answer) for answer in answers]))
    else:
        display.answers(answers)
    if any(answer.problem for answer in answers):
        raise typer.Exit(3)


def where(run: Run) -> dict[str, str]:
    """Return where a run lies, as JSON output names it."""
    return {"run": run.id, "folder": str(run.folder), "report": str(run.report)}


def print_run(run: Run, as_json: bool) -> None:
    """Show a finished run, or print it as JSON; ends with 3 where files were left out."""
    from rung import display

    if as_json:
        typer.echo(json.dumps({**where(run), "scores": run.read_scores()}))
    else:
        display.run(run)
    if run.read_data()["dropped"]:
        raise typer.Exit(3)
