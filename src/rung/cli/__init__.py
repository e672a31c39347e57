"""The command line: parse, call one function of the workbench, print. Nothing slow is imported before a command runs."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from rung.cli import data, notebooks, recipes, replays, runs, study, training
from rung.cli.command import Command
from rung.cli.stopping import stopped_at_once
from rung.errors import RungError
from rung.words import count, shorten

app = typer.Typer(
    name="rung",
    help="From labelled images to a classifier one can trust, fast.\n\nBegin with: rung train digits --recipe digits",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

_COMMANDS = (  # in the order of the help, each with its example
    (training.train, "rung train photos/ --set train.epochs=30 --seed 1"),
    (training.resume, "rung resume 20261120-101500-default-0"),
    (data.data, "rung data photos/ --size 64"),
    (data.check, "rung check photos/ --page check.html"),
    (training.preflight, "rung preflight photos/ --recipe model_s"),
    (runs.test, "rung test 20261120-101500-default-0"),
    (runs.report, "rung report 20261120-101500-default-0"),
    (runs.runs, "rung runs --json"),
    (runs.predict, "rung predict 20261120-101500-default-0 cat.jpg holiday/"),
    (study.noise, "rung noise digits --recipe digits --difference 0.5"),
    (study.ladder, "rung ladder examples/digits-ladder.toml"),
    (study.search, "rung search examples/digits-search.toml"),
    (study.compare, "rung compare baseline-0 baseline-1 wider-0 wider-1"),
    (study.ensemble, "rung ensemble wider-0 wider-1 wider-2 --name wider-together"),
    (study.robust, "rung robust baseline-0 wider-0"),
    (study.bench, "rung bench cifar10 --seconds 120 --peer benchmarks/peers/keras_model_s.py --python PEERS/bin/python"),
    (replays.replay, "rung replay cnn_ladder --small --minutes 60"),
    (notebooks.notebook, "rung notebook 20261120-101500-default-0 --page report.ipynb"),
    (data.cache, "rung cache --clear --unused-days 30"),
    (recipes.recipes, "rung recipes model_s"),
    (recipes.new, "rung new my-recipe.toml --recipe model_s"),
)
for _command, _example in _COMMANDS:
    app.command(cls=Command, epilog=f"Example: {_example}")(_command)


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


def main() -> None:
    """Run the command line; every error that is the user's to mend becomes one message and its exit code."""
    with stopped_at_once():
        try:
            app()
        except RungError as error:
            print(f"rung: {error}", file=sys.stderr)
            sys.exit(error.exit_code)
        except BrokenPipeError:
            sys.stderr.close()  # whoever read the output has gone: nothing is left to say to them
            sys.exit(0)
        except OSError as error:
            if error.errno != errno.ENAMETOOLONG:
                raise
            # Any word may be looked up as a path, and each place that does so would have to refuse it.
            name = max(Path(str(error.filename)).parts, key=len)
            print(f"rung: “{shorten(name, 60)}” has {count(len(name))} characters: longer than a file's name can be here; give a shorter one", file=sys.stderr)
            sys.exit(RungError.exit_code)
