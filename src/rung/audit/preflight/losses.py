"""Checks of the loss: its first value, what it asks for, and whether the numbers that a training writes are right."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from rung.audit.preflight import expected
from rung.audit.preflight.outcome import Outcome, concluded, skipped
from rung.audit.preflight.rows import Held
from rung.audit.preflight.watch import Trace
from rung.recipe import Pixels, Train
from rung.training.losses import Loss
from rung.words import plural

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_FIRST = (0.5, 5.0)  # of the loss at uniform answers: first weights of rung's own recipes gave 0.99 to 2.8 of it when this was set
_FEWEST = 8  # images in a step, of which a mean says something: a single one can have any first loss
_SURE = (1.0, 3.0, 10.0, 30.0)  # logits of the named class, all others 0
_CLASSES = 50  # classes that answers are tried for, at most
_NEAR = 2e-4  # relative difference of two float32 means


def first_loss(trace: Trace, labels: Ints, weights: Floats, train: Train, loss: Loss) -> Outcome:
    """The loss of the first step is near that of uniform answers (ln K for cross-entropy): nothing is known yet, and nothing is far off.

    labels: those of the first step's images, as the files give them, int64 (N,); weights: of the classes, (K,).
    """
    if len(labels) < _FEWEST:
        return skipped("first-loss", f"The first step has {plural(len(labels), 'image')}: fewer than {_FEWEST}, so its loss is a matter of chance.")
    classes = len(weights)
    uniform = expected.loss_values(train, loss, torch.zeros(len(labels), classes), labels)
    wanted = float((uniform * weights[labels]).mean())
    found = trace.losses[0]
    low, high = (factor * wanted for factor in _FIRST)
    whose = f"ln {classes}" if train.loss == "cross_entropy" and (weights == 1).all() else "uniform answers"
    problems = [] if low <= found <= high else [f"The first loss is {found:.4g}; uniform answers have {wanted:.4g}, and {low:.4g} to {high:.4g} is usual."]
    return concluded(
        "first-loss",
        f"{found:.4g} ({whose}: {wanted:.4g})",
        f"The first loss is {found:.4g}, near the {wanted:.4g} of uniform answers.",
        problems,
        "Too high: a loss that is summed and not averaged, values that are not scaled (pixels.normalise), first weights that are too large. "
        "Too low: the answer is in the input, or the loss does not look at it.",
        loss=found,
        uniform=wanted,
    )


def loss_encoding(train: Train, loss: Loss, classes: int, trace: Trace) -> Outcome:
    """The loss wants the class that the label names: it is lowest where that class is answered surely, falls on the way there, and is a mean."""
    tried = min(classes, _CLASSES)
    table, sums = _table(loss, classes, tried), _summed(loss, classes, tried)
    problems = []
    others = np.where(np.eye(tried, dtype=bool), np.inf, table)
    wrong = np.flatnonzero(np.diag(table) >= others.min(axis=1) * (1 - _NEAR))
    if len(wrong):
        first = int(wrong[0])
        problems.append(
            f"For {len(wrong)} of {tried} labels the loss is not lowest where the answer is the label: for label {first} it is {table[first, first]:.4g} when "
            f"{first} is answered and {others[first].min():.4g} when {int(others[first].argmin())} is."
        )
    sure = [float(loss(torch.eye(classes)[:tried] * scale, torch.arange(tried)).double().mean()) for scale in (0.0, *_SURE)]
    if not len(wrong) and not min(sure) < sure[0]:
        problems.append(f"A sure right answer has no lower loss ({min(sure):.4g}) than uniform ones ({sure[0]:.4g}).")
    floor = _floor(train, classes)
    twice = math.log(1 + (classes - 1) / math.e)
    if floor is not None and min(sure) > floor + 0.05 * (sure[0] - floor):
        problems.append(f"The loss of right answers comes down to {min(sure):.4g} and should to {floor:.4g}.")
    elif floor is None and abs(min(sure) - twice) < 0.01 * twice:
        problems.append(f"The loss of right answers comes down to {min(sure):.4g} only, which is what a softmax applied twice leaves.")
    if sums > 1.5:
        problems.append(f"The loss of twice as many images is {sums:.3g} times as large: it is summed, not averaged.")
    problems += _no_logits(trace)
    return concluded(
        "loss-encoding",
        f"{tried - len(wrong)} of {tried} labels; {sure[0]:.4g} down to {min(sure):.4g}",
        f"For all of {tried} labels the loss is lowest where the label is answered; right answers bring it from {sure[0]:.4g} to {min(sure):.4g}.",
        problems,
        "Labels come as int64 (N,), or as shares (N,K) with mixup and cutmix; answers as logits. A loss that compares values needs the labels as one-hot "
        "rows, and a softmax belongs into the loss or into the network, not into both.",
        labels=tried,
        wrong=len(wrong),
        uniform=sure[0],
        lowest=min(sure),
    )


def _table(loss: Loss, classes: int, tried: int) -> Floats:
    """Return the loss of each label (row) when each class (column) is answered surely, (L,L), each asked alone so that no other image plays a part."""
    answers = torch.eye(classes)[:tried] * _SURE[1]
    return np.array([[float(loss(answers[column : column + 1], torch.tensor([row]))[0]) for column in range(tried)] for row in range(tried)])


def _summed(loss: Loss, classes: int, tried: int) -> float:
    """Return how much larger the mean loss of the same images is when they are there twice: 1 for a mean."""
    answers, labels = torch.eye(classes)[:tried].roll(1, 0), torch.arange(tried)
    once, twice = float(loss(answers, labels).mean()), float(loss(answers.repeat(2, 1), labels.repeat(2)).mean())
    return twice / once if once else 1.0


def _floor(train: Train, classes: int) -> float | None:
    """Return the lowest loss there is by the definition of the recipe's loss, None for an own one."""
    label = np.zeros(1, dtype=np.int64)
    best = [expected.losses(train, np.eye(classes)[:1] * scale, label) for scale in _SURE]
    return None if best[0] is None else min(float(values[0]) for values in best if values is not None)


def _no_logits(trace: Trace) -> list[str]:
    """Say whether what the network answers is a softmax already."""
    answers = torch.cat([forward.logits for forward in trace.forwards])
    if answers.shape[1] > 1 and answers.min() >= 0 and (answers.sum(dim=1) - 1).abs().max() < 0.01:
        return ["The network's answers are not negative and sum to 1: it ends with a softmax, and the loss applies one again."]
    return []


@dataclass(frozen=True)
class _Step:
    """One step worked out again: its epoch, its images, how many were answered rightly, its mean loss as told and as it is."""

    epoch: int
    images: int
    correct: int
    told: float
    right: float


def loss_numbers(trace: Trace, few: Held, chosen: Held, weights: Floats, train: Train, loss: Loss, pixels: Pixels) -> Outcome:
    """The losses and accuracies that the loop uses and writes are those of its images and their labels, worked out again.

    few, chosen: training and validation rows of the watched training; weights: of the classes, (K,).
    """
    fitted = [forward for forward in trace.forwards if forward.training]
    if len(fitted) != len(trace.losses):
        return skipped("loss-numbers", f"{len(trace.losses)} steps called the network {len(fitted)} times in training mode, so they cannot be paired.")
    steps = []
    for forward, told in zip(fitted, trace.losses, strict=True):
        labels = expected.labels_of(expected.digests(forward.images, pixels), few.images, few.labels)
        if (labels < 0).any():
            return skipped("loss-numbers", "The images that the network is given are not the stored ones, so their losses cannot be worked out.")
        values = expected.loss_values(train, loss, forward.logits, labels) * weights[labels]
        correct = int((forward.logits.argmax(1).numpy() == labels).sum())
        steps.append(_Step(forward.epoch, len(labels), correct, told, float(values.mean())))
    pairs = [(f"loss of step {number + 1}", step.told, step.right) for number, step in enumerate(steps)]
    for epoch, row in enumerate(trace.rows):
        pairs += _of_epoch(epoch, row, [step for step in steps if step.epoch == epoch])
        pairs += _of_validation(epoch, row, trace, chosen, train, loss)
    off = [abs(told - right) / max(abs(right), 1e-3) for _, told, right in pairs]
    problems = [
        f"The {name} is {told:.5g}; worked out from its images it is {right:.5g}." for (name, told, right), far in zip(pairs, off, strict=True) if far > _NEAR
    ]
    return concluded(
        "loss-numbers",
        f"{len(pairs)} numbers, off by {max(off):.0e} at most",
        f"{len(pairs)} losses and accuracies of {len(steps)} steps and {len(trace.rows)} epochs are those of their images "
        f"(largest relative difference {max(off):.0e}).",
        problems[:3] + ([f"So are {len(problems) - 3} more."] if len(problems) > 3 else []),
        "Look at how losses are averaged and weighted by class, and at what the answers are compared with.",
        compared=len(pairs),
        wrong=len(problems),
        difference=max(off),
    )


def _of_epoch(epoch: int, row: Mapping[str, Any], steps: list[_Step]) -> Iterator[tuple[str, float, float]]:
    """Give (name, as written, as it is) of the numbers of an epoch's training."""
    images = sum(step.images for step in steps)
    yield f"train_loss of epoch {epoch + 1}", row["train_loss"], sum(step.right * step.images for step in steps) / max(images, 1)
    yield f"train_accuracy of epoch {epoch + 1}", row["train_accuracy"], sum(step.correct for step in steps) / max(images, 1)


def _of_validation(epoch: int, row: Mapping[str, Any], trace: Trace, chosen: Held, train: Train, loss: Loss) -> Iterator[tuple[str, float, float]]:
    """Give (name, as written, as it is) of the numbers of an epoch's validation, if there was one of all rows."""
    answers = [forward.logits for forward in trace.forwards if not forward.training and forward.epoch == epoch]
    if sum(len(logits) for logits in answers) != len(chosen) or not len(chosen):
        return
    logits = torch.cat(answers)
    yield f"validation_loss of epoch {epoch + 1}", row["validation_loss"], float(expected.loss_values(train, loss, logits, chosen.labels).mean())
    yield f"validation_accuracy of epoch {epoch + 1}", row["validation_accuracy"], float((logits.argmax(1).numpy() == chosen.labels).mean())
