"""Pre-flights of trainings in which nothing is planted: a check that fails there is a false alarm.

    python -m benchmarks.mutations.clean DATA [--recipes NAME ..] [--seeds 5] [--smoke] [--set KEY=VALUE ..] [--write]

runs the pre-flight of DATA with each recipe (--smoke: of 20 images a class) and each of the seeds 0, 1 .., and prints a table. --write adds dated
rows to benchmarks/preflights.jsonl. Seconds are those of the whole, reading and near-duplicates included where the cache does not hold them yet;
processor seconds are those of all threads.
"""

from __future__ import annotations

import argparse
import datetime
import platform
import sys
import time
from pathlib import Path
from typing import Any

import torch

from rung import workbench
from rung.audit.preflight.outcome import Preflight
from rung.errors import RungError
from rung.recipe import setting
from rung.recipes import RECIPES, smoke
from rung.store import atomic
from rung.training.environment import environment

ROWS = Path(__file__).parents[1] / "preflights.jsonl"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.mutations.clean", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--recipes", nargs="+", metavar="NAME", default=list(RECIPES))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--smoke", action="store_true", help="20 images a class")
    parser.add_argument("--set", dest="settings", nargs="+", metavar="KEY=VALUE", default=[])
    parser.add_argument("--write", action="store_true", help="add rows to benchmarks/preflights.jsonl")
    asked = parser.parse_args()
    settings = dict(setting(text) for text in asked.settings)
    flights = alarms = 0
    for name in asked.recipes:
        for seed in range(asked.seeds):
            recipe = smoke(RECIPES[name]()) if asked.smoke else RECIPES[name]()
            started, used = time.perf_counter(), time.process_time()
            try:
                found = workbench.preflight(asked.data, recipe, settings=settings, seed=seed)
            except RungError as error:
                print(f"refused {recipe.name}: {error}", flush=True)
                break
            seconds, used = time.perf_counter() - started, time.process_time() - used
            said = " ".join(f"{outcome.check}: {outcome.sentence}" for outcome in found.failed)
            print(f"{'ALARM' if said else 'clean'} {asked.data:10s} {recipe.name:20s} seed {seed} {seconds:5.1f} s ({used:.1f})  {said}", flush=True)
            flights, alarms = flights + 1, alarms + bool(said)
            if asked.write:
                atomic.append_line(ROWS, row(found, seconds, used, settings))
    print(f"{alarms} false alarms in {flights} pre-flights")
    return bool(alarms)


def row(found: Preflight, seconds: float, processor_s: float, settings: dict[str, Any]) -> dict[str, Any]:
    """Return one pre-flight as a row of plain values."""
    facts = environment()
    return {
        "data": found.data,
        "recipe": found.recipe,
        "settings": settings,
        "seed": found.seed,
        "failed": [outcome.check for outcome in found.failed],
        "skipped": [outcome.check for outcome in found.outcomes if outcome.state == "skipped"],
        "numbers": {outcome.check: dict(outcome.numbers) for outcome in found.outcomes},
        "seconds": round(seconds, 1),
        "processor_s": round(processor_s, 1),
        "threads": found.threads,
        "precision": found.precision,
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "processor": facts["processor"],
        "torch": torch.__version__,
        "python": platform.python_version(),
        "rung": facts["rung"],
    }


if __name__ == "__main__":
    sys.exit(main())
