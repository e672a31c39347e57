"""The commands that study several runs at once."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rung.cli.options import AsJson, Classes, Grey, Metric, Page, Part, RecipeName, Root, RunNames, Settings, Size, Sources, Workers, changed
from rung.cli.runs import print_run
from rung.cli.stopping import AGAIN, SAVED, begun
from rung.store.run import DEFAULT_ROOT

if TYPE_CHECKING:
    from rung.study.curse import Fall


def _before_test(fall: Fall | None) -> None:
    from rung import display

    if fall is not None:
        display.say(f"before the test part is opened: {fall.reason}")


def ladder(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A ladder file (TOML): see docs/ladder.md.")],
    settings: Settings = None,
    workers: Workers = None,
    test: Annotated[bool, typer.Option("--test", help="When the ladder is climbed, open the test part for the last winner and the start.")] = False,
    out: Root = DEFAULT_ROOT,
    as_json: AsJson = False,
) -> None:
    """Climb a ladder: change one thing a step, with several seeds, and keep only what is really better.

    Started again it goes on. All lies in the folder ROOT/NAME: ladder.json, ladder.html, and the runs in runs/.
    """
    begun.append(AGAIN)
    from rung import display, studies

    with display.bars(quiet=as_json) as bars:
        found = studies.ladder(
            file,
            settings=changed(settings),
            out=out,
            workers=workers,
            test=test,
            watch=bars.climbing(),
            progress=bars.reading,
            before_test=_before_test,
        )
    _print_study(found, out / found.plan.name, file, as_json, display.ladder)


def search(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A search file (TOML): see docs/search.md.")],
    settings: Settings = None,
    workers: Workers = None,
    test: Annotated[bool, typer.Option("--test", help="At the end, open the test part for the winner and the start.")] = False,
    out: Root = DEFAULT_ROOT,
    as_json: AsJson = False,
) -> None:
    """Search combinations of fields by trials of one seed, then let the referee judge the best with other seeds against the start.

    Started again it goes on. All lies in the folder ROOT/NAME: trials.sqlite, search.json, ladder.json, ladder.html, and the runs in runs/. Needs optuna.
    """
    begun.append(SAVED)
    from rung import display, studies

    with display.bars(quiet=as_json) as bars:
        found = studies.search(
            file,
            settings=changed(settings),
            out=out,
            workers=workers,
            test=test,
            watch=bars.climbing(),
            progress=bars.reading,
            tried=bars.tried,
            before_test=_before_test,
        )
    _print_study(found, out / found.ladder.plan.name, file, as_json, display.search)


def _print_study(found: Any, folder: Path, file: Path, as_json: bool, show: Callable[[Any, Path, Path], None]) -> None:
    if as_json:
        typer.echo(json.dumps({**found.to_json(), "folder": str(folder)}))
    else:
        show(found, folder, file)


def noise(
    data: Sources,
    recipe: RecipeName = "default",
    seeds: Annotated[int, typer.Option("--seeds", metavar="N", help="How many seeds are trained.")] = 5,
    splits: Annotated[
        int | None, typer.Option("--splits", metavar="N", help="On how many other validation parts; if not given, as many as seeds where images are few.")
    ] = None,
    difference: Annotated[float | None, typer.Option("--difference", metavar="D", help="The difference to be seen, in points: what does it take?")] = None,
    candidates: Annotated[int, typer.Option("--candidates", metavar="N", help="Candidates of the step that is planned.")] = 1,
    metric: Metric = "accuracy",
    settings: Settings = None,
    workers: Workers = None,
    out: Root = DEFAULT_ROOT,
    as_json: AsJson = False,
) -> None:
    """Measure how much chance changes a score: the smallest difference that can be seen, and how many seeds or images one takes.

    Asked again it reads the runs that are there, in ROOT/noise/runs.
    """
    begun.append(SAVED)
    from rung import display, studies

    with display.bars(quiet=as_json) as bars:
        found = studies.noise(
            data,
            recipe,
            seeds=seeds,
            splits=splits,
            difference=difference,
            candidates=candidates,
            metric=metric,
            settings=changed(settings),
            out=out,
            workers=workers,
            progress=bars.reading,
            staged=bars.stages("training"),
        )
    if as_json:
        typer.echo(json.dumps(found.to_json()))
    else:
        display.noise(found)


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

    Runs of one recipe with several seeds are one group. Writes compare-RUN-RUN.html into the folder of runs, or where --page says.
    """
    from rung import display, studies

    written = page or _page_of("compare", runs, out)
    with display.busy("comparing the runs"):
        found = studies.compare(runs, metric=metric, part=part, anyway=anyway, page=written, out=out)
    if as_json:
        typer.echo(json.dumps({**found.to_json(), "page": str(written)}))
    else:
        display.comparison(found, written)


def _page_of(kind: str, runs: list[str], out: Path) -> Path:
    """Return where the page about several runs goes if nobody says."""
    from rung.reports.place import page_name
    from rung.store.run import open_run

    return out / page_name(kind, [open_run(run, out).id for run in runs])


def ensemble(
    runs: RunNames,
    weights: Annotated[
        str | None, typer.Option("--weights", metavar="average", help="Average the weights, of runs of one network, and not the probabilities.")
    ] = None,
    name: Annotated[str | None, typer.Option(metavar="WORD", help="Name of the new run's folder, which must not exist.")] = None,
    out: Root = DEFAULT_ROOT,
    as_json: AsJson = False,
) -> None:
    """Make one run of several: the mean of their probabilities, which can be tested, reported and predicted with."""
    from rung import display, studies
    from rung.errors import RunError

    if weights not in (None, "average"):
        raise RunError(f"--weights {weights}: the weights can only be averaged, --weights average; without it the probabilities are")
    with display.bars(quiet=as_json) as bars:
        run = studies.ensemble(runs, average="weights" if weights else "probabilities", name=name, out=out, progress=bars.reading, scoring=bars.scoring)
    print_run(run, as_json)


def robust(
    runs: RunNames,
    part: Part = "validation",
    images: Annotated[int, typer.Option("--images", metavar="N", min=1, help="At most so many images, the same of every run.")] = 2_000,
    page: Page = None,
    out: Root = DEFAULT_ROOT,
    as_json: AsJson = False,
) -> None:
    """Ask runs about corrupted images: blur, noise, shift, rotation, brightness, contrast and JPEG at five strengths.

    Keeps the answers in robust.json of each run, and writes robust.html into its folder, for several runs robust-RUN-RUN.html into the folder of runs. The
    sealed test part is never opened.
    """
    begun.append(SAVED)
    from rung import display, studies
    from rung.store.run import open_run

    written = page or (open_run(runs[0], out).folder / "robust.html" if len(runs) == 1 else _page_of("robust", runs, out))
    with display.bars(quiet=as_json) as bars:
        found = studies.robust(runs, part=part, images=images, page=written, out=out, progress=bars.reading, scoring=bars.scoring)
    if as_json:
        typer.echo(json.dumps({**found.to_json(), "page": str(written)}))
    else:
        display.robust(found, written)


def bench(
    data: Annotated[list[str] | None, typer.Argument(metavar="DATA", help="As for rung train; digits, if none is given.")] = None,
    seconds: Annotated[float, typer.Option("--seconds", metavar="S", help="Seconds of training that each is given.")] = 30.0,
    seeds: Annotated[int, typer.Option("--seeds", metavar="N", help="With how many seeds each is trained.")] = 2,
    recipe: Annotated[list[str] | None, typer.Option("--recipe", metavar="NAME|FILE", help="A recipe that races; may be repeated: fast and default.")] = None,
    peer: Annotated[list[str] | None, typer.Option("--peer", metavar="FILE", help="A script that races: see docs/bench.md. May be repeated.")] = None,
    python: Annotated[str | None, typer.Option("--python", metavar="PATH", help="The Python of the peers' environment; if not given, rung's own.")] = None,
    threads: Annotated[int | None, typer.Option("--threads", metavar="N", help="Of each training; if not given, as many as processors.")] = None,
    classes: Classes = None,
    grey: Grey = False,
    size: Size = None,
    out: Annotated[Path, typer.Option("--out", metavar="FOLDER", help="Where bench.html, bench.json and the runs go.")] = Path("bench"),
    as_json: AsJson = False,
) -> None:
    """Race recipes and other libraries on your own data: accuracy against seconds, images/s.

    All train in turn, for the same seconds, on the same rows; the test part stays sealed. What a peer fails with is said, and the others go on.
    """
    begun.append(SAVED)
    from rung import display, racing

    with display.bars(quiet=as_json) as bars:
        found = racing.bench(
            data or "digits",
            seconds=seconds,
            seeds=seeds,
            recipes=recipe or racing.RECIPES,
            peers=peer or (),
            python=python,
            threads=threads,
            classes=classes,
            size=size,
            grey=grey,
            out=out,
            progress=bars.reading,
            staged=bars.stages("racing"),
            say=display.say,
        )
    if as_json:
        typer.echo(json.dumps({**found.to_json(), "page": str(out / racing.PAGE)}))
    else:
        display.bench(found, out / racing.PAGE)
