"""A training in so many minutes: how many steps fit is found out before the first one and written into the recipe, so that no clock decides afterwards."""

from __future__ import annotations

import contextlib
import math
import statistics
import time
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from rung.audit.preflight.watch import Enough
from rung.errors import RecipeError
from rung.models.build import flops
from rung.pipeline import execute
from rung.pipeline.preflight.trial import corner
from rung.pipeline.prepare import Prepared, with_train
from rung.training.journal import NoJournal
from rung.training.loop import StepEnd
from rung.words import plural

_FEWEST: Final = 4  # steps that are timed at each size, the first of them not counted: it makes what later ones find made
_ENOUGH_S: Final = 1.5  # seconds of steps after which no more are timed


@dataclass(frozen=True)
class Pace:
    """Seconds of one step, on the mean over the sizes that images rise through, and of one validation (0 without one); operations: of training, a second."""

    step_s: float
    validation_s: float
    operations: float


def paced(prepared: Prepared) -> Pace:
    """Take a few steps, and answer some validation images, on the clock; nothing is kept of them."""
    sizes = prepared.recipe.augment.rising_sizes or (prepared.images.images.shape[1],)
    network, took, done = prepared.network(), [], 0.0
    for size in sizes:
        took.append(_step_s(prepared, size))
        done += 3 * flops(network, prepared.images.images.shape[3], size) * prepared.recipe.train.batch_size
    rows = prepared.splits.validation
    some = rows[: prepared.part("validation").at_once()]
    few = with_train(replace(prepared, splits=replace(prepared.splits, validation=some)), evaluation_views="one")  # as the training validates
    seconds = []
    for _ in range(2 if len(some) else 0):
        started = time.perf_counter()
        execute.predict_part(few, network, "validation")
        seconds.append(time.perf_counter() - started)
    return Pace(statistics.mean(took), min(seconds, default=0.0) * len(rows) / max(len(some), 1), done / sum(took))


def told(prepared: Prepared, minutes: float) -> str:
    """Return in a sentence what minutes became of a training that `in_minutes` cut."""
    train, an_epoch = prepared.recipe.train, steps_per_epoch(prepared)
    cut = ", the last one cut short" if (train.steps or 0) % an_epoch else ""
    return f"{minutes:g} minutes are {plural(train.steps or 0, 'step')} here: {plural(train.epochs, 'epoch')}{cut}"


def steps_per_epoch(prepared: Prepared) -> int:
    return corner(prepared).steps(prepared.recipe.train.batch_size)


def _step_s(prepared: Prepared, size: int) -> float:
    """Return the seconds of one step with images of this size, the augmentation of its images included; the median of a few."""
    ends: list[float] = []
    steps: list[int] = []

    def observe(end: StepEnd) -> None:
        if end.behind:  # on a GPU many steps are told of at once
            return
        ends.append(time.perf_counter())
        steps.append(end.step)
        if len(ends) > _FEWEST and ends[-1] - ends[0] > _ENOUGH_S:
            raise Enough

    augment = prepared.recipe.augment
    fixed = replace(
        prepared,
        recipe=prepared.recipe.model_copy(update={"augment": augment.model_copy(update={"rising_sizes": (size,) if augment.rising_sizes else ()})}),
        own=replace(prepared.own, callbacks=(), metrics=()),
        splits=replace(prepared.splits, validation=prepared.splits.validation[:0]),
    )
    with contextlib.suppress(Enough):
        execute.fit(
            with_train(fixed, steps=None, epochs=_FEWEST + 1, callbacks=(), metrics=(), keep="last", schedule="constant", early_stopping=None),
            NoJournal(),
            observe,
        )
    return float(np.median(np.diff(ends) / np.diff(steps)))


def in_minutes(prepared: Prepared, minutes: float, most_epochs: int | None = None) -> Prepared:
    """Return the training cut to as many steps as fit, with their validations, into the minutes on this machine as it is now.

    most_epochs: where more would be of no use.

    Raises: RecipeError if not one step fits.
    """
    pace = paced(prepared)
    an_epoch = steps_per_epoch(prepared)
    epoch_s = an_epoch * pace.step_s + pace.validation_s
    epochs, rest_s = divmod(minutes * 60, epoch_s)
    steps = int(epochs) * an_epoch + max(0, int((rest_s - pace.validation_s) / pace.step_s))
    if most_epochs is not None:
        steps = min(steps, most_epochs * an_epoch)
    if steps < 1:
        raise RecipeError(
            f"{minutes:g} minutes are not enough for one step and a validation, which take {pace.step_s + pace.validation_s:.2g} s here: give more time"
        )
    return with_train(prepared, steps=steps, epochs=math.ceil(steps / an_epoch))
