"""From a recipe to what training needs: data loaded, parts split, everything that machine or data decide resolved."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from rung import keys
from rung.audit.check import QUICK, check
from rung.audit.problem import Problem
from rung.data import augment as augmentation
from rung.data import load as loading
from rung.data import pixels as pixel_rules
from rung.data.batches import Batches, OnDisk, Rows, held, resident
from rung.data.cache import place
from rung.data.imageset import TEST, VALIDATION, ImageSet
from rung.data.pixels import normalise, to_float
from rung.data.sources import is_name
from rung.data.split import Splits, make_splits
from rung.data.twins import Twins
from rung.data.twins_kept import kept_twins
from rung.errors import DataError, RecipeError, did_you_mean
from rung.evaluate.categories import Categories
from rung.evaluate.categories import parse as parse_categories
from rung.evaluate.costs import parse_costs
from rung.evaluate.predictions import MOST_TRAIN
from rung.models.build import build, flops
from rung.models.fast import FastCNN
from rung.pipeline import starting
from rung.pipeline.own_parts import OwnParts, explained
from rung.recipe import Compute, Data, Recipe, Split
from rung.recipe.idle import idle
from rung.training import memory
from rung.training.process import usable_processors
from rung.training.schedules import total_steps, written_out

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Prepared:
    """All that a training starts from. The recipe is resolved: no "auto" is left in it. costs: float64 (K,K) or None.

    categories: coarser groups of the classes, or None. twins: near-duplicates among the images. problems: what the quick checks of the data found.
    warnings: what of the recipe does nothing, or something else than its words may promise; said before the first step, kept with the run.
    """

    recipe: Recipe
    images: ImageSet
    splits: Splits
    own: OwnParts
    twins: Twins
    problems: tuple[Problem, ...]
    costs: npt.NDArray[np.float64] | None = None
    warnings: tuple[str, ...] = ()
    categories: Categories | None = None

    def device(self) -> torch.device:
        return torch.device(self.recipe.compute.device)

    def network(self) -> nn.Module:
        """Build the network with its first weights, or those of the run that it begins from, on the device, channels last."""
        height, channels = self.images.images.shape[1], self.images.images.shape[3]
        size = self.recipe.augment.crop or height
        network = build(
            self.recipe.network, classes=len(self.images.classes), channels=channels, size=size, seed=self.recipe.seed, own=self.own.network_factory()
        )
        network.to(self.device(), memory_format=torch.channels_last)  # type: ignore[call-overload]
        if self.own.start:
            starting.put_in(self.own.start, network)
        elif isinstance(network, FastCNN):
            some = self.splits.train[:: max(1, len(self.splits.train) // _STEM_IMAGES)]
            network.fit_stem(normalise(to_float(resident(self.images.images[some], self.device())), self.recipe.pixels))
        return network

    def scored(self, name: str) -> Rows:
        """Return the rows of a part that are answered for its scores: all, but of train 10,000 at most where several views of each make that take long.

        They are drawn without the seed: runs with the same parts answer the same ones.
        """
        rows: Rows = getattr(self.splits, name)
        if name != "train" or self.recipe.train.evaluation_views == "one" or len(rows) <= MOST_TRAIN:
            return rows
        return np.sort(rows[keys.permutation(0, "scored rows", 0, len(rows))[:MOST_TRAIN]])

    def part(self, name: str) -> Batches:
        """Return the rows of "train", "validation" or "test" that are scored, as they are, without offline copies."""
        rows = self.scored(name)
        return self._batches(held(self.images.images, rows, self.device()), self.images.labels[rows], rows)

    def training(self, count: int | None = None) -> Batches:
        """Return the training rows, or the first `count` of them, with their offline copies where the recipe asks for them."""
        rows, settings = self.splits.train[:count], self.recipe.augment
        labels = self.images.labels[rows]
        if settings.offline_copies:
            images, copies = self.images.images[rows], self.copies(np.arange(len(rows)))
            labels, rows = np.tile(labels, settings.offline_copies + 1), np.tile(rows, settings.offline_copies + 1)
            return self._batches(resident(np.concatenate([images, copies]), self.device()), labels, rows)
        return self._batches(held(self.images.images, rows, self.device()), labels, rows)

    def copies(self, places: Rows) -> npt.NDArray[np.uint8]:
        """Return the offline copies (M*copies,H,W,C) of the training rows at these places (M,), all rows' first copies before the second ones."""
        images, key = self.images.images[self.splits.train[places]], keys.stream(self.recipe.seed, "offline")
        return augmentation.offline(images, self.recipe.augment, key, self.own.augmentations, places)

    def _batches(self, images: torch.Tensor | OnDisk, labels: np.ndarray, rows: Rows) -> Batches:
        batches = Batches(
            images,
            torch.from_numpy(np.ascontiguousarray(labels)).to(self.device()),
            len(self.images.classes),
            self.recipe.pixels,
            self.recipe.augment,
            self.recipe.seed,
            sources=[self.images.sources[row] for row in rows],
            own_augmentations=self.own.augmentations,
            balanced=self.recipe.train.sampling == "balanced",
            evaluation_batch_size=self.recipe.train.evaluation_batch_size,
            views=self.recipe.train.evaluation_views,
        )
        train = self.recipe.train
        return replace(batches, total_steps=total_steps(train, batches.steps(train.batch_size)))

    def class_weights(self) -> torch.Tensor | None:
        """Return one weight a class, float32 (K,), or None; "balanced": inverse to its share of the training rows, mean 1 over rows."""
        wanted, classes = self.recipe.train.class_weights, self.images.classes
        if wanted == "none":
            return None
        if wanted == "balanced":
            counts = np.bincount(self.images.labels[self.splits.train], minlength=len(classes))
            weights = np.where(counts > 0, counts.sum() / (np.maximum(counts, 1) * (counts > 0).sum()), 0.0)
        else:
            for name in wanted:
                if name not in classes:
                    raise RecipeError(f"train.class_weights names the class '{name}': {did_you_mean(name, classes)}")
            weights = np.array([wanted.get(name, 1.0) for name in classes])
        return torch.from_numpy(weights).float().to(self.device())


def with_train(prepared: Prepared, **settings: Any) -> Prepared:
    """Return the training with other fields of `train`."""
    return replace(prepared, recipe=prepared.recipe.model_copy(update={"train": prepared.recipe.train.model_copy(update=settings)}))


_STEM_IMAGES: Final = 1_000  # about, that the stem of a fast network is fitted on: evenly from the training images, which may be in the order of classes
_CUBLAS: Final = "CUBLAS_WORKSPACE_CONFIG"

# Below this many floating-point operations a step, a second thread gained nothing that was worth a machine that is not quiet (LOG.md).
_WORTH_THREADS = 5e9


def load_images(recipe: Recipe, progress: Progress | None = None) -> ImageSet:
    """Load the data that the recipe names; raises ResourceError if they do not fit into memory."""
    smaller = "fewer or smaller images need less: --set data.per_class=N, --set pixels.size=S"
    with memory.explained("reading the images", smaller):
        return loading.load(recipe.data, recipe.pixels, progress=progress, download_progress=progress, cache=place())


def prepare(recipe: Recipe, images: ImageSet, own: OwnParts, say: Callable[[str], None] = lambda sentence: None) -> Prepared:
    """Split the data and resolve the recipe; say(sentence) hears of trouble that changes no result.

    Raises: DataError where the data cannot be split so, RecipeError where the recipe does not fit the data or the machine.
    """
    twins = kept_twins(images, say)
    splits = divided(recipe, images, twins)
    pixels = pixel_rules.resolved(recipe.pixels, images)
    if pixels.normalise == "standard" and pixels.mean is None:
        mean, deviation = pixel_rules.measure(images.images, splits.train)
        pixels = pixels.model_copy(update={"mean": mean, "deviation": deviation})
    train = written_out(recipe.train)
    size, channels = recipe.augment.crop or images.images.shape[1], images.images.shape[3]
    for side in sorted({min(side, size) for side in (*recipe.augment.rising_sizes, size)}):  # what is too small for the network is refused now
        network = build(recipe.network, classes=len(images.classes), channels=channels, size=side, seed=recipe.seed, own=own.network_factory())
    if own.start:
        starting.check(own.start, network, recipe, images.classes)
    with explained(own):
        step_flops = 3 * flops(network, channels, size) * train.batch_size
    resolved = recipe.model_copy(
        update={
            "pixels": pixels,
            "split": recipe.split.model_copy(update={"seed": split_seed(recipe)}),
            "train": train,
            "compute": resolve_compute(recipe.compute, step_flops),
            "data": _absolute(recipe.data),
        }
    )
    costs = parse_costs(own.costs, images.classes) if own.costs else None
    problems = check(images, splits, twins, seed=recipe.seed, checks=QUICK).problems
    begun = starting.doubts(own.start, resolved, images, splits) if own.start else []
    warnings = (*idle(recipe), *_idle_here(recipe, images, splits), *begun)
    categories = parse_categories(recipe.data.categories, images.classes) if recipe.data.categories else None
    prepared = Prepared(resolved, images, splits, own, twins, problems, costs, warnings, categories)
    prepared.class_weights()  # a class that is not there is found now, not after the run has begun
    return prepared


def divided(recipe: Recipe, images: ImageSet, twins: Twins) -> Splits:
    """Return the parts that a training by this recipe has of these images. Raises: DataError where they cannot be split so."""
    return make_splits(images, recipe.split, split_seed(recipe), twins)


def split_seed(recipe: Recipe) -> int:
    """Return the seed that parts are drawn with: the run's, unless the recipe holds another for them."""
    return recipe.seed if recipe.split.seed is None else recipe.split.seed


def _idle_here(recipe: Recipe, images: ImageSet, splits: Splits) -> list[str]:
    """Return what of a recipe does nothing with these images. Raises: DataError for fewer images than a batch where data.strict is set."""
    said = []
    if len(splits.train) < recipe.train.batch_size:
        few = f"train.batch_size = {recipe.train.batch_size} is more than the {len(splits.train)} training images: each step takes them all"
        if recipe.data.strict:
            raise DataError(f"data.strict allows no warning: {few}")
        said.append(few)
    tests, validations = (images.parts == TEST).sum(), (images.parts == VALIDATION).sum()
    if tests and recipe.split.test_fraction != Split().test_fraction:
        said.append(f"split.test_fraction = {recipe.split.test_fraction} does nothing: the data bring a test part of {tests:,} images")
    drawn = recipe.split.folds is None and not recipe.split.validation_roots
    if drawn and (validations or images.validation_rule == "last_10000") and recipe.split.validation_fraction != Split().validation_fraction:
        said.append(f"split.validation_fraction = {recipe.split.validation_fraction} does nothing: the data say which images validate ({splits.how})")
    return said


def _absolute(data: Data) -> Data:
    """Write folders and files with their whole path: the run can then be done again from anywhere."""
    sources = tuple(str(Path(source).resolve()) if Path(source).exists() and not is_name(source) else source for source in data.sources)
    return data.model_copy(update={"sources": sources})


def resolve_compute(compute: Compute, step_flops: float) -> Compute:
    """Choose device, precision and threads where the recipe leaves them to the machine; step_flops: floating-point operations of one step.

    Raises: RecipeError for a device that torch does not know or that is not there.
    """
    name = compute.device if compute.device != "auto" else "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        raise RecipeError(f"compute.device = '{name}' is not a device: use auto, cpu, cuda or cuda:0") from None
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise RecipeError(f"compute.device = '{name}': torch sees {torch.cuda.device_count()} CUDA devices here; use --set compute.device=cpu")
    if compute.exact:
        _hold_cublas(device)
    precision = compute.precision
    if precision == "auto":
        precision = "bfloat16" if _computes_in_bfloat16(device) else "float32"
    threads = compute.threads
    if threads == "auto":
        threads = usable_processors() if step_flops >= _WORTH_THREADS else 1
    return Compute(device=name, precision=precision, threads=threads, exact=compute.exact)


def _hold_cublas(device: torch.device) -> None:
    """Set what cuBLAS needs to give the same products every time; it is read when CUDA starts.

    Raises: RecipeError if it has started without.
    """
    if device.type == "cuda" and torch.cuda.is_initialized() and _CUBLAS not in os.environ:  # type: ignore[no-untyped-call]
        raise RecipeError(
            f"compute.exact: this process has used the GPU already, and {_CUBLAS} was not set: "
            "set it to :4096:8 before Python starts, or use rung train --exact"
        )
    os.environ.setdefault(_CUBLAS, ":4096:8")


def _computes_in_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    information = Path("/proc/cpuinfo")
    flags = information.read_text() if information.exists() else ""
    return "avx512_bf16" in flags or "amx_bf16" in flags
