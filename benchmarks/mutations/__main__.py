"""Bugs planted in a copy of the pipeline, and which check of the pre-flight finds them.

    python -m benchmarks.mutations [NAME ..] [--data digits] [--recipe digits] [--seed 0] [--write]

copies src/rung for each, plants the bug, runs `rung preflight` there in a child process, and prints a table. A bug counts as found if the check
that should find it failed; others that failed as well are shown. --write adds dated rows to benchmarks/mutations.jsonl.
"""

from __future__ import annotations

import argparse
import datetime
import importlib
import json
import multiprocessing
import os
import platform
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from benchmarks.mutations.planted import MUTATIONS, Mutation
from rung.store import atomic
from rung.training.environment import environment

SOURCE = Path(__file__).parents[2] / "src" / "rung"
ROWS = Path(__file__).parents[1] / "mutations.jsonl"
CLEAN = Mutation("nothing is planted", "")


@dataclass(frozen=True)
class Flight:
    """What a pre-flight of the changed copy said: exit code, the checks that failed and those left out, seconds; error: what it died of."""

    code: int
    failed: tuple[str, ...]
    skipped: tuple[str, ...]
    seconds: float
    error: str = ""


def plant(mutation: Mutation, folder: Path) -> None:
    """Copy the sources into folder/rung and plant the bug.

    Raises: LookupError if the place is not there as often as it should be.
    """
    shutil.copytree(SOURCE, folder / "rung", ignore=shutil.ignore_patterns("__pycache__"))
    if mutation.own:
        (folder / "own.py").write_text(mutation.own)
    if mutation.file:
        path = folder / "rung" / mutation.file
        text = path.read_text()
        if text.count(mutation.old) != mutation.times:
            raise LookupError(f"{mutation.file} holds {mutation.old!r} {text.count(mutation.old)} times, expected {mutation.times}: adapt planted.py")
        path.write_text(text.replace(mutation.old, mutation.new))


def fly(mutation: Mutation, data: str, recipe: str, seed: int) -> Flight:
    """Plant the bug in a copy and run the pre-flight of the copy in a child process."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        plant(mutation, folder)
        settings = [word for key, value in mutation.settings.items() for word in ("--set", f"{key}={_toml(value)}")]
        words = ["preflight", data, "--recipe", recipe, "--seed", str(seed), "--json", "--set", "compute.threads=1", *settings]
        child = multiprocessing.get_context("fork").Process(target=_run, args=(folder, words))
        child.start()
        child.join()
        said, errors = ((folder / name).read_text().strip() for name in ("said", "errors"))
    try:
        found = json.loads(said)
    except json.JSONDecodeError:
        return Flight(child.exitcode or 0, (), (), 0.0, errors.splitlines()[-1] if errors else "no answer")
    skipped = tuple(outcome["check"] for outcome in found["outcomes"] if outcome["state"] == "skipped")
    return Flight(child.exitcode or 0, tuple(found["failed"]), skipped, found["seconds"])


def _run(folder: Path, words: list[str]) -> None:
    """Run a command of the copy in `folder`: torch stays as the parent has imported it, nothing of rung does."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "rung"]:
        del sys.modules[name]
    sys.path.insert(0, str(folder))
    os.chdir(folder)
    sys.stdout, sys.stderr = (folder / "said").open("w"), (folder / "errors").open("w")
    sys.argv = ["rung", *words]
    importlib.import_module("rung.cli").main()


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {json.dumps(entry)}" for key, entry in value.items()) + "}"
    return json.dumps(value)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.mutations", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="the bugs to plant; all if none is named")
    parser.add_argument("--data", default="digits")
    parser.add_argument("--recipe", default="digits")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--write", action="store_true", help="add rows to benchmarks/mutations.jsonl")
    asked = parser.parse_args()
    chosen = {name: MUTATIONS[name] for name in asked.names} if asked.names else {"clean": CLEAN, **MUTATIONS}
    missed = []
    for name, mutation in chosen.items():
        flight = fly(mutation, asked.data, asked.recipe, asked.seed)
        right = not flight.failed and not flight.error if mutation is CLEAN else mutation.check in flight.failed
        others = ", ".join(check for check in flight.failed if check != mutation.check)
        print(f"{'found ' if right else 'MISSED'} {name:28s} {mutation.check:26s} {flight.seconds:5.1f} s  {flight.error or others}", flush=True)
        if not right:
            missed.append(name)
        if asked.write:
            atomic.append_line(ROWS, row(name, mutation, flight, right, asked))
    print(f"{len(chosen) - len(missed)} of {len(chosen)} as they should be" + (f"; not: {', '.join(missed)}" if missed else ""))
    return bool(missed)


def row(name: str, mutation: Mutation, flight: Flight, right: bool, asked: argparse.Namespace) -> dict[str, Any]:
    """Return one planted bug as a row of plain values."""
    facts = environment()
    return {
        "mutation": name,
        "what": mutation.what,
        "wanted": mutation.check,
        "found": right,
        "failed": list(flight.failed),
        "skipped": list(flight.skipped),
        "error": flight.error,
        "data": asked.data,
        "recipe": asked.recipe,
        "seed": asked.seed,
        "seconds": round(flight.seconds, 1),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "threads": 1,
        "processor": facts["processor"],
        "torch": torch.__version__,
        "python": platform.python_version(),
        "rung": facts["rung"],
    }


if __name__ == "__main__":
    sys.exit(main())
