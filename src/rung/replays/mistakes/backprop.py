"""The mistakes of S2, the backpropagation assignment: epochs of one step, a test set that chose, augmentation that was credited and not there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, replace
from itertools import islice

import numpy as np
import torch

from rung.audit.preflight import augmenting, rows
from rung.data.batches import Batch, Batches
from rung.data.imageset import TEST, VALIDATION, ImageSet
from rung.pipeline.preflight import trainings
from rung.pipeline.prepare import Prepared
from rung.replays.mistakes.record import Figure, Found, Leads
from rung.replays.mistakes.trial import Trial, failed, heard_of, on_batches

_MOVED = {"augment.flip_horizontal": True, "augment.rotation_degrees": 10.0, "augment.shift_fraction": 0.1, "augment.fill": "edge"}


class RunsDry(Batches):
    """Batches as the author's generator gave them: asked for N // batch steps an epoch it held one more, which was all of every second epoch."""

    def training(self, epoch: int, batch_size: int, first_step: int = 0) -> Iterator[Batch]:
        whole, steps = super().training(epoch // 2, batch_size, first_step), len(self) // batch_size
        yield from islice(whole, *((steps,) if epoch % 2 == 0 else (steps, None)))


def _dry(batches: Batches) -> RunsDry:
    return RunsDry(**{field.name: getattr(batches, field.name) for field in fields(batches)})


def one_step_epochs(trial: Trial) -> Found:
    """Train as many epochs on batches that run dry in every second one, and on whole ones."""
    prepared = trial.prepared(trial.cifar10(), trial.recipe("backprop_mlp", {"augment.offline_copies": 0}))
    measured: dict[str, list[tuple[float, float]]] = {"dry": [], "whole": []}
    for seed in trial.seeds:
        trial.say(f"{prepared.recipe.train.epochs} epochs that run dry, and as many whole ones, with seed {seed}")
        for name in measured:
            batches = prepared.training()
            trained, steps = on_batches(prepared, _dry(batches) if name == "dry" else batches, seed)
            measured[name].append((trained.accuracy(), float(steps)))
    train = prepared.recipe.train
    few = trainings.few_rows(prepared)
    told = rows.rows_once(_dry(prepared.training()), len(prepared.splits.train), train.batch_size, few.trace, few.held("train"), prepared.recipe.pixels)

    def figures(name: str, what: str) -> tuple[Figure, ...]:
        accuracies, steps = zip(*measured[name], strict=True)
        return (
            Figure(f"validation accuracy after {train.epochs} epochs {what}", accuracies),
            Figure(f"steps that these {train.epochs} epochs took", steps, "count"),
        )

    return Found(figures("dry", "of which every second is one step"), figures("whole", "that are whole"), failed(told), leads=Leads("lower"))


def _choosing(images: ImageSet) -> ImageSet:
    """Return a set in which the images that choose, VALIDATION, are those of the test part too, as the author's were."""
    kept, test = np.flatnonzero(images.parts != VALIDATION), np.flatnonzero(images.parts == TEST)
    doubled = images.take(np.concatenate([kept, test]))
    sources = (*doubled.sources[: len(kept)], *(f"{source} again" for source in doubled.sources[len(kept) :]))
    return replace(doubled, sources=sources, parts=np.concatenate([images.parts[kept], np.full(len(test), VALIDATION, np.int8)]))


def test_as_validation(trial: Trial) -> Found:
    """Let a test set choose epoch, rate and end of the training, and score the same weights on it and on images that chose nothing."""
    images, recipe = trial.cifar10(test=trial.asked), trial.recipe("backprop_cnn", {"train.keep": "best"})
    heard: list[str] = []
    trial.prepared(_choosing(images), recipe, heard)
    tests, fresh = (np.flatnonzero(images.parts == part) for part in (TEST, VALIDATION))
    parts = images.parts.copy()
    parts[tests], parts[fresh] = VALIDATION, TEST
    prepared = trial.prepared(replace(images, parts=parts), recipe)
    trained = trial.each_seed(prepared)
    with trial.folder(replace(images, parts=parts), recipe) as ran:
        said = ran.said("scored_weights")
    return Found(
        wrong=(Figure(f"accuracy on the {len(tests):,} test images that chose the epoch and ended the training", tuple(one.accuracy() for one in trained)),),
        right=(Figure(f"accuracy of the same weights on {len(fresh):,} images that chose nothing", tuple(one.accuracy("test") for one in trained)),),
        said=(*heard_of(heard, "exact-duplicates"), *said),
        leads=Leads("higher", same=True),
    )


def augmentation_not_there(trial: Trial) -> Found:
    """Train as the author did, without augmentation, and as his text says; a check that is asked about the first says what it found."""
    images = trial.cifar10()
    plain, moved = (trial.prepared(images, trial.recipe("backprop_cnn", settings)) for settings in ({}, _MOVED))
    given = {name: _given(one) for name, one in (("plain", plain), ("moved", moved))}
    both = {name: tuple(one.accuracy() for one in trial.each_seed(prepared)) for name, prepared in (("plain", plain), ("moved", moved))}
    return Found(
        wrong=(
            Figure("validation accuracy as it ran, without augmentation", both["plain"]),
            Figure("share of the images in its first steps that augmentation had changed", (given["plain"],)),
        ),
        right=(
            Figure("validation accuracy with the augmentation that the text credits", both["moved"]),
            Figure("share of the images in its first steps that augmentation had changed", (given["moved"],)),
        ),
        said=(trial.preflight(images, plain.recipe, "augmentation-acts"),),
        leads=Leads("lower"),
    )


def _given(prepared: Prepared) -> float:
    """Return which share of the images that the first batches give to the network is not as it is stored; `normalise` is "unit", so 0..1 on both sides."""
    stored = torch.from_numpy(prepared.images.images[prepared.splits.train]).permute(0, 3, 1, 2).float() / 255
    seen = [batch for batch in islice(prepared.training().training(0, prepared.recipe.train.batch_size), 5)]
    return float(np.concatenate([augmenting.changed(batch.images, stored[batch.rows]) for batch in seen]).mean())
