"""Models an hour on two processor cores: two trainings at once on one thread each, against one after another on two threads.

    python -m benchmarks.at_once

Three networks: the recipe `digits` on its data, Model S at batch 64 and `fast`, both on CIFAR-10. The two ways take turns, a segment of some seconds each.
Models an hour are counted from images/s of training and the images that one training by the recipe meets; validation and start are not counted. Of `fast`
one short training after another is done, of 5,000 images each, so that all its sizes are met. Rows go to benchmarks/at_once.jsonl, the table into
benchmarks/README.md. It needs two processors for itself: about three and a half minutes.
"""

from __future__ import annotations

import argparse
import datetime
import statistics
from pathlib import Path
from typing import Any, NamedTuple

import rung
from benchmarks.marked import keep
from benchmarks.segments import Trainer, rung_trainer
from benchmarks.spreads import spread

HERE = Path(__file__).parent
ROWS = HERE / "at_once.jsonl"


class Case(NamedTuple):
    """A training that is timed. whole: training images of its data; rows, settings: of the training that is timed, where it is a shorter one."""

    data: str
    recipe: str
    whole: int
    rows: int | None = None
    settings: tuple[str, ...] = ()


CASES = {
    "digits": Case("digits", "digits", 1_151),
    "model_s": Case("cifar10", "model_s", 40_000, settings=("train.epochs=1000",)),
    "fast": Case("cifar10", "fast", 40_000, 5_000, ("train.epochs=1",)),
}


def trainers(case: Case, threads: int, count: int) -> list[Trainer]:
    return [rung_trainer(case.data, case.recipe, threads, rows=case.rows, settings=case.settings) for _ in range(count)]


def together(running: list[Trainer], seconds: float) -> float:
    """Train all at once for some seconds; returns the images/s of all of them."""
    for trainer in running:
        trainer.send(seconds)
    done = [trainer.receive() for trainer in running]
    return sum(one["images"] / one["seconds"] for one in done)


def measured(name: str, asked: argparse.Namespace) -> dict[str, Any]:
    """Train one network in both ways, in turn; returns the row."""
    case = CASES[name]
    ways = {"two at once": trainers(case, 1, 2), "one on two threads": trainers(case, 2, 1)}
    facts, *_ = [trainer.receive() for running in ways.values() for trainer in running]
    speeds: dict[str, list[float]] = {way: [] for way in ways}
    for running in ways.values():
        together(running, asked.warm_up)
    for _ in range(asked.rounds):
        for way, running in ways.items():
            speeds[way].append(round(together(running, asked.seconds), 1))
            print(f"{name}: {way} {speeds[way][-1]:,.0f} images/s", flush=True)
    for running in ways.values():
        for trainer in running:
            trainer.end()
    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "network": name,
        "images": rung.load_recipe(case.recipe).train.epochs * case.whole,
        "batch": facts["batch"],
        "precision": facts["precision"],
        "segment_s": asked.seconds,
        "images_per_s": speeds,
        **facts["versions"],
    }


def table(rows: list[dict[str, Any]]) -> str:
    """Return the Markdown table: the last row of each network."""
    lines = ["| network, batch | two at once, one thread each: models an hour (range) | one after another on two threads | times |", "|---|---|---|---|"]
    last = {row["network"]: row for row in rows}
    for name in CASES:
        if name not in last:
            continue
        row = last[name]
        ways = row["images_per_s"].values()
        hourly = [[3600 * speed / row["images"] for speed in speeds] for speeds in ways]
        ratios = [one / other for one, other in zip(*hourly, strict=True)]
        digits = 0 if statistics.median(hourly[0]) >= 100 else 1
        lines.append(f"| {name}, {row['batch']} | {spread(hourly[0], digits)} | {spread(hourly[1], digits)} | {spread(ratios, 2)} |")
    row = rows[-1]
    rounds = len(row["images_per_s"]["two at once"])
    return "\n".join(
        [*lines, "", f"{row['date'][:10]}, {row['processor']}, {row['precision']}, {rounds} rounds of {row['segment_s']:g} s; torch {row['torch']}."]
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.at_once", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*", choices=[[], *CASES], metavar="NETWORK", help=f"of {', '.join(CASES)}; all, if none is named")
    parser.add_argument("--seconds", type=float, default=10.0, help="of one segment")
    parser.add_argument("--warm-up", type=float, default=3.0)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--no-rows", action="store_true", help="print and write nothing")
    asked = parser.parse_args()
    made = [measured(name, asked) for name in asked.networks or CASES]
    if asked.no_rows:
        print(table(made))
    else:
        keep("at_once", ROWS, made, table)


if __name__ == "__main__":
    main()
