"""A training in a process of its own that goes on only while it is told to: so that trainings can take turns within one run.

    python -m benchmarks.segments cifar10 --recipe model_s --threads 2 --precision bfloat16

reads seconds, one number a line, trains for as long, and prints the images trained on and the seconds that took; it ends with its input. Its first line
tells the versions. A peer with `--segments` does the same.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
# the second: `-m benchmarks..` is found from whatever folder one stands in
WORDS = {"TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))}


class Trainer:
    """A process that trains in segments. `send` begins one, `receive` waits for its end and gives {"images": .., "seconds": ..}."""

    def __init__(self, command: Sequence[str], threads: int) -> None:
        environment = os.environ | WORDS | {"OMP_NUM_THREADS": str(threads)}
        self.errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 closed by end
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, text=True, env=environment)

    def receive(self) -> dict[str, Any]:
        line = self.process.stdout.readline()
        if not line:
            self.errors.seek(0)
            said = self.errors.read().strip().splitlines()
            raise SystemExit(f"{' '.join(self.process.args)} ended: {said[-1] if said else 'it said nothing'}")
        return json.loads(line)

    def send(self, seconds: float) -> None:
        self.process.stdin.write(f"{seconds}\n")
        self.process.stdin.flush()

    def train(self, seconds: float) -> dict[str, Any]:
        self.send(seconds)
        return self.receive()

    def end(self) -> None:
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()
        self.errors.close()


def rung_trainer(data: str, recipe: str, threads: int, precision: str = "auto", rows: int | None = None, settings: Sequence[str] = ()) -> Trainer:
    """Return a process that trains a recipe of rung."""
    words = [sys.executable, "-m", "benchmarks.segments", data, "--recipe", recipe, "--threads", str(threads), "--precision", precision]
    words += ["--rows", str(rows)] if rows else []
    return Trainer([*words, *(word for setting in settings for word in ("--set", setting))], threads)


class Clock:
    """What lets a training go on for the seconds that a line of the input says, again and again; it ends the process with the input."""

    def __init__(self) -> None:
        self.images, self.begun, self.until = 0, 0.0, 0.0

    def wait(self) -> None:
        """Wait for the next segment."""
        line = sys.stdin.readline()
        if not line:
            os._exit(0)
        self.images, self.begun = 0, time.perf_counter()
        self.until = self.begun + float(line)

    def step(self, images: int) -> None:
        """Count a step; at the end of a segment tell what was done in it, and wait."""
        self.images += images
        if time.perf_counter() >= self.until:
            print(json.dumps({"images": self.images, "seconds": time.perf_counter() - self.begun}), flush=True)
            self.wait()


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.segments", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--recipe", default="default")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--rows", type=int, help="of the training rows, the first so many")
    parser.add_argument("--set", action="append", default=[], dest="settings", metavar="FIELD=VALUE")
    return parser.parse_args()


def main() -> None:
    from rung import recipe as recipes
    from rung.pipeline import execute
    from rung.pipeline.ready import ready
    from rung.training.environment import environment
    from rung.training.journal import NoJournal
    from rung.training.loop import StepEnd

    asked = arguments()
    settings = {"compute.threads": asked.threads, "compute.precision": asked.precision, "compute.device": "cpu"}
    settings |= {"train.keep": "last", "train.early_stopping": None} | dict(recipes.setting(text) for text in asked.settings)
    prepared = ready([asked.data], asked.recipe, settings, {}, None, lambda sentence: None, classes=None, size=None, grey=False)
    parts = replace(prepared.splits, train=prepared.splits.train[: asked.rows], validation=prepared.splits.validation[:0])  # steps alone are on the clock
    prepared = replace(prepared, splits=parts)
    batch_size, clock = prepared.recipe.train.batch_size, Clock()
    steps = prepared.training().steps(batch_size)
    last = len(parts.train) - (steps - 1) * batch_size

    def observe(end: StepEnd) -> None:
        clock.step(batch_size if end.step % steps else last)

    versions = {key: environment("cpu")[key] for key in ("rung", "torch", "processor")}
    print(json.dumps({"versions": versions, "precision": prepared.recipe.compute.precision, "batch": batch_size}), flush=True)
    clock.wait()
    while True:
        execute.fit(prepared, NoJournal(), observe)


if __name__ == "__main__":
    main()
