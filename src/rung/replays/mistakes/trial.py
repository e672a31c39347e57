"""What the replays of mistakes are made with: images in parts, trainings in memory or in a run folder that is thrown away, and what rung says meanwhile.

No image of an official test part is used: where an author's test set plays a part, it is cut from the training images.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from rung import keys, studies, workbench
from rung.audit.preflight.outcome import Outcome
from rung.data.batches import Batches
from rung.data.imageset import TEST, TRAIN, VALIDATION, ImageSet
from rung.errors import DataError, RunError, RungError
from rung.evaluate.metrics import score
from rung.evaluate.predictions import Predictions
from rung.pipeline import execute, reporting
from rung.pipeline.prepare import Prepared, resolve_compute
from rung.pipeline.ready import ready, recipe_named
from rung.recipe import CNN, MLP, Compute, Recipe, change, flat
from rung.replays.mistakes.record import Said, Size
from rung.reports.finding import Finding
from rung.reports.findings import findings
from rung.store.run import Run
from rung.study.ladder import Ladder
from rung.training.environment import environment
from rung.training.journal import NoJournal
from rung.training.losses import build_loss
from rung.training.optimizer_defaults import default_rate
from rung.training.process import computing, random_states_kept
from rung.training.steps import PlainStep, Work
from rung.words import listing

Settings = Mapping[str, Any]
Rows = npt.NDArray[np.int64]

_TRAINED_ON: Final = 0.8  # of the training rows of a data set: the rest, the last ones, are for validation, as is customary for CIFAR
_THINNER: Final = 4
_THREADS: Final = 1
_FACTS: Final = ("processor", "device", "device_name", "torch", "rung", "threads")


@lru_cache(maxsize=2)
def _loaded(name: str, grey: bool) -> ImageSet:
    return workbench.load(name, grey=grey)


def parted(images: ImageSet, train: int, validation: int, test: int = 0) -> ImageSet:
    """Return training images of a set alone, in parts of these sizes, the classes as even as they are there; `test` plays the author's test set.

    Validation is taken from the last fifth of the rows, the others from those before. Raises: DataError where there are too few.
    """
    rows = np.flatnonzero(images.parts == TRAIN)
    cut = round(_TRAINED_ON * len(rows))
    first, last = (_by_turn(images, part) for part in (rows[:cut], rows[cut:]))
    if train + test > len(first) or validation > len(last):
        raise DataError(f"{train:,} training, {validation:,} validation and {test:,} test images are asked of {len(rows):,} training rows: ask for fewer")
    chosen = np.concatenate([first[:train], last[:validation], first[len(first) - test :]])
    parts = np.repeat(np.array([TRAIN, VALIDATION, TEST], np.int8), [train, validation, test])
    return replace(images.take(chosen), parts=parts, validation_rule="fraction")


def _by_turn(images: ImageSet, rows: Rows) -> Rows:
    """Return rows so that the classes take turns, each in its order."""
    turn = np.zeros(len(rows), np.int64)
    for label in np.unique(images.labels[rows]):
        members = images.labels[rows] == label
        turn[members] = np.arange(members.sum())
    return rows[np.argsort(turn, kind="stable")]


@dataclass(frozen=True)
class Trained:
    """A training that was kept in memory: its rows, one an epoch, and the network with the weights that the recipe keeps."""

    prepared: Prepared
    network: nn.Module
    rows: Sequence[Mapping[str, Any]]

    def answers(self, part: str) -> Predictions:
        return execute.predict_part(self.prepared, self.network, part)

    def accuracy(self, part: str = "validation") -> float:
        return value_of(score(self.answers(part)).accuracy.value)

    def macro_f1(self, part: str = "validation") -> float:
        return value_of(score(self.answers(part)).macro_f1.value)


@dataclass(frozen=True)
class Folder:
    """A training by `rung.train` in a folder that is there for a while: its rows, scores and findings."""

    run: Run
    rows: Sequence[Mapping[str, Any]]
    scores: Mapping[str, Any]
    found: Sequence[Finding]

    def said(self, kind: str) -> tuple[Said, ...]:
        """Return the sentences of the report of one kind."""
        return tuple(Said("report", one.sentence) for one in self.found if one.kind == kind)


def value_of(value: float | None) -> float:
    """Return a score. Raises: RunError where it is not defined, as on no images."""
    if value is None:
        raise RunError("a score of this replay is not defined: ask for more images")
    return value


@dataclass(frozen=True)
class Trial:
    """One replay: how much it trains, and what is told while it does. prepared_on: the device and threads that what it prepared trains with."""

    size: Size
    say: Callable[[str], None] = field(default=lambda sentence: None)
    prepared_on: list[Compute] = field(default_factory=list)

    def environment(self) -> dict[str, Any]:
        """Return what the figures were measured on: as the last recipe that was prepared says, or as the machine resolves "auto" where runs did it alone."""
        compute = self.prepared_on[-1] if self.prepared_on else resolve_compute(Compute(threads=_THREADS), 0.0)
        facts = environment(compute.device) | {"threads": compute.threads}
        return {name: facts[name] for name in _FACTS if facts[name] is not None}

    @property
    def seeds(self) -> range:
        return range(self.size.seeds)

    @property
    def asked(self) -> int:
        """How many images of each other part are asked: a quarter of the training images, 10,000 at most."""
        return min(10_000, max(self.size.images // 4, 50))

    def omnivores(self, *, test: int = 0) -> ImageSet:
        """Return the five species of CIFAR-100 in parts of the size of this replay."""
        return parted(_loaded("cifar100:large_omnivores_and_herbivores", False), self.size.images, self.asked, test)

    def cifar10(self, *, grey: bool = False, test: int = 0) -> ImageSet:
        """Return CIFAR-10 in parts of the size of this replay."""
        return parted(_loaded("cifar10", grey), self.size.images, self.asked, test)

    def recipe(self, name: str, settings: Settings | None = None) -> Recipe:
        """Return a recipe at the size of this replay: unless it is the author's, with a quarter of the filters and batch norm that settles in few steps."""
        recipe = recipe_named(name)
        small: dict[str, Any] = {"train.epochs": self.size.epochs, "compute.threads": _THREADS, "pixels.colour": "auto", "split.test_fraction": 0.0}
        if not self.size.author and isinstance(recipe.network, CNN | MLP):
            small["network.defaults"] = "torch"
            for key in ("filters", "dense"):
                if widths := flat(recipe).get(f"network.{key}"):
                    small[f"network.{key}"] = tuple(max(8, width // _THINNER) for width in widths)
            if not _has_norm(recipe.network):
                del small["network.defaults"]
        return change(recipe, {**small, **(settings or {})})

    def prepared(self, images: ImageSet, recipe: Recipe, heard: list[str] | None = None, **own: Any) -> Prepared:
        """Return what `rung train` would start from; heard: gets what it says before the first step."""
        say = heard.append if heard is not None else lambda sentence: None
        made = ready(images, recipe, {}, own, None, say, classes=None, size=None, grey=False)
        self.prepared_on.append(made.recipe.compute)
        return made

    def trained(self, prepared: Prepared, seed: int, network: nn.Module | None = None, observe: execute.Observe | None = None) -> Trained:
        """Train in memory with a seed; network: one that has weights already; observe(step): called after each step."""
        journal = NoJournal()
        seeded = replace(prepared, recipe=prepared.recipe.model_copy(update={"seed": seed}))
        self.say(f"training {seeded.recipe.name} with seed {seed}: {len(prepared.splits.train):,} images, {prepared.recipe.train.epochs} epochs")
        made, _ = execute.fit(seeded, journal, observe, network)
        return Trained(seeded, made, tuple(journal.rows))

    def each_seed(self, prepared: Prepared) -> list[Trained]:
        """Train with each seed of this replay."""
        return [self.trained(prepared, seed) for seed in self.seeds]

    def preflight(self, images: ImageSet, recipe: Recipe, check: str) -> Said:
        """Return what a check of `rung preflight` says, however it ended."""
        self.say(f"pre-flight of {recipe.name}")
        outcome = next(one for one in workbench.preflight(images, recipe).outcomes if one.check == check)
        return Said(f"rung preflight, {check}: {outcome.state}", f"{outcome.sentence} {outcome.advice}".strip())

    @contextmanager
    def folder(self, images: ImageSet, recipe: Recipe, seed: int = 0) -> Iterator[Folder]:
        """Train by `rung.train` and give the run with what its report says."""
        self.say(f"training {recipe.name} with seed {seed} in a run folder: {recipe.train.epochs} epochs")
        with tempfile.TemporaryDirectory() as out:
            run = workbench.train(images, recipe, seed=seed, out=out, name=recipe.name)
            yield Folder(run, tuple(run.read_rows()), run.read_scores(), tuple(findings(reporting.report_input(run))))

    def compared(self, images: ImageSet, recipes: Sequence[Recipe]) -> Said:
        """Return how rung refuses to rank runs of these recipes, each trained for an epoch."""
        with self._runs(images, recipes) as runs:
            return refused("rung compare", lambda: studies.compare(runs))

    def told_apart(self, images: ImageSet, recipes: Sequence[Recipe]) -> tuple[Said, ...]:
        """Return what rung calls runs of these recipes where they stand beside each other: the settings in which they differ."""
        with self._runs(images, recipes) as runs:
            groups = studies.compare(runs).groups
            return tuple(Said("rung compare", f"{group.name}: {listing([f'{name} = {value}' for name, value in group.settings.items()])}") for group in groups)

    @contextmanager
    def _runs(self, images: ImageSet, recipes: Sequence[Recipe]) -> Iterator[list[Run]]:
        with tempfile.TemporaryDirectory() as out:
            short = [change(recipe, {"train.epochs": 1}) for recipe in recipes]
            yield [workbench.train(images, recipe, out=out, name=f"run-{number}") for number, recipe in enumerate(short, 1)]

    def ladder(self, images: ImageSet, recipe: str, settings: Settings, steps: Sequence[Mapping[str, Any]], metric: str = "accuracy") -> Ladder:
        """Climb a ladder on these images with the seeds of this replay, two at least."""
        start = {name: value for name, value in flat(self.recipe(recipe)).items() if value != flat(recipe_named(recipe))[name]}
        fixed = {name: value for name, value in start.items() if name != "pixels.colour"}
        with tempfile.TemporaryDirectory() as out:
            data = Path(out) / "images.npz"
            write_arrays(data, images)
            self.say(f"climbing a ladder of {len(steps)} steps")
            alike = {**fixed, **settings}
            return studies.ladder(steps, data=str(data), recipe=recipe, settings=alike, metric=metric, seeds=max(2, self.size.seeds), out=out, workers=1)


def on_batches(prepared: Prepared, batches: Batches, seed: int) -> tuple[Trained, int]:
    """Train for the recipe's epochs on batches that somebody else makes, as Keras does; returns the network and the steps that were taken.

    Plain steps at the base rate, with the recipe's optimizer, loss and clipping: no schedule, no early stopping, no moving average, no check after an epoch,
    and the weights of the last step, whatever train.keep says. So two such trainings may be compared with each other only.
    """
    recipe = prepared.recipe.model_copy(update={"seed": seed})
    prepared, train, taken = replace(prepared, recipe=recipe), recipe.train, 0
    rate = default_rate(train)
    with random_states_kept(recipe.compute), computing(recipe.compute):
        network = prepared.network()
        step = PlainStep(Work.of(network, train, build_loss(train), recipe.compute.precision, None), guarded=True)
        network.train()
        for epoch in range(train.epochs):
            for batch in batches.training(epoch, train.batch_size):
                torch.manual_seed(keys.torch_seed(seed, "dropout", taken))
                step.take(batch, rate)
                taken += 1
    return Trained(prepared, network, ()), taken


def write_arrays(path: Path, images: ImageSet) -> None:
    """Write the training and validation images of a set as .npz."""
    train, validation = (np.flatnonzero(images.parts == part) for part in (TRAIN, VALIDATION))
    arrays = {"x_train": train, "x_validation": validation}
    labels = {name.replace("x_", "y_"): images.labels[rows] for name, rows in arrays.items()}
    np.savez(path, **{name: images.images[rows] for name, rows in arrays.items()}, **labels, classes=np.array(images.classes))  # type: ignore[arg-type]


def _has_norm(network: CNN | MLP) -> bool:
    return network.dense_batch_norm or (isinstance(network, CNN) and network.batch_norm != "none")


def refused(where: str, call: Callable[[], object]) -> Said:
    """Return the sentence by which rung refuses a call. Raises: RunError if it does not: then the lesson is not true any more."""
    try:
        call()
    except RungError as error:
        return Said(where, str(error))
    raise RunError(f"{where}: this is not refused any more, so the lesson of this mistake is out of date: leave it out by naming the others")


def failed(outcome: Outcome) -> tuple[Said, ...]:
    """Return what a pre-flight check says, if it failed."""
    return (Said(f"rung preflight, {outcome.check}: failed", f"{outcome.sentence} {outcome.advice}"),) if outcome.state == "failed" else ()


def heard_of(heard: Sequence[str], word: str, where: str = "rung train") -> tuple[Said, ...]:
    """Return the sentences that hold a word, of those that were heard."""
    return tuple(Said(where, sentence) for sentence in heard if word in sentence)
