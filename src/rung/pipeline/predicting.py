"""Answers to image files with a run's weights and its one preprocessing."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import nn

from rung.data import pixels as pixel_rules
from rung.data.batches import Batches, resident
from rung.errors import DataError, RunError
from rung.pipeline.reporting import read_recipe, rebuild
from rung.recipe import Recipe
from rung.store import atomic
from rung.store.headers import header
from rung.store.run import Run
from rung.training.forward import logits


@dataclass(frozen=True)
class Answer:
    """What a run says of one file. probabilities: {class: 0..1}; problem: why the file could not be read (then the rest is empty)."""

    path: str
    answer: str
    confidence: float
    probabilities: Mapping[str, float]
    problem: str = ""


def trained_network(run: Run, recipe: Recipe) -> nn.Module:
    """Return the run's network with the kept weights, on the processor.

    Raises: RunError if the weights are not there, damaged or of another network.
    """
    path = run.weights
    try:
        content = atomic.read_bytes(path)
    except OSError as error:
        raise RunError(f"cannot read {path}: {atomic.reason(error)}; `rung resume {run.folder}` writes it if the run is not finished") from None
    if hashlib.sha256(content).hexdigest() != atomic.read_json(run.kept)["weights_sha256"]:
        raise RunError(f"{path} is damaged: its SHA-256 is not the one in {run.kept.name}; train again with `rung train {run.folder}/recipe.toml`")
    network, _, _ = rebuild(run, recipe)
    try:
        header(content)
        network.load_state_dict(safetensors.torch.load(content))
    except (RuntimeError, ValueError, SafetensorError) as error:
        raise RunError(f"the weights of {run.id} do not fit its recipe: {error}") from None
    network.to(memory_format=torch.channels_last)
    return network


def answer_files(run: Run, paths: Sequence[Path]) -> list[Answer]:
    """Answer each file, a folder standing for the files below it; what cannot be read is answered with its problem.

    Raises: DataError if there is no file, RunError if the run cannot predict.
    """
    files = [file for path in paths for file in _files(path)]
    recipe, data = read_recipe(run), run.read_data()
    network = trained_network(run, recipe)
    size, channels, classes = data["shape"][0], data["shape"][2], tuple(data["classes"])
    images: dict[Path, npt.NDArray[np.uint8]] = {}
    problems: dict[Path, str] = {}
    for file in files:
        try:
            images[file] = pixel_rules.prepare(file, recipe.pixels, size, channels)
        except DataError as error:
            problems[file] = str(error)
    rows = _probabilities(network, np.stack(list(images.values())), recipe, len(classes)) if images else np.empty((0, len(classes)))
    chances = dict(zip(images, rows, strict=True))
    return [Answer(str(file), "", 0.0, {}, problems[file]) if file in problems else _answer(file, classes, chances[file]) for file in files]


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        found = sorted(file for file in path.rglob("*") if file.is_file() and not file.name.startswith("."))
        if not found:
            raise DataError(f"there is no file in {path}: name image files, or a folder that holds some")
        return found
    if not path.exists():
        raise DataError(f"{path} does not exist: name image files, or a folder that holds some")
    return [path]


def _probabilities(network: nn.Module, images: npt.NDArray[np.uint8], recipe: Recipe, classes: int) -> npt.NDArray[np.float64]:
    device = torch.device("cpu")
    labels, at_once = torch.zeros(len(images), dtype=torch.int64), recipe.train.evaluation_batch_size
    rows = Batches(resident(images, device), labels, classes, recipe.pixels, recipe.augment, recipe.seed, evaluation_batch_size=at_once)
    return torch.softmax(logits(network, rows, "float32").double(), 1).numpy()


def _answer(file: Path, classes: Sequence[str], chances: npt.NDArray[np.float64]) -> Answer:
    best = int(chances.argmax())
    return Answer(str(file), classes[best], float(chances[best]), {name: float(value) for name, value in zip(classes, chances, strict=True)})
