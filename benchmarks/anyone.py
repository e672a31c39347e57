"""The recipe `fast` against Model S on six sets of images that differ in number, size, classes and colour, in the same time of training.

    python -m benchmarks.anyone --part validation --seeds 0
    python -m benchmarks.anyone --seeds 0 1 2 3 4

Both train for so many minutes (`minutes=`, one thread, in turn). Model S takes torch's averages of batch norm, in its favour: Keras' need thousands of steps to
settle, and would answer at chance after so few minutes. Rules of `fast` are chosen with --part validation; the second form
answers the test part, once for each training, at its end. Rows go to benchmarks/anyone.jsonl, the table of paired differences into benchmarks/README.md.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image

import rung
from benchmarks.budgets import NOTHING_OWN, where
from benchmarks.marked import between
from benchmarks.spreads import interval
from rung.data.imageset import TEST, TRAIN, ImageSet
from rung.pipeline import execute
from rung.pipeline.ready import ready
from rung.store import atomic
from rung.training.journal import NoJournal

HERE = Path(__file__).parent
ROWS = HERE / "anyone.jsonl"
SIDE: Final = 224

RECIPES: Final[dict[str, dict[str, Any]]] = {"fast": {}, "model_s": {"network.defaults": "torch"}}


@dataclass(frozen=True)
class Kind:
    """Images to learn: what rung.train would be given, and for how many minutes each recipe trains."""

    data: str
    minutes: float
    settings: dict[str, Any] = field(default_factory=dict)


KINDS: Final = {
    "digits, 1,797 of 8 px": Kind("digits", 0.25),
    "CIFAR-10, 50 a class": Kind("cifar10", 0.5, {"data.per_class": 50}),
    "five species, 2,500": Kind("cifar100:large_omnivores_and_herbivores", 1.0),
    "CIFAR-10": Kind("cifar10", 1.5),
    "CIFAR-100": Kind("cifar100", 1.5),
    "photos of 224 px, 1,000": Kind("photos", 1.5),
}


def photos(folder: Path) -> Path:
    """Write a folder of JPEG photos of 224 pixels a side, five classes of CIFAR-10 made larger: 200 a class to train on, 100 to test."""
    images: ImageSet = rung.load("cifar10", classes="airplane; cat; dog; horse; truck")
    for part, name, count in ((TRAIN, "train", 200), (TEST, "test", 100)):
        for label, word in enumerate(images.classes):
            place = folder / name / word
            place.mkdir(parents=True)
            for number, row in enumerate(np.flatnonzero((images.parts == part) & (images.labels == label))[:count]):
                Image.fromarray(images.images[row]).resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(place / f"{number:03d}.jpg", quality=90)
    return folder


def trained(name: str, recipe: str, seed: int, part: str, data: str) -> dict[str, Any]:
    """Train for the kind's minutes and answer one part; returns the row."""
    kind = KINDS[name]
    settings = {"seed": seed, "compute.threads": 1, **kind.settings, **RECIPES[recipe]}
    prepared = ready(data, recipe, settings, NOTHING_OWN, None, lambda sentence: None, classes=None, size=None, grey=False, minutes=kind.minutes)
    started = time.perf_counter()
    network, _ = execute.fit(prepared, NoJournal())
    took = time.perf_counter() - started
    answers = execute.predict_part(prepared, network, part)
    return {
        "kind": name,
        "recipe": recipe,
        "seed": seed,
        part: round(100 * float((answers.answers() == answers.labels).mean()), 2),
        "minutes": kind.minutes,
        "train_s": round(took, 1),
        "steps": prepared.recipe.train.steps,
        "epochs": prepared.recipe.train.epochs,
        **where(prepared),
    }


def table(rows: list[dict[str, Any]]) -> str:
    """Return the Markdown table of the test figures: for each kind both means, and the paired difference with its t interval over seeds."""
    lines = [
        "| images | minutes, one thread | seeds | fast | Model S | difference, points | 95 % interval over seeds | training s, fast and Model S |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name in KINDS:
        tested = [row for row in rows if row["kind"] == name and "test" in row]
        fast, other = ({row["seed"]: row for row in tested if row["recipe"] == recipe} for recipe in RECIPES)
        seeds = sorted(fast.keys() & other.keys())
        if not seeds:
            continue
        gains = [fast[seed]["test"] - other[seed]["test"] for seed in seeds]
        means = [f"{statistics.mean(found[seed]['test'] for seed in seeds):.2f}" for found in (fast, other)]
        took = ", ".join(f"{statistics.mean(found[seed]['train_s'] for seed in seeds):.0f}" for found in (fast, other))
        cells = (name, f"{KINDS[name].minutes:g}", str(len(seeds)), *means, f"{statistics.mean(gains):+.2f}", interval(gains, sign="+"), took)
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.anyone", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=("validation", "test"), default="test")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--kinds", nargs="+", default=list(KINDS), metavar="WORD", help="kinds whose name begins so")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        made = photos(Path(folder) / "photos")
        for name, kind in KINDS.items():
            if not name.startswith(tuple(asked.kinds)):
                continue
            for seed in asked.seeds:
                for recipe in RECIPES:
                    row = trained(name, recipe, seed, asked.part, str(made) if kind.data == "photos" else kind.data)
                    print(row, flush=True)
                    if asked.part == "test":
                        atomic.append_line(ROWS, row)
    if asked.part == "test":
        between("anyone", table(atomic.read_lines(ROWS).rows))


if __name__ == "__main__":
    main()
