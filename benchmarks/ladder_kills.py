"""Ladders that are killed at random moments and started again: is the table the same?

    python -m benchmarks.ladder_kills

climbs a ladder on digits once without disturbance, then `--count` times (20) with kill -9 of its whole process group at a random moment of its life, every
third one killed again after it was started again; then it is climbed to its end, and its ladder.json must have the very bytes of the undisturbed one. Every
fourth ladder trains in two processes beside the command, the others in the command itself. Adds a dated row to benchmarks/ladders.jsonl and writes the table
of all rows into benchmarks/README.md.
"""

from __future__ import annotations

import argparse
import datetime
import signal
import tempfile
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any, Final

import torch

from benchmarks.marked import between
from benchmarks.torture.forks import Ended, Forks
from benchmarks.torture.kills import moments
from benchmarks.torture.runs import fresh
from rung.store import atomic
from rung.study.ladder import FILE, RUNS
from rung.training.environment import environment

ROWS: Final = Path(__file__).parent / "ladders.jsonl"
NAME: Final = "digits"
LADDER: Final = """
data = "digits"
recipe = "digits"
seeds = 2
[settings]
data.per_class = 20
train.epochs = 2
train.batch_size = 16
network.filters = [4]
network.convolutions = 1
[[step]]
name = "width"
field = "network.filters"
candidates = [[8], [16]]
[[step]]
name = "grey"
group = [{ name = "in colour", pixels.colour = "rgb" }]
"""


def words(workers: int) -> list[str]:
    return ["ladder", f"{NAME}.toml", "--out", ".", "--workers", str(workers)]


def climbed(forks: Forks, folder: Path, workers: int) -> Ended:
    """Climb without disturbance; raises RuntimeError if it does not come to its end."""
    ended = forks.run(words(workers), folder)
    if ended.code != 0:
        raise RuntimeError(f"the undisturbed ladder ended with {ended.code}: {ended.err}")
    return ended


def new(folder: Path) -> Path:
    (fresh(folder) / f"{NAME}.toml").write_text(LADDER)
    return folder


def killed(forks: Forks, folder: Path, workers: int, life_s: float, share: float) -> Ended:
    """Kill a new ladder at a share of its life; where the machine is faster now, and it came to its end first, once more."""
    for _ in range(5):
        ended = forks.run(words(workers), new(folder), signals=[(share * life_s, signal.SIGKILL)])
        if ended.code != 0 or share > 1:
            break
        life_s = min(life_s, ended.seconds)
    return ended


def trial(forks: Forks, folder: Path, workers: int, life_s: float, share: float, again: float | None, expected: bytes) -> tuple[str, str | None]:
    """Kill a ladder once or twice, climb it to its end; returns how far it was when it died, and what is wrong, or None."""
    ended = killed(forks, folder, workers, life_s, share)
    if again is not None and ended.code == -signal.SIGKILL:
        ended = forks.run(words(workers), folder, signals=[(again * life_s, signal.SIGKILL)])
    if ended.code not in (0, -signal.SIGKILL):
        return "", f"ended with {ended.code}: {ended.err}"
    runs = folder / NAME / RUNS
    finished, begun = (len(list(runs.glob(f"*/{name}"))) for name in ("scores.json", "recipe.toml"))
    place = f"{finished} finished{', others begun' if begun > finished else ''}" if ended.code else "after its end"
    ended = forks.run(words(workers), folder)
    while ended.code == -signal.SIGKILL:  # a machine that others use may take longer than a trial may: one kill more
        ended = forks.run(words(workers), folder)
    if ended.code != 0:
        return place, f"started again it ended with {ended.code}: {ended.err}"
    if (folder / NAME / FILE).read_bytes() != expected:
        return place, "its ladder.json is another"
    return place, None


def measure(count: int, seed: int) -> dict[str, Any]:
    """Do all trials; returns the row."""
    draw, places, failures = Random(seed), Counter[str](), []
    with tempfile.TemporaryDirectory() as name, Forks() as forks:
        work = Path(name)
        lives = {workers: climbed(forks, new(work / f"whole-{workers}"), workers).seconds for workers in (1, 2)}
        expected = [(work / f"whole-{workers}" / NAME / FILE).read_bytes() for workers in lives]
        if expected[0] != expected[1]:
            failures.append("one and two workers give other tables")
        runs = len(list((work / "whole-1" / NAME / RUNS).glob("*/scores.json")))
        for number, share in enumerate(moments(count, seed)):
            workers = 2 if number % 4 == 3 else 1
            again = draw.random() if number % 3 == 2 else None
            place, failure = trial(forks, work / "trial", workers, lives[workers], share, again, expected[0])
            places[place] += 1
            print(f"{number + 1}/{count}: killed at {share:.2f} of its life with {workers} workers, {place}: {failure or 'the same table'}", flush=True)
            if failure:
                failures.append(f"killed at {share:.3f} with {workers} workers: {failure}")
    return {
        "what": "kills",
        "passed": count - len([failure for failure in failures if failure.startswith("killed")]),
        "total": count,
        "killed_twice": count // 3,
        "seed": seed,
        "runs_of_the_ladder": runs,
        "life_s": {str(workers): round(life, 1) for workers, life in lives.items()},
        "when_it_died": dict(sorted(places.items())),
        "failures": failures,
        "processor": environment()["processor"],
        "torch": torch.__version__,
        "rung": environment()["rung"],
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
    }


def table(rows: list[dict[str, Any]]) -> str:
    """Return the Markdown table of all rows."""
    lines = ["| date | ladders killed | of them twice | the same table | trainings a ladder | processor |", "|---|---|---|---|---|---|"]
    for row in rows:
        cells = (row["date"], row["total"], row["killed_twice"], f"{row['passed']} of {row['total']}", row["runs_of_the_ladder"], row["processor"])
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ladder_kills", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    row = measure(asked.count, asked.seed)
    atomic.append_line(ROWS, row)
    between("ladder kills", table([found for found in atomic.read_lines(ROWS).rows if found.get("what") == "kills"]))
    print(f"{row['passed']} of {row['total']}")


if __name__ == "__main__":
    main()
