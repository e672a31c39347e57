"""A race of trainings as one page that needs nothing but itself: accuracy against seconds, what each reached, what failed and why."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from markupsafe import Markup

from rung.reports import bench_figure
from rung.reports.copies import Table
from rung.reports.html import environment
from rung.study.bench import Bench, Spread, Standing
from rung.words import percent, plural

NO_PEERS: Final = "No peer took part. A few are in `benchmarks/peers` of rung's repository: `rung bench DATA --peer FILE --python PYTHON`."


def render(bench: Bench) -> str:
    """Return the page as HTML; equal input gives equal text. Everything that comes from a user is escaped."""
    standings = bench.standings()
    kinds = bench_figure.colours(bench)
    view = {
        "bench": bench,
        "style": Markup(bench_figure.style()),
        "figure": Markup(bench_figure.figure(bench)),
        "verdict": verdict(bench),
        "facts": [f"{part}: {plural(count, 'image')}" for part, count in bench.rows.items()] + [plural(bench.threads, "thread")],
        "rows": [{"standing": one, "kind": kinds[one.system], **cells(one)} for one in standings],
        "first": standings[0].system,
        "given": f"{bench.seconds:g} s",
        "remarks": sentences(bench)[1:],
        "versions": {trial.system: ", ".join(f"{name} {version}" for name, version in trial.versions.items()) for trial in bench.trials if trial.versions},
    }
    return environment().get_template("bench.html").render(view)


def verdict(bench: Bench) -> str:
    """Return in a sentence what each reached in the time that was given."""
    reached = [one for one in bench.standings() if one.accuracy_in_time]
    if not reached:
        return f"No training ended an epoch within {bench.seconds:g} s."
    ordered = sorted(reached, key=lambda one: -one.accuracy_in_time.median if one.accuracy_in_time else 0.0)
    ends = [f"{one.system} {percent(one.accuracy_in_time.median)}" for one in ordered if one.accuracy_in_time]
    return f"After {bench.seconds:g} s of training: {', '.join(ends)}."


def sentences(bench: Bench) -> list[str]:
    """Return what there is to say besides numbers: the verdict, who failed and why, and where peers are if none took part."""
    return [verdict(bench), *(one.problem for one in bench.standings() if one.problem), *([] if bench.peers else [NO_PEERS])]


def table(bench: Bench) -> Table:
    """Return what each system reached, as texts."""
    standings = bench.standings()
    headings = ("system", "seeds", "images/s", f"accuracy % in {bench.seconds:g} s", "at the end", "seconds", f"{standings[0].system}: times as fast")
    return Table(headings, tuple((one.system, str(one.seeds), *cells(one).values()) for one in standings), frozenset(headings[1:]))


def cells(one: Standing) -> dict[str, str]:
    """Return what a table says of one system: images/s, accuracy in time and at the end, seconds in all, the first system's speed as a multiple of its."""
    return {
        "speed": _spread(one.images_per_s, lambda value: f"{value:,.0f}"),
        "in_time": _spread(one.accuracy_in_time, lambda value: f"{100 * value:.1f}"),
        "end": _spread(one.accuracy, lambda value: f"{100 * value:.1f}"),
        "seconds": _spread(one.seconds, lambda value: f"{value:,.1f}"),
        "times": _spread(one.times, lambda value: f"{value:.2f}"),
    }


def _spread(spread: Spread | None, words: Callable[[float], str]) -> str:
    """Write a median, and in brackets the lowest and highest, where they differ as written."""
    if spread is None:
        return ""
    median, low, high = map(words, (spread.median, spread.low, spread.high))
    return median if low == high else f"{median} ({low}..{high})"
