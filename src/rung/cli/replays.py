"""The command that replays known systems."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rung.cli.options import AsJson, Root, Workers
from rung.cli.stopping import AGAIN, begun
from rung.errors import RecipeError
from rung.store.run import DEFAULT_ROOT

if TYPE_CHECKING:
    from rung.replays.mistakes import MistakeShown
    from rung.study.replay import Replay


def replay(
    name: Annotated[str, typer.Argument(metavar="SYSTEM", help="model_s, backprop, omnivores, cnn_ladder, all of them, or a folder with system.toml.")],
    minutes: Annotated[float | None, typer.Option("--minutes", metavar="M", help="Train what is missing for so long; if not given, nothing is.")] = None,
    small: Annotated[bool, typer.Option("--small", help="The small budget: the same networks, fewer images and epochs.")] = False,
    seeds: Annotated[int | None, typer.Option("--seeds", metavar="N", help="How many seeds each row has; if not given, as the system says.")] = None,
    own: Annotated[bool, typer.Option("--own", help="Leave out the records of runs that come with rung.")] = False,
    test: Annotated[bool, typer.Option("--test", help="When every row of the whole budget has run, open the test part for the ends of each ladder.")] = False,
    mistakes: Annotated[bool, typer.Option("--mistakes", help="Make each mistake of its author again, small, and show what it does (minutes).")] = False,
    page: Annotated[Path | None, typer.Option("--page", metavar="FILE", help="Write the page here; for all systems the folder of their pages.")] = None,
    workers: Workers = None,
    out: Root = DEFAULT_ROOT,
    as_json: AsJson = False,
) -> None:
    """Replay a known system: every row its author tried, trained with several seeds, and his decisions judged.

    Without --minutes nothing is trained: the table shows what is known. With it, what is missing is trained; started again, it goes on. Runs lie in
    ROOT/replay-SYSTEM/runs.
    """
    begun.append(AGAIN)
    from rung import display, replays
    from rung.reports import replay_text

    names = replays.systems() if name == "all" else (name,)
    if name == "all" and page and page.suffix.lower() in (".html", ".htm"):
        raise RecipeError(f"--page {page}: with all systems --page names a folder, in which each has a page of its own; give --page {page.with_suffix('')}")
    until = time.monotonic() + 60 * (minutes or 0)
    plain = []
    for one in names:
        written = page / f"{one}.html" if page and name == "all" else page
        with display.bars(quiet=as_json) as bars:
            made = replays.replay(
                one,
                minutes=_left(minutes, until),
                small=small,
                seeds=seeds,
                own=own,
                test=test,
                out=out,
                workers=workers,
                page=written,
                observe=bars.training,
                progress=bars.reading,
            )
        if not as_json:
            display.replay(made, f"rung replay {replay_text.called(one, small, out, seeds, own)}")
            display.lines(_measured(made))
            display.lines([f"page: {written}"] if written else [])
        again = _make_mistakes(made, as_json) if mistakes else []
        plain.append({**made.to_json(), "mistakes": _plain(made, _shown(made)), **({"made_again": _plain(made, again)} if mistakes else {})})
    if as_json:
        typer.echo(json.dumps(plain if name == "all" else plain[0]))


def _left(minutes: float | None, until: float) -> float | None:
    """Return the minutes that are left of a sitting, None when they are over: what comes then is only shown. What are no minutes is refused elsewhere."""
    if minutes is None or not minutes > 0:
        return minutes
    left = (until - time.monotonic()) / 60
    return left if left > 0 else None


def _shown(made: Replay) -> list[MistakeShown]:
    """Return what making the author's mistakes again has shown, as it came with rung, without those that are not told at the budget of the replay."""
    from rung.replays import mistakes

    untold = {one.name for one in made.system.mistakes if not made.his_words(one.text)}
    return [one for one in mistakes.shown(made.system.name) if one.name not in untold]


def _plain(made: Replay, several: Iterable[MistakeShown]) -> list[dict[str, Any]]:
    return [_as_told(made, one).to_json() for one in several]


def _measured(made: Replay) -> list[str]:
    """Return what making the author's mistakes again has shown, a line each."""
    from rung.replays import mistakes

    lines = [f"- {one.line}" for one in _shown(made)]
    page = f"what rung says to each: rung replay {made.system.name} --page FILE.html"
    return [f"the mistakes made again ({len(lines)}; {mistakes.BRACKETS}; {page}):", *lines, *_without(made)] if lines else []


def _without(made: Replay) -> list[str]:
    """Return which of the author's mistakes have no replay of their own, and why."""
    from rung.replays import mistakes

    return [f"- {name}: {why}" for name, why in mistakes.without(made.system.name).items()]


def _make_mistakes(made: Replay, quiet: bool) -> Sequence[MistakeShown]:
    """Make the author's mistakes again, show each when it is ready, and return them."""
    from rung import display
    from rung.replays import mistakes

    if made.system.name not in mistakes.known():
        return ()
    if not quiet:
        display.lines([f"the mistakes, made again ({mistakes.BRACKETS}):", *_without(made)])
    with display.bars(quiet=quiet) as bars:
        return mistakes.run(made.system.name, say=bars.line, done=lambda shown: display.lines([] if quiet else _as_told(made, shown).lines()))


def _as_told(made: Replay, one: MistakeShown) -> MistakeShown:
    """Return a mistake made again as the budget tells it: at the small one without the author's figures, where his text has some with its lesson."""
    if made.budget == "whole":
        return one
    return one.alone(made.his_words(one.text) or next(told.lesson for told in made.system.mistakes if told.name == one.name))
