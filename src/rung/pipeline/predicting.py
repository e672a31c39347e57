"""Answers to image files with a run's weights and its one preprocessing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import nn

from rung.data import pixels as pixel_rules
from rung.data.batches import Batches, resident
from rung.data.formats.folder import files_below
from rung.errors import DataError, RunError
from rung.pipeline.prepare import Progress
from rung.pipeline.reporting import read_recipe, rebuild
from rung.pipeline.starting import kept_weights
from rung.recipe import Pixels, Recipe
from rung.store.headers import header
from rung.store.run import Run
from rung.training.forward import logits

_AT_ONCE: Final = 500  # files, so that memory does not grow with their number


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
    content = kept_weights(run)
    network, _, _ = rebuild(run, recipe)
    try:
        header(content)
        network.load_state_dict(safetensors.torch.load(content))
    except (RuntimeError, ValueError, SafetensorError) as error:
        raise RunError(f"the weights of {run.id} do not fit its recipe: {error}") from None
    network.to(memory_format=torch.channels_last)
    return network


def answer_files(run: Run, paths: Sequence[Path], progress: Progress | None = None) -> list[Answer]:
    """Answer each file, a folder standing for the images below it; what cannot be read is answered with its problem.

    Computed on the processor in float32, wherever the run was trained. progress(done, total) is called with files answered.

    Raises: DataError if there is no file, RunError if the run cannot predict.
    """
    files, refused = _files(paths)
    recipe, data = read_recipe(run), run.read_data()
    network, classes = trained_network(run, recipe), tuple(data["classes"])
    prepare = partial(_prepared, recipe.pixels, data["shape"][0], data["shape"][2])
    found: list[Answer] = []
    with ThreadPoolExecutor() as pool:
        for start in range(0, len(files), _AT_ONCE):
            part = files[start : start + _AT_ONCE]
            prepared = list(pool.map(prepare, part))
            images = [image for image in prepared if not isinstance(image, str)]
            chances = iter(_probabilities(network, np.stack(images), recipe, len(classes)) if images else ())
            found += [
                _problem(file, image) if isinstance(image, str) else _answer(file, classes, next(chances)) for file, image in zip(part, prepared, strict=True)
            ]
            if progress:
                progress(len(found), len(files))
    return found + refused


def _files(paths: Sequence[Path]) -> tuple[list[Path], list[Answer]]:
    """Return the files to read, and the answers to those that a folder holds and that must not be opened."""
    files: list[Path] = []
    refused: list[Answer] = []
    for path in paths:
        if not path.is_dir():
            if not path.exists():
                raise DataError(f"{path} does not exist: name image files, or a folder that holds some")
            files.append(path)
            continue
        below, not_opened = files_below(path)
        if not below and not not_opened:
            raise DataError(f"there is no image in {path}: name image files, or a folder that holds some")
        files += below
        refused += [_problem(path / note.path, note.reason) for note in not_opened]
    return files, refused


def _prepared(pixels: Pixels, size: int, channels: int, file: Path) -> npt.NDArray[np.uint8] | str:
    """Return one image as the network sees it, uint8 (size,size,channels), or why it cannot be read."""
    try:
        return pixel_rules.prepare(file, pixels, size, channels)
    except DataError as error:
        return str(error).removeprefix(f"{file} ")


def _probabilities(network: nn.Module, images: npt.NDArray[np.uint8], recipe: Recipe, classes: int) -> npt.NDArray[np.float64]:
    return torch.softmax(answered(network, images, recipe, classes, "cpu", "float32").double(), 1).numpy()


def answered(network: nn.Module, images: npt.NDArray[np.uint8], recipe: Recipe, classes: int, device: str, precision: str) -> torch.Tensor:
    """Return the network's logits for prepared images, uint8 (N,H,W,C), as its recipe shows images to it: float32 (N,classes) on the processor."""
    rows = Batches(
        resident(images, torch.device(device)),
        torch.zeros(len(images), dtype=torch.int64, device=device),
        classes,
        recipe.pixels,
        recipe.augment,
        recipe.seed,
        evaluation_batch_size=recipe.train.evaluation_batch_size,
        views=recipe.train.evaluation_views,
    )
    return logits(network, rows, precision).cpu()


def _problem(file: Path, reason: str) -> Answer:
    return Answer(str(file), "", 0.0, {}, reason)


def _answer(file: Path, classes: Sequence[str], chances: npt.NDArray[np.float64]) -> Answer:
    best = int(chances.argmax())
    return Answer(str(file), classes[best], float(chances[best]), {name: float(value) for name, value in zip(classes, chances, strict=True)})
