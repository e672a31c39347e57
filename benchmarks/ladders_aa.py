"""A/A ladders of real trainings: every candidate is the same recipe, a thin network on digits, and differs by its seeds alone.

    python -m benchmarks.ladders_aa --pool 650 --folder POOL

trains one network for each seed of the pool into the folder (those that are there are kept, so it can be stopped and gone on with), then climbs 100
ladders of three steps with four candidates and five seeds each, by the code that climbs real ones, racing on. Each ladder draws the 65 runs it needs from
the pool, none twice; two ladders share runs, the fewer the larger the pool. A ladder that keeps anything but its start has climbed a false rung. It adds a
dated row to benchmarks/ladders_aa.jsonl and writes the table of all rows into benchmarks/README.md.
"""

from __future__ import annotations

import argparse
import datetime
import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

import rung
from benchmarks.marked import between
from rung.evaluate.intervals import exact_bounds
from rung.store import atomic
from rung.store.run import Run
from rung.study.climb import Climb
from rung.study.executor import Executor, Job
from rung.study.ladder import RUNS
from rung.study.plan import START, fitted, plan_of
from rung.study.resolved import Resolved
from rung.words import percent

HERE = Path(__file__).parent
ROWS = HERE / "ladders_aa.jsonl"
THIN: Final[dict[str, Any]] = {
    "train.epochs": 8,
    "train.learning_rate": 0.02,
    "network.filters": [8, 16],
    "network.convolutions": 1,
    "augment.shift_fraction": 0.0,
    "augment.zoom_fraction": 0.0,
    "split.seed": 0,
    "compute.threads": 1,
}
STEPS, CANDIDATES, SEEDS = 3, 4, 5


def trained(seed: int, folder: Path) -> Run:
    """Train one network of the pool, or find it trained."""
    run = Run(folder / f"seed-{seed}")
    if not atomic.exists(run.report):
        shutil.rmtree(run.folder, ignore_errors=True)
        rung.train("digits", "digits", settings=THIN, seed=seed, out=folder, name=run.folder.name)
    return run


@dataclass
class Dealt:
    """One ladder's runs: each job is dealt the next run of the pool, in an order of the ladder's own, instead of being trained."""

    folder: Path
    pool: list[Run]
    order: np.ndarray
    dealt: dict[str, Run] = field(default_factory=dict)

    def resolve(self, settings: Mapping[str, Any]) -> Resolved:
        """Return what a candidate would be; all cost the same."""
        return Resolved(hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest(), 1, 1, ("digits",), 1)

    def train(self, job: Job, tell: Callable[[int, int], None]) -> None:
        self.dealt[job.key] = self.pool[self.order[len(self.dealt)]]
        (self.folder / RUNS / job.key).symlink_to(self.dealt[job.key].folder.absolute())


def climbs(number: int, pool: list[Run]) -> tuple[int, int]:
    """Climb one ladder; returns how many false rungs it climbed, and how many runs it took."""
    steps = [
        {"name": f"step {step}", "field": "train.learning_rate", "candidates": [round(0.001 * (step * CANDIDATES + k + 1), 3) for k in range(CANDIDATES)]}
        for step in range(STEPS)
    ]
    plan = fitted(plan_of({"name": "aa", "data": "digits", "recipe": "digits", "seeds": SEEDS, "step": steps}), rung.load_recipe("digits"))
    with tempfile.TemporaryDirectory() as folder:
        dealt = Dealt(Path(folder), pool, np.random.default_rng(number).permutation(len(pool)))
        atomic.make_folder(dealt.folder / RUNS)
        with Executor(dealt.train, 1) as executor:
            ladder = Climb(plan, {}, dealt.resolve, executor, dealt.folder).climb()
    return sum(step.kept != START for step in ladder.steps), len(dealt.dealt)


def table(rows: list[dict[str, Any]]) -> str:
    """Return the Markdown table: one line a row."""
    titles = ("date", "networks trained", "validation %, mean (deviation)", "ladders", "climbed", "95 % interval", "runs saved by racing")
    lines = [f"| {' | '.join(titles)} |", "|" + "---|" * len(titles)]
    for row in rows:
        cells = [row["date"], f"{row['pool']:,}", f"{100 * row['mean']:.2f} ({100 * row['deviation']:.2f})", str(row["ladders"])]
        cells += [percent(row["climbed"] / row["ladders"]), f"{100 * row['low']:.1f} to {100 * row['high']:.1f}", percent(row["runs_saved"], 0)]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ladders_aa", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pool", type=int, default=650)
    parser.add_argument("--ladders", type=int, default=100)
    parser.add_argument("--folder", type=Path, required=True)
    asked = parser.parse_args()
    pool = []
    for seed in range(asked.pool):
        pool.append(trained(seed, asked.folder))
        print(f"{seed + 1} of {asked.pool}", end="\r", flush=True)
    found = [climbs(number, pool) for number in range(asked.ladders)]
    climbed, runs = sum(rungs > 0 for rungs, _ in found), sum(count for _, count in found)
    low, high = exact_bounds(climbed, asked.ladders, 0.95)
    values = np.array([run.read_scores()["validation"]["accuracy"]["value"] for run in pool])
    whole = asked.ladders * (1 + STEPS * CANDIDATES) * SEEDS
    row = {
        **{"pool": asked.pool, "mean": float(values.mean()), "deviation": float(values.std(ddof=1)), "ladders": asked.ladders, "climbed": climbed},
        **{"low": low, "high": high, "runs_saved": 1 - runs / whole, "steps": STEPS, "candidates": CANDIDATES, "seeds": SEEDS, "settings": THIN},
        **{"rung": rung.__version__, "date": datetime.datetime.now(datetime.UTC).date().isoformat()},
    }
    print(row)
    atomic.append_line(ROWS, row)
    between("ladders-aa", table(atomic.read_lines(ROWS).rows))


if __name__ == "__main__":
    main()
