"""To begin from the kept weights of another run: found, checked against the network and the images, and kept with the run that begins from them."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import nn

from rung import recipe as recipes
from rung.data.imageset import ImageSet
from rung.data.split import Splits
from rung.errors import RecipeError, RunError
from rung.evaluate import predictions as answers
from rung.recipe import Recipe
from rung.store import arrays, atomic
from rung.store import run as run_store
from rung.store.headers import header
from rung.store.run import DEFAULT_ROOT, Run
from rung.words import count, plural

_FOLDER: Final = "start"  # of a run that began from the weights of another
_ABOUT: Final = "about.safetensors"
_WEIGHTS: Final = "weights.safetensors"
_NAMES: Final = ("network.start", "network.source", "pixels.mean", "pixels.deviation")  # of files, and what follows from the training rows
_SHOWN: Final = 3  # differences in one sentence


@dataclass(frozen=True)
class Start:
    """The kept weights of a finished run, from which another training begins.

    run: its id. weights: a safetensors file; sha256: of it. classes: that it was trained on, in its order. settings: fields of its recipe that give the
    weights their meaning, {"network.activation": "relu"}. trained_on: digests of the images that it was fitted on, and those it began from, int64 (N,).
    """

    run: str
    weights: bytes
    sha256: str
    classes: tuple[str, ...]
    settings: dict[str, Any]
    trained_on: npt.NDArray[np.int64]

    @property
    def place(self) -> str:
        """The folder, below that of a run, in which it is kept; another for other weights."""
        return f"{_FOLDER}/{self.sha256[:16]}"

    def tensors(self) -> dict[str, torch.Tensor]:
        """Return the weights by name. Raises: RunError if the file is damaged."""
        try:
            header(self.weights)
            return safetensors.torch.load(self.weights)
        except (ValueError, SafetensorError) as error:
            raise RunError(f"the weights of {self.run} are no safetensors file: {error}") from error


def kept_weights(run: Run) -> bytes:
    """Return the file of a run's kept weights. Raises: RunError if it is not there or damaged."""
    path = run.weights
    try:
        content = atomic.read_bytes(path)
    except OSError as error:
        raise RunError(f"cannot read {path}: {atomic.reason(error)}; `rung resume {run.folder}` writes it if the run is not finished") from None
    if hashlib.sha256(content).hexdigest() != atomic.read_json(run.kept)["weights_sha256"]:
        raise RunError(f"{path} is damaged: its SHA-256 is not the one in {run.kept.name}; train again with `rung train {run.folder}/recipe.toml`")
    return content


def find(name: str, base: Path | None, root: Path) -> Start:
    """Return the start that network.start names: what a run in whose folder `base` the recipe lies has kept, or else a finished run, by folder or id.

    root: the folder of runs, in which an id is looked for before the usual one.

    Raises: RecipeError if there is no such run, or it is not finished; RunError if it is damaged.
    """
    if base is not None and (base / name / _ABOUT).is_file():
        return _read(base / name)
    try:
        run = _run(name, root)
    except RunError as error:
        raise RecipeError(f"network.start = '{name}': {error}") from None
    if run.state() != "finished":
        raise RecipeError(f"network.start = '{name}': {run.folder} is {run.state()}, and a training begins from the kept weights of a finished run")
    return _of_run(run)


def _run(name: str, root: Path) -> Run:
    """Find a run as every command does, in `root` first; raises RunError that tells what is there."""
    try:
        return run_store.open_run(name, root)
    except RunError:
        with contextlib.suppress(RunError):
            return run_store.open_run(name, DEFAULT_ROOT)
        raise


def _of_run(run: Run) -> Start:
    recipe, weights = recipes.from_toml(run.recipe), kept_weights(run)
    classes = tuple(run.read_data()["classes"])
    seen = [answers.load(run.predictions("train"), classes).digests]
    if recipe.network.start:
        seen.append(_read(run.folder / recipe.network.start).trained_on)
    return Start(run.id, weights, hashlib.sha256(weights).hexdigest(), classes, _settings(recipe), np.unique(np.concatenate(seen)))


def write(folder: Path, start: Start) -> None:
    """Keep the start in the folder of the run that begins from it, so that it needs the other run no more."""
    place = folder / start.place
    atomic.make_folder(place.parent)
    atomic.make_folder(place)
    atomic.write_bytes(place / _WEIGHTS, start.weights)
    about = {"run": start.run, "sha256": start.sha256, "classes": list(start.classes), "settings": start.settings}
    arrays.write(place / _ABOUT, {"trained_on": start.trained_on}, about)


def _read(place: Path) -> Start:
    """Read what `write` kept. Raises: RunError if it is not there or damaged."""
    found, about = arrays.read(place / _ABOUT)
    try:
        weights = atomic.read_bytes(place / _WEIGHTS)
        start = Start(about["run"], weights, about["sha256"], tuple(about["classes"]), about["settings"], found["trained_on"])
    except OSError as error:
        raise RunError(f"cannot read {place / _WEIGHTS}: {atomic.reason(error)}: train again from the run it was copied from") from None
    except (KeyError, TypeError) as error:
        raise RunError(f"{place / _ABOUT} is damaged ({error}): train again from the run it was copied from") from None
    if hashlib.sha256(weights).hexdigest() != start.sha256:
        raise RunError(f"{place / _WEIGHTS} is damaged: its SHA-256 is not {start.sha256[:16]}..: train again from {start.run}")
    return start


def put_in(start: Start, network: nn.Module) -> None:
    """Put the weights, and the statistics of batch norm with them, into a network that `check` has passed."""
    network.load_state_dict(start.tensors())


def check(start: Start, network: nn.Module, recipe: Recipe, classes: tuple[str, ...]) -> None:
    """Check that the weights fit. Raises: RecipeError naming what differs: the classes, or the network and its first tensors."""
    if start.classes != classes:
        there, here = (", ".join(names) for names in (start.classes, classes))
        what = "these classes in another order" if set(start.classes) == set(classes) else "other classes"
        raise RecipeError(f"network.start: {start.run} was trained on {what}: {there}; here they are {here}: give the same classes in the same order")
    theirs, mine = ({name: tuple(tensor.shape) for name, tensor in tensors.items()} for tensors in (start.tensors(), network.state_dict()))
    names = [name for name in {**mine, **theirs} if theirs.get(name) != mine.get(name)]
    if names:
        shapes = [f"{name} is {theirs.get(name, 'not there')}, and here {mine.get(name, 'not there')}" for name in names]
        said = _some(list(_apart(start, recipe, "network.")) or shapes)
        raise RecipeError(f"network.start: the weights of {start.run} are of another network: {said}; begin from a run of the same network")


def doubts(start: Start, recipe: Recipe, images: ImageSet, splits: Splits) -> list[str]:
    """Return what may make these weights mean less than they seem to, or the scores more; recipe: with its pixels resolved."""
    said = []
    if fields := [*_apart(start, recipe, "network."), *_apart(start, recipe, "pixels.")]:
        said.append(f"network.start: the weights of {start.run} fit, but were trained otherwise: {_some(fields)}")
    own = images.digests[splits.train]
    for part in ("validation", "test"):
        asked = images.digests[getattr(splits, part)]
        known = int((np.isin(asked, start.trained_on) & ~np.isin(asked, own)).sum())
        if known:
            said.append(
                f"network.start: {start.run} was fitted on {count(known)} of {plural(len(asked), f'{part} image')}: scores on them say nothing of new images; "
                "give both trainings the same parts by split.seed"
            )
    return said


def _settings(recipe: Recipe) -> dict[str, Any]:
    known = {name: value for name, value in recipes.flat(recipe).items() if name.startswith(("network.", "pixels.")) and name not in _NAMES}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in known.items()}


def _apart(start: Start, recipe: Recipe, part: str) -> Iterator[str]:
    """Yield the fields of a part of the recipe in which the two trainings differ."""
    mine = _settings(recipe)
    for name in {**mine, **start.settings}:
        if name.startswith(part) and mine.get(name) != start.settings.get(name):
            yield f"{name} is {start.settings.get(name)!r}, and here {mine.get(name)!r}"


def _some(texts: list[str]) -> str:
    more = f"; and {len(texts) - _SHOWN} more" if len(texts) > _SHOWN else ""
    return "; ".join(texts[:_SHOWN]) + more
