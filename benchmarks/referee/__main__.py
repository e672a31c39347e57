"""Simulations of the referee, of what a pilot foretells and of the winner's curse.

    python -m benchmarks.referee

adds dated rows to benchmarks/referee.jsonl and writes the tables of the last ones into benchmarks/README.md and docs/statistics.md; some minutes on one core.
Every simulation calls the functions that judge real ladders; the seeds are fixed, so that the same figures come again.
"""

from __future__ import annotations

import argparse
import datetime
import itertools
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import scipy

import rung
from benchmarks.marked import PAGE, between
from benchmarks.referee import simulations, worlds
from rung.store import atomic
from rung.words import percent, points

HERE = Path(__file__).parent.parent
ROWS = HERE / "referee.jsonl"
PAGES = (PAGE, HERE.parent / "docs" / "statistics.md")
_COVERED: Final = ("found", "worst", "together")
_INPUTS: Final = {
    *("simulation", "world", "asked", "rule", "steps", "candidates", "seeds", "racing", "ladders", "simulations", "pilots", "trials", "pilot_seeds"),
    *("spread", "deviation"),
}
SPREADS: Final = (0.0, 0.002, 0.005, 0.01, 0.02, -0.02)


def climbs(ladders: int) -> Iterator[dict[str, Any]]:
    """A/A ladders in every world, with racing; in one world also without, with eight candidates, and with three seeds."""
    for name, world in {**worlds.SEEDS, **worlds.CROSSED}.items():
        yield {"world": name, **simulations.false_climbs(world, ladders=ladders)}
    for other in ({"racing": False}, {"candidates": 8}, {"seeds": 3}):
        yield {"world": "equal noise", **simulations.false_climbs(worlds.equal, ladders=ladders, **other)}


def coverages(count: int) -> Iterator[dict[str, Any]]:
    """Intervals in every world, for one candidate and for four; for three and ten seeds in some."""
    for (name, world), candidates in itertools.product({**worlds.SEEDS, **worlds.CROSSED}.items(), (1, 4)):
        yield {"world": name, **simulations.coverage(world, simulations=count, candidates=candidates)}
    for name, seeds in itertools.product(("equal noise", "uneven noise", "images, runs and networks differ"), (3, 10)):
        yield {"world": name, **simulations.coverage({**worlds.SEEDS, **worlds.CROSSED}[name], simulations=count, seeds=seeds)}


def powers(pilots: int, trials: int) -> Iterator[dict[str, Any]]:
    """What pilots foretell: smallest differences and numbers of seeds; in worlds where noise is uneven too."""
    for pilot_seeds, seeds, candidates in ((5, 5, 1), (5, 5, 4), (3, 10, 2), (10, 10, 4)):
        found = simulations.foretold(pilots=pilots, trials=trials, pilot_seeds=pilot_seeds, seeds=seeds, candidates=candidates)
        yield {"world": "equal noise", **found}
    for difference in (0.005, 0.01):
        yield {"world": "equal noise", **simulations.seeds_foretold(pilots=pilots, trials=trials, difference=difference)}
    for name in ("uneven noise", "bad seeds", "images, runs differ"):
        yield {"world": name, **simulations.foretold({**worlds.SEEDS, **worlds.CROSSED}[name], pilots=pilots, trials=trials)}


def falls(ladders: int) -> Iterator[dict[str, Any]]:
    """The winner's curse for several numbers of candidates and steps, and several true spreads."""
    for rule, spread, candidates, steps in itertools.product(("referee", "highest"), SPREADS, (2, 4, 16), (1, 6)):
        yield simulations.fall(ladders=ladders, spread=spread, candidates=candidates, steps=steps, rule=rule)
    for rule, spread in itertools.product(("referee", "highest"), (0.0, 0.01)):
        yield simulations.fall(ladders=ladders, spread=spread, candidates=4, steps=4, rule=rule, seeds=3, deviation=0.01)


def table(head: str, rows: list[list[str]]) -> str:
    """Return a Markdown table; head: the titles with | between them."""
    return "\n".join([f"| {head} |", "|" + "---|" * (head.count("|") + 1), *(f"| {' | '.join(row)} |" for row in rows)])


def shown(rows: list[dict[str, Any]]) -> str:
    """Return the four tables of the rows of one run, each with a sentence before it."""
    of = {kind: [row for row in rows if row["simulation"] == kind] for kind in ("climbs", "coverage", "power", "fall")}
    last = max(rows, key=lambda row: row["date"])
    first = [
        [
            row["world"],
            f"{row['steps']} x {row['candidates']} x {row['seeds']}",
            "yes" if row["racing"] else "no",
            f"{row['ladders']:,}",
            percent(row["found"]),
            f"{100 * row['low']:.1f} to {100 * row['high']:.1f}",
            percent(row["runs_saved"], 0),
        ]
        for row in of["climbs"]
    ]
    second = [
        [row["world"], f"{row['candidates']} x {row['seeds']}", row["covers"], f"{row['simulations']:,}", *(percent(row[key]) for key in _COVERED)]
        for row in of["coverage"]
    ]
    third = [
        [row["world"], row["asked"], str(row["pilot_seeds"]), f"{row['candidates']} x {row['seeds']:g}", percent(row["foretold"]), percent(row["found"])]
        for row in of["power"]
    ]
    return "\n\n".join(
        [
            f"Last run on {last['date']}, rung {last['rung']}, numpy {last['numpy']}, scipy {last['scipy']}.",
            "False climbs: ladders on which nothing is better than anything else. Allowed: 5 % at most, aimed at: 4 %.",
            table("world | steps x candidates x seeds | racing | ladders | climbed | 95 % interval | runs saved", first),
            "Intervals at 95 %: how many hold the true difference, of all and of the worst candidate; and, at the level of a step that is shared among its "
            "candidates, how often all of a step do.",
            table("world | candidates x seeds | covers | steps | of all | of the worst candidate | all of a step", second),
            "Power, on the mean over 200 pilots: foretold, and found by the referee.",
            table("world | asked | seeds of the pilot | candidates x seeds | foretold | found", third),
            "Winner's curse: by how much the kept one's validation score is above its true score on the mean, in points, as it is and after the expected fall; "
            "and how often the interval of the fall holds it. Each from the lowest to the highest over 2, 4 and 16 candidates and 1 and 6 steps.",
            table("kept by | seeds, deviation | true spread of effects | as it is | corrected | interval holds", list(_falls(of["fall"]))),
        ]
    )


def _falls(rows: list[dict[str, Any]]) -> Iterator[list[str]]:
    def span(values: list[float], decimals: int) -> str:
        return f"{100 * min(values):.{decimals}f} to {100 * max(values):.{decimals}f}"

    for rule, seeds, deviation, spread in dict.fromkeys((row["rule"], row["seeds"], row["deviation"], row["spread"]) for row in rows):
        found = [row for row in rows if (row["rule"], row["seeds"], row["deviation"], row["spread"]) == (rule, seeds, deviation, spread)]
        effects = f"one in ten of {points(-spread)}, else none" if spread < 0 else points(spread)
        bounds = [span([row[key] for row in found], 2) for key in ("raw", "corrected")]
        yield [rule, f"{seeds}, {points(deviation)}", effects, *bounds, f"{span([row['held'] for row in found], 1)} %"]


def latest(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the last row of each simulation, in the order in which each was first run."""

    def asked(row: dict[str, Any]) -> tuple[Any, ...]:
        inputs = {name: value for name, value in row.items() if name in _INPUTS}
        return tuple((inputs | ({"seeds": None} if str(row.get("asked", "")).startswith("seeds") else {})).items())

    return list({asked(row): row for row in rows}.values())


def main() -> None:
    parts: dict[str, Callable[[float], Iterator[dict[str, Any]]]] = {
        "climbs": lambda share: climbs(round(1_000 * share)),
        "coverage": lambda share: coverages(round(2_000 * share)),
        "power": lambda share: powers(200, max(round(20 * share), 1)),
        "fall": lambda share: falls(round(150 * share)),
    }
    parser = argparse.ArgumentParser(prog="python -m benchmarks.referee", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"only these: {', '.join(parts)}")
    parser.add_argument("--share", type=float, default=1.0, help="how many of the simulations to run; below 1 nothing is written")
    asked = parser.parse_args()
    about = {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "rung": rung.__version__,
        "numpy": np.__version__,
        "scipy": scipy.__version__,
    }
    for name in asked.parts or parts:
        started = time.perf_counter()
        for row in parts[name](asked.share):
            made = {"simulation": name, **row, **about}
            print(made, flush=True)
            if asked.share >= 1:
                atomic.append_line(ROWS, made)
        print(f"{name}: {time.perf_counter() - started:.0f} s", flush=True)
    if asked.share >= 1:
        write_pages()


def write_pages() -> None:
    """Write the tables of the last row of each simulation into the pages."""
    between("referee", shown(latest(atomic.read_lines(ROWS).rows)), *PAGES)


if __name__ == "__main__":
    main()
