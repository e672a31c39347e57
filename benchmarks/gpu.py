"""CIFAR by the recipe `fast` on one GPU, and airbench94_muon in turn with it on the same card.

    python -m benchmarks.gpu --airbench airbench94_muon.py
    python -m benchmarks.gpu --tiny

The first needs a GPU, and the file airbench94_muon.py of https://github.com/KellerJordan/cifar10-airbench (without --airbench rung runs alone). For each
target it trains 40 models: seconds a model, from its first weights to its test accuracy; seconds from the start of the process to the first model (imports,
data, checks, build, warm-up); models an hour one after another and many at once. Rows go to benchmarks/gpu.jsonl, the table into benchmarks/README.md.
The second does the same with digits on the processor, and writes nothing: its figures say nothing.
"""

from __future__ import annotations

import argparse
import datetime
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import torch

import rung
from benchmarks.marked import between
from benchmarks.segments import Trainer
from benchmarks.spreads import interval
from rung.data.imageset import TEST, TRAIN
from rung.store import atomic
from rung.training.process import usable_processors

HERE = Path(__file__).parent
ROWS = HERE / "gpu.jsonl"
AIRBENCH = "airbench94_muon"


@dataclass(frozen=True)
class Target:
    """What is to be reached: mean test accuracy in percent, on data, by settings of `fast`; at_once: how many processes are to train together, in turn."""

    data: str
    wanted: float
    settings: dict[str, Any]
    at_once: tuple[int, ...] = ()
    airbench: bool = field(default=False)


# First guesses after the published recipes of these accuracies (K. Jordan's airbench94_muon and airbench96; for CIFAR-100 narrow early and wide late layers).
# No GPU was at hand: none of them has been run, and the rates, which move with the batch, least of all.
TARGETS: Final = {
    "CIFAR-10 94 %": Target(
        "cifar10",
        94.0,
        {
            "network.filters": [64, 256, 256], "train.epochs": 9, "train.batch_size": 1000, "train.learning_rate": 0.2, "train.label_smoothing": 0.2,
            "train.weight_decay": 0.13, "augment.rising_sizes": [24, 28, 32], "train.evaluation_batch_size": 2000,
        },
        at_once=(1, 2, 4),
        airbench=True,
    ),
    "CIFAR-10 96 %": Target(
        "cifar10",
        96.0,
        {
            "network.filters": [128, 384, 512], "network.convolutions": 3, "train.epochs": 36, "train.batch_size": 1000, "train.learning_rate": 0.2,
            "train.weight_decay": 0.033, "train.label_smoothing": 0.2, "augment.shift_pixels": 4.0, "augment.cutout_pixels": 12,
            "augment.rising_sizes": [24, 28, 32], "train.evaluation_batch_size": 2000,
        },
    ),
    "CIFAR-100 75 %": Target(
        "cifar100",
        75.0,
        {
            "network.filters": [64, 256, 768], "train.epochs": 20, "train.batch_size": 1000, "train.learning_rate": 0.2, "train.label_smoothing": 0.2,
            "train.weight_decay": 0.06, "augment.rising_sizes": [24, 28, 32], "train.evaluation_batch_size": 2000, "train.evaluation_views": "one",
        },
    ),
}  # fmt: skip
TINY: Final = {
    "digits, tiny": Target(
        "digits", 0.0, {"network.filters": [8], "train.epochs": 1, "train.batch_size": 64, "data.per_class": 20, "compute.threads": 1}, (1, 2), airbench=True
    )
}


def rung_trainer(target: Target, device: str, threads: int) -> Trainer:
    """Return a process that trains `fast` for the target."""
    words = ["-m", "benchmarks.gpu_runs", target.data, "--device", device, "--settings", json.dumps(target.settings)]
    return Trainer([sys.executable, *words], threads)


def airbench_trainer(python: str, script: Path, folder: Path, threads: int) -> Trainer:
    """Return a process that runs the author's script, in a folder that holds the same images as his download would."""
    return Trainer([python, str(HERE / "gpu_airbench.py"), str(script.resolve()), str(folder)], threads)


def write_images(data: str, folder: Path) -> None:
    """Write a data set as the script keeps it: {"images": uint8 (N,H,W,C), "labels": int64 (N,), "classes": names} of train and of test."""
    images = rung.load(data)
    (folder / "cifar10").mkdir()
    for name, part in (("train", TRAIN), ("test", TEST)):
        rows = images.parts == part
        content = {"images": torch.from_numpy(images.images[rows]), "labels": torch.from_numpy(images.labels[rows]).long(), "classes": list(images.classes)}
        torch.save(content, folder / "cifar10" / f"{name}.pt")


def begun(trainer: Trainer, started: float) -> dict[str, Any]:
    """Wait for a process and its first model; returns its facts and the seconds since `started`."""
    facts = trainer.receive()
    first = trainer.train(0)
    return facts | {"cold_s": round(time.perf_counter() - started, 2), "notes": first.get("notes", [])}


def in_turn(trainers: dict[str, Trainer], runs: int) -> dict[str, list[dict[str, Any]]]:
    """Train one model by each, then one by each again, so that a card that slows down slows all alike."""
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in trainers}
    for seed in range(1, runs + 1):
        for name, trainer in trainers.items():
            found[name].append(trainer.train(seed))
    return found


def models_an_hour(trainers: Sequence[Trainer], runs: int) -> float:
    """Let all of them train at once, `runs` models together or a few more; returns models an hour."""
    each = -(-runs // len(trainers))
    started = time.perf_counter()
    for number, trainer in enumerate(trainers):
        for seed in range(each):
            trainer.send(1000 * (number + 1) + seed)
    for trainer in trainers:
        for _ in range(each):
            trainer.receive()
    return 3600 * each * len(trainers) / (time.perf_counter() - started)


def measured(name: str, target: Target, asked: argparse.Namespace, folder: Path) -> list[dict[str, Any]]:
    """Return one row a system for this target."""
    device, threads = ("cpu", 1) if asked.tiny else ("cuda", usable_processors())
    make = {"rung": lambda: rung_trainer(target, device, threads)}
    if target.airbench and asked.airbench:
        write_images(target.data, folder)
        make[AIRBENCH] = lambda: airbench_trainer(asked.airbench_python, asked.airbench, folder, threads)
    trainers, facts = {}, {}
    hours: dict[str, dict[str, float]] = {}
    try:
        for system, start in make.items():
            started = time.perf_counter()
            trainers[system] = start()
            facts[system] = begun(trainers[system], started)
        found = in_turn(trainers, asked.runs)
        if target.at_once:
            hours = {system: {"1": models_an_hour([trainer], asked.runs)} for system, trainer in trainers.items()}
        if AIRBENCH in trainers:
            trainers.pop(AIRBENCH).end()  # its memory is wanted by those that train at once
        while len(trainers) < max(target.at_once, default=1):
            system = f"rung {len(trainers) + 1}"
            trainers[system] = rung_trainer(target, device, max(1, threads // max(target.at_once)))
            begun(trainers[system], 0.0)
            if len(trainers) in target.at_once:
                hours["rung"][str(len(trainers))] = models_an_hour(list(trainers.values()), asked.runs)
    finally:
        for trainer in trainers.values():
            trainer.end()
    settings = {"rung": target.settings}
    return [row(name, target, system, settings.get(system, {}), facts[system], found[system], hours.get(system, {})) for system in make]


def row(
    name: str, target: Target, system: str, settings: dict[str, Any], facts: dict[str, Any], found: list[dict[str, Any]], hours: dict[str, float]
) -> dict[str, Any]:
    """Return a system's row: accuracies in percent, seconds, models an hour by how many train at once."""
    return {
        "target": name,
        "wanted": target.wanted,
        "system": system,
        "settings": settings,
        "test": [round(one["accuracy"], 2) for one in found],
        "seconds": [round(one["seconds"], 4) for one in found],
        "models_an_hour": {count: round(value) for count, value in hours.items()},
        **facts,
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
    }


def table(rows: list[dict[str, Any]]) -> str:
    """Return the Markdown table: one line a row, with t intervals over runs; "not reached" where the mean is below what was wanted."""
    if not rows:
        return "Not measured: no GPU was at hand."
    lines = [
        "| target | system | n | test %, mean | 95 % interval | seconds a model, mean | 95 % interval | from process start s | models an hour, by how many "
        "at once | device | torch | date |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for one in rows:
        mean = statistics.mean(one["test"])
        hours = ", ".join(f"{count}: {value:,}" for count, value in one["models_an_hour"].items())
        system = f"{one['system']} ({'; '.join(one['notes'])})" if one["notes"] else one["system"]
        cells = [
            one["target"], system, len(one["test"]), f"{mean:.2f}{'' if mean >= one['wanted'] else ', not reached'}", interval(one["test"], 2),
            f"{statistics.mean(one['seconds']):.3f}", interval(one["seconds"], 3), one["cold_s"], hours, one["device"], one["torch"], one["date"],
        ]  # fmt: skip
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines)


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--targets", nargs="+", choices=TARGETS, default=list(TARGETS))
    parser.add_argument("--runs", type=int, default=40, help="models a system and target, 40 or more for figures that say something")
    parser.add_argument("--airbench", type=Path, metavar="FILE", help="airbench94_muon.py")
    parser.add_argument("--airbench-python", default=sys.executable, metavar="PYTHON", help="of an environment with torchvision")
    parser.add_argument("--tiny", action="store_true", help="digits on the processor, nothing is written")
    asked = parser.parse_args(words)
    if asked.runs < 1 or (asked.airbench and not asked.airbench.is_file()):
        parser.error(f"--airbench {asked.airbench} is no file" if asked.runs > 0 else "--runs must be 1 or more")
    if not asked.tiny and not torch.cuda.is_available():
        print("this needs an NVIDIA GPU, and torch sees none here; --tiny goes the same way on the processor, without figures", file=sys.stderr)
        return 2
    targets = TINY if asked.tiny else {name: TARGETS[name] for name in asked.targets}
    made: list[dict[str, Any]] = []
    for name, target in targets.items():
        with tempfile.TemporaryDirectory() as folder:
            for new in measured(name, target, asked, Path(folder)):
                made.append(new)
                print(json.dumps(new), flush=True)
                if not asked.tiny:
                    atomic.append_line(ROWS, new)
        if not asked.tiny:  # after each target: a later one may fail
            between("gpu", table(atomic.read_lines(ROWS).rows))
    if asked.tiny:
        print(table(made))
    return 0


if __name__ == "__main__":
    sys.exit(main())
