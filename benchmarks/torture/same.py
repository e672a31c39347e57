"""The same recipe twice: equal bits, whatever happens in between and however many threads read the files."""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch

from benchmarks.torture.forks import Forks
from benchmarks.torture.runs import NAME, Training, fresh, small
from benchmarks.torture.tally import Tally
from rung import workbench
from rung.data import batches, gather
from rung.data.cache import Cache
from rung.pipeline import prepare
from rung.store import atomic

# Every optimizer, loss and schedule, every way of keeping and sampling, both precisions; the first eight meet most of them.
RECIPES: tuple[dict[str, Any], ...] = (
    {"train.optimizer": "adam", "train.schedule": "cosine", "train.warmup_fraction": 0.2, "augment.flip_horizontal": True, "augment.shift_pixels": 1},
    {"train.optimizer": "muon", "train.schedule": "one_cycle", "train.ema_decay": 0.9, "train.keep": "averaged", "compute.precision": "bfloat16"},
    {"train.optimizer": "sgd", "train.momentum": 0.9, "train.nesterov": True, "augment.mixup_alpha": 0.4, "train.loss": "kl", "compute.precision": "float32"},
    {"train.optimizer": "adamw", "train.weight_decay": 0.01, "augment.offline_copies": 2, "augment.rotation_degrees": 15, "train.schedule": "step"},
    {"train.optimizer": "rmsprop", "train.sampling": "balanced", "train.class_weights": "balanced", "train.schedule": "plateau", "train.plateau_patience": 0},
    {
        "network.kind": "mlp",
        "train.optimizer": "nadam",
        "train.loss": "mse",
        "network.dense": [16],
        "network.dense_dropout": 0.3,
        "pixels.normalise": "standard",
    },
    {"augment.cutmix_alpha": 1.0, "augment.zoom_fraction": 0.1, "augment.noise_fraction": 0.05, "train.label_smoothing": 0.1, "train.clip_norm": 1.0},
    {"train.optimizer": "adamax", "network.block_dropout": 0.3, "network.batch_norm": "after_activation", "train.l2_convolution": 1e-3, "train.keep": "last"},
    {"train.optimizer": "adagrad", "train.loss": "hinge", "augment.cutout_pixels": 2},
    {"train.optimizer": "adadelta", "train.loss": "msle", "network.activation": "tanh", "network.initialisation": "orthogonal"},
    {"train.optimizer": "sgd", "train.clip_value": 0.5, "train.schedule": "one_cycle", "compute.precision": "bfloat16"},
    {"train.optimizer": "rmsprop", "train.momentum": 0.5, "train.defaults": "torch", "augment.contrast_fraction": 0.2, "augment.brightness_fraction": 0.1},
    {"train.optimizer": "adamw", "train.ema_decay": 0.99, "train.keep": "averaged", "augment.mixup_alpha": 1.0, "compute.precision": "float32"},
    {"train.optimizer": "muon", "train.weight_decay": 0.01, "train.sampling": "balanced", "network.flatten": "average"},
    {"split.folds": 5, "split.fold": 3, "network.activation": "gelu", "pixels.normalise": "standard", "augment.blur_pixels": 0.5},
    {"split.fit_on": "train+validation", "train.keep": "last", "train.schedule": "cosine", "network.kernel_size": 5},
    {"train.early_stopping": 1, "train.monitor": "validation_accuracy", "train.learning_rate": 0.05, "train.epochs": 6},
    {"train.monitor": "validation_objective", "train.l2_dense": 1e-3, "train.l2_last": True, "network.dense": [16], "augment.crop": 6},
    {"pixels.size": 12, "pixels.filter": "bicubic", "network.batch_norm": "before_activation", "train.batch_size": 7, "seed": 11},
    {"network.kind": "mlp", "train.optimizer": "sgd", "train.loss": "mse", "pixels.normalise": "none"},
)


def digests(run: Path) -> dict[str, str]:
    """Return the SHA-256 of what a recipe decides to the bit."""
    names = ("weights.safetensors", "metrics.jsonl", "predictions/train.safetensors", "predictions/validation.safetensors")
    return {name: hashlib.sha256((run / name).read_bytes()).hexdigest() for name in names if (run / name).exists()}


def twice(forks: Forks, settings: dict[str, Any], work: Path, *, test_between: bool) -> str | None:
    """Train twice, with other checkpoints and a test and a report of the first run between; return what differs, or None."""
    folder = fresh(work / "same")
    wanted = {"train.epochs": 2, **settings}
    commands = [Training(wanted, checkpoint_s=0).words(), Training(wanted).words()]
    commands[1] += ["--name", "again"]
    if test_between:
        commands[1:1] = [["test", NAME, "--out", "."], ["report", NAME, "--out", "."]]
    for words in commands:
        ended = forks.run(words, folder)
        if ended.code != 0:
            return f"rung {words[0]} ended with {ended.code}: {ended.err}"
    first, second = digests(folder / NAME), digests(folder / "again")
    unequal = [name for name in first if first[name] != second.get(name)]
    return f"unequal: {', '.join(unequal)}" if unequal or len(first) < 3 else None


def same_bits(forks: Forks, work: Path, count: int) -> Tally:
    """Train the first `count` recipes twice each."""
    tally = Tally(
        "The same recipe gives the same bits",
        "`rung train` twice, each in a process of its own, with other checkpoints, and a test and a report of the first run between: equal SHA-256 of weights, "
        "rows and predictions; over all optimizers, losses, schedules, averages, samplings, both precisions",
    )
    for number, settings in enumerate(RECIPES[:count]):
        failure = twice(forks, settings, work, test_between=number % 4 == 0)
        tally.count(failure and f"recipe {number} {settings}: {failure}")
    return tally


def same_on_gpu(forks: Forks, work: Path, count: int, device: str = "cuda") -> Tally:
    """Train the first `count` recipes twice each on a GPU with --exact, and once without for its cost."""
    tally = Tally(
        "On a GPU `--exact` gives the same bits",
        "as same-bits, on a GPU with compute.exact: equal SHA-256 of weights, rows and predictions; the training without is timed beside",
    )
    if device.startswith("cuda") and not torch.cuda.is_available():
        tally.note = "could not be run: torch sees no GPU here"
        return tally
    seconds = [0.0, 0.0]
    for number, settings in enumerate(RECIPES[:count]):
        wanted = {**settings, "compute.device": device, "compute.exact": True}
        failure = twice(forks, wanted, work, test_between=number % 4 == 0)
        tally.count(failure and f"recipe {number} {settings}: {failure}")
        forks.run([*Training({"train.epochs": 2, **wanted, "compute.exact": False}).words(), "--name", "loose"], work / "same")
        for place, name in enumerate(("again", "loose")):
            seconds[place] += float(atomic.read_json(work / "same" / name / "kept.json")["fit_s"])
    tally.note = f"training took {seconds[0] / seconds[1]:.2f} times as long as without"
    return tally


def same_for_threads(forks: Forks, work: Path) -> Tally:
    """Train on files read by other numbers of threads, and by processes that may use other numbers of processors; the recipe's own threads stay."""
    tally = Tally(
        "The threads that read files change no bit",
        "a training on a folder of PNG files, read by 1, 2, 4 and 8 threads, and by processes that may use one processor and all: equal SHA-256 of weights, "
        "rows and predictions",
    )
    folder = fresh(work / "threads")
    write_digits(folder / "digits", 20)
    found: dict[str, dict[str, str]] = {}
    for threads in (1, 2, 4, 8):
        with patch.object(gather, "_pool", lambda threads=threads: ThreadPoolExecutor(threads)), patch.object(prepare, "place", lambda: None):
            settings = {"train.epochs": 2, "data.per_class": 15}
            run = workbench.train(folder / "digits", small(), settings=settings, out=folder / "runs", name=f"of-{threads}-threads")
        found[f"{threads} threads"] = digests(run.folder)
    processors = os.sched_getaffinity(0)
    for number in sorted({1, len(processors)}):
        words = Training({"train.epochs": 2, "data.per_class": 15}).words()
        words = [*words, "--name", f"of-{number}"]
        words[1] = "./digits"
        ended = forks.run(words, folder, processors=sorted(processors)[:number])
        found[f"{number} processors"] = digests(folder / f"of-{number}") if ended.code == 0 else {"failed": ended.err}
    for way, one in found.items():
        tally.count(None if one == found["1 threads"] and len(one) == 4 else f"{way}: {one} is not {found['1 threads']}")
    tally.note = ", ".join(found)
    return tally


def same_for_cache(work: Path) -> Tally:
    """Train on files that are decoded, decoded and kept, found in the cache, and read from it row by row while training."""
    tally = Tally(
        "The cache of decoded images changes no bit",
        "a training on a folder of PNG files without the cache; filling it; with the images mapped from it; with each batch read from it: equal SHA-256 of "
        "weights, rows and predictions",
    )
    folder = fresh(work / "cache")
    write_digits(folder / "digits", 20)
    cache = Cache(folder / "kept", worth_s=0.0)
    ways: dict[str, tuple[Cache | None, float]] = {"decoded": (None, 0.25), "kept": (cache, 0.25), "mapped": (cache, 0.25), "by rows": (cache, 0.0)}
    found = {}
    for way, (used, share) in ways.items():
        with patch.object(prepare, "place", lambda used=used: used), patch.object(batches, "_SHARE_OF_MEMORY", share):
            run = workbench.train(folder / "digits", small(), settings={"data.per_class": 15}, out=folder / "runs", name=way.replace(" ", "-"))
        found[way] = digests(run.folder)
        tally.count(None if found[way] == found["decoded"] and len(found[way]) == 4 else f"{way}: {found[way]} is not {found['decoded']}")
    if not any((folder / "kept").rglob("*")):
        tally.count("nothing was kept in the cache: the trials show nothing")
    return tally


def write_digits(folder: Path, per_class: int) -> None:
    """Write so many digits of each class as PNG files, a folder a class."""
    from PIL import Image
    from sklearn.datasets import load_digits

    digits = load_digits()
    for label in range(10):
        (folder / str(label)).mkdir(parents=True)
        for row in np.flatnonzero(digits.target == label)[:per_class]:
            Image.fromarray(np.rint(digits.images[row] * 255 / 16).astype(np.uint8)).save(folder / str(label) / f"{row:04d}.png")
