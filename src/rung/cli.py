"""The command line: parse, call one function of the workbench, print. Nothing slow is imported before a command runs."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from rung.errors import RungError
from rung.store.run import DEFAULT_ROOT

if TYPE_CHECKING:
    from rung.store.run import Run

app = typer.Typer(
    name="rung",
    help="From labelled images to a classifier one can trust, fast.\n\nBegin with: rung train digits --recipe digits",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

Sources = Annotated[
    list[str],
    typer.Argument(
        metavar="DATA", help="digits, cifar10, cifar100, cifar100:CLASS, a folder of class folders, a table (.csv, .parquet, .pkl), .npz, .npy; or several."
    ),
]
RunName = Annotated[str, typer.Argument(metavar="RUN", help="A run's folder, its id, or the beginning of its id.")]
RecipeName = Annotated[str, typer.Option("--recipe", metavar="NAME|FILE", help="A recipe by name, a recipe.toml, or file.py:function.")]
Settings = Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change one field, such as train.epochs=5. May be repeated.")]
Seed = Annotated[int | None, typer.Option("--seed", metavar="N", min=0, help="The seed of every random draw.")]
Root = Annotated[Path, typer.Option("--out", metavar="ROOT", help="The folder of runs.")]
Classes = Annotated[str | None, typer.Option("--classes", metavar="CLASSES", help="Pick, rename or merge classes: 'cat; dog' or 'pet=cat,dog; bird'.")]
Grey = Annotated[bool, typer.Option("--grey", help="Bring every image to grey.")]
Size = Annotated[int | None, typer.Option("--size", metavar="PIXELS", min=1, help="Pixels a side after resizing.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for a machine to read.")]
CheckpointSeconds = Annotated[float, typer.Option("--checkpoint-seconds", metavar="SECONDS", min=0, help="Seconds between checkpoints; changes no result.")]

Strict = Annotated[bool, typer.Option("--strict", help="Stop at the first file that would be left out, and at the first warning of the data.")]
Exact = Annotated[bool, typer.Option("--exact", help="The same bits every time on a GPU too, slower (compute.exact = true).")]

_begun: list[Run] = []  # the run that this process is at work on, for the words of a process that is stopped


@app.callback(invoke_without_command=True)
def _main(
    version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False,
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Decode all images anew and keep none: rung --no-cache train photos/")] = False,
) -> None:
    if no_cache:
        os.environ["RUNG_CACHE"] = "off"
    if version:
        from rung import __version__

        typer.echo(f"rung {__version__}")
        raise typer.Exit


def _settings(texts: Iterable[str] | None, strict: bool = False) -> dict[str, Any]:
    from rung.recipe import setting

    return dict(setting(text) for text in texts or ()) | ({"data.strict": True} if strict else {})


@app.command(epilog="Example: rung train photos/ --set train.epochs=30 --seed 1")
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
    out: Root = DEFAULT_ROOT,
    checkpoint_seconds: CheckpointSeconds = 30.0,
    exact: Exact = False,
    strict: Strict = False,
    as_json: AsJson = False,
) -> None:
    """Train a classifier, score it, and write its report. DATA may be a run's recipe.toml: that does the run again."""
    from rung import display, workbench

    source: Any = data[0] if len(data) == 1 else data
    with display.bars(quiet=as_json) as bars:
        run = workbench.train(
            source,
            recipe,
            settings=_settings(settings, strict) | ({"compute.exact": True} if exact else {}),
            seed=seed,
            classes=classes,
            grey=grey,
            size=size,
            why=why,
            notes=notes,
            name=name,
            out=out,
            observe=bars.step,
            progress=bars.reading,
            scoring=bars.scoring,
            begun=_begun.append,
            say=display.say,
            checkpoint_s=checkpoint_seconds,
        )
    _print_run(run, as_json)


@app.command(epilog="Example: rung resume 20261120-101500-default-0")
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
            begun=_begun.append,
            say=display.say,
            checkpoint_s=checkpoint_seconds,
        )
    _print_run(found, as_json)


def _print_run(run: Run, as_json: bool) -> None:
    from rung import display

    if as_json:
        typer.echo(json.dumps({**_where(run), "scores": run.read_scores()}))
    else:
        display.run(run)
    if run.read_data()["dropped"]:
        raise typer.Exit(3)


def _where(run: Run) -> dict[str, str]:
    return {"run": run.id, "folder": str(run.folder), "report": str(run.report)}


@app.command(epilog="Example: rung data photos/ --size 64")
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
        images = workbench.load(*sources, classes=classes, grey=grey, size=size, settings=_settings(settings, strict), progress=bars.reading)
    report = workbench.describe(images)
    if as_json:
        typer.echo(json.dumps({**report.to_json(), "readings": [asdict(reading) for reading in images.readings]}))
    else:
        display.data(report)
        display.readings(images.readings)
    if report.dropped:
        raise typer.Exit(3)


@app.command(epilog="Example: rung check photos/ --page check.html")
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
            settings=_settings(settings, strict),
            seed=seed,
            page=page,
            progress=bars.reading,
            say=display.say,
            staged=bars.stage,
        )
    if as_json:
        typer.echo(json.dumps(found.to_json()))
    else:
        display.check(found, page)
    if found.errors:
        raise typer.Exit(1)
    if found.left_out:
        raise typer.Exit(3)


@app.command(epilog="Example: rung preflight photos/ --recipe model_s")
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

    source: Any = data[0] if len(data) == 1 else data
    with display.bars(quiet=as_json) as bars:
        found = workbench.preflight(
            source,
            recipe,
            settings=_settings(settings, strict),
            seed=seed,
            classes=classes,
            grey=grey,
            size=size,
            progress=bars.reading,
            say=display.say,
            staged=bars.stage,
        )
    if as_json:
        typer.echo(json.dumps(found.to_json()))
    else:
        display.preflight(found)
    if found.failed:
        raise typer.Exit(1)


@app.command(epilog="Example: rung test 20261120-101500-default-0")
def test(run: RunName, out: Root = DEFAULT_ROOT, as_json: AsJson = False) -> None:
    """Open the sealed test part for a finished run. The opening is written into the ledger of the runs folder."""
    from rung import display, workbench

    with display.bars(quiet=as_json) as bars:
        opening = workbench.test(run, out=out, progress=bars.reading, scoring=bars.scoring)
    if as_json:
        counted = {"opening": opening.opening, "opened_before": opening.opened_before}
        typer.echo(json.dumps({**_where(opening.run), **counted, "scores": opening.scores.to_json()}))
    else:
        display.opening(opening)


@app.command(epilog="Example: rung report 20261120-101500-default-0")
def report(run: RunName, out: Root = DEFAULT_ROOT) -> None:
    """Write a run's report.html again, from its files.

    Prints where the report lies.
    """
    from rung import display

    with display.busy("writing the report"):
        from rung import workbench

        written = workbench.report(run, out=out)
    typer.echo(written)


@app.command(epilog="Example: rung runs --json")
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


@app.command(epilog="Example: rung predict 20261120-101500-default-0 cat.jpg holiday/")
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


@app.command(epilog="Example: rung cache --clear --unused-days 30")
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


@app.command(epilog="Example: rung recipes model_s")
def recipes(name: Annotated[str | None, typer.Argument(metavar="NAME", help="Show this recipe: its document and every field.")] = None) -> None:
    """List the recipes that rung brings, or show one."""
    from rung import display, workbench

    if name is None:
        display.recipes(workbench.recipes())
    else:
        typer.echo(workbench.recipe_document(name))


@app.command(epilog="Example: rung new my-recipe.toml --recipe model_s")
def new(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file to write; it must not exist.")] = Path("recipe.toml"), recipe: RecipeName = "default"
) -> None:
    """Write a commented recipe.toml to change.

    Then: rung train DATA --recipe FILE.
    """
    from rung import workbench

    typer.echo(f"wrote {workbench.new(file, recipe)}; train with: rung train DATA --recipe {file}")


@contextmanager
def _stopped_at_once() -> Iterator[None]:
    """Let Ctrl-C, SIGTERM and the end of the terminal end the process here and now; a training listens itself while it takes steps.

    All that is on the disk is whole at every moment, so nothing has to be tidied up. An exception instead of the end could be swallowed
    where a library catches all of them, or wait for threads that read files.
    """

    def stop(number: int, frame: FrameType | None) -> NoReturn:
        onward = f"; go on with: rung resume {_begun[-1].folder}" if _begun else ""
        cursor = "\x1b[?25h" if os.isatty(2) else ""  # a progress bar hides it
        os.write(2, f"{cursor}\nrung: stopped at once; what was saved stays{onward}\n".encode())
        os._exit(128 + number)

    _begun.clear()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:  # nohup and a shell's background jobs set it
            signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def main() -> None:
    """Run the command line; every error that is the user's to mend becomes one message and its exit code."""
    with _stopped_at_once():
        try:
            app()
        except RungError as error:
            print(f"rung: {error}", file=sys.stderr)
            sys.exit(error.exit_code)
        except BrokenPipeError:
            sys.stderr.close()  # whoever read the output has gone: nothing is left to say to them
            sys.exit(0)


if __name__ == "__main__":
    main()
