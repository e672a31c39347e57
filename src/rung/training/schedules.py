"""The course of the learning rate, as pure functions of the step: nothing to save but the plateau's three numbers.

The rate of a step is base * rate_factor(..) * plateau.factor, base being `train.learning_rate` or the optimizer's default.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from rung.errors import RecipeError
from rung.recipe import Train
from rung.training.optimizer_defaults import default_rate, resolved

ONE_CYCLE_CLIMB_FRACTION = 0.3
ONE_CYCLE_START = 1 / 25
ONE_CYCLE_END = 1 / 250_000
PLATEAU_DELTA = 1e-4  # Keras' min_delta: a smaller gain does not count


def rate_factor(train: Train, step: int, total_steps: int, steps_per_epoch: int) -> float:
    """Return the factor (0..1] on the base rate for step 0..total_steps-1.

    constant: 1. step: drop_factor to the power of epochs // step_epochs. cosine: from 1 to minimum_rate / base, half a wave over the
    steps after the warm-up. plateau: 1, the loop multiplies by `Plateau.factor`. These begin with a linear climb over the first
    w = round(warmup_fraction * total_steps) steps: (step + 1) / (w + 1).
    one_cycle (Smith and Topin 2017, linear): from 1/25 up to 1 over the first warmup_fraction of the steps, then down to 1/250,000 at
    the last; torch's OneCycleLR with anneal_strategy="linear".

    Raises: RecipeError if minimum_rate is above the base rate.
    """
    if train.schedule == "one_cycle":
        return _one_cycle(step, total_steps, warmup_fraction(train))
    warmup_steps = round(warmup_fraction(train) * total_steps)
    if step < warmup_steps:
        return (step + 1) / (warmup_steps + 1)
    if train.schedule == "step":
        return float(train.drop_factor ** (step // steps_per_epoch // train.step_epochs))
    if train.schedule == "cosine":
        lowest = lowest_factor(train)
        done = (step - warmup_steps) / (total_steps - warmup_steps)
        return lowest + (1 - lowest) * (1 + math.cos(math.pi * done)) / 2
    return 1.0


def total_steps(train: Train, steps_per_epoch: int) -> int:
    """Return the steps of a training that nothing stops early."""
    return train.steps if train.steps is not None else train.epochs * steps_per_epoch


def warmup_fraction(train: Train) -> float:
    """Return the share of the steps in which the rate climbs: the recipe's own, else 0.3 for one_cycle and 0 for the others."""
    if train.warmup_fraction is not None:
        return train.warmup_fraction
    return ONE_CYCLE_CLIMB_FRACTION if train.schedule == "one_cycle" else 0.0


def written_out(train: Train) -> Train:
    """Return `train` with what optimizer and schedule take where it is not set: nothing is left to a default that a later version may change."""
    return resolved(train).model_copy(update={"warmup_fraction": warmup_fraction(train)})


def lowest_factor(train: Train) -> float:
    """Return minimum_rate as a factor of the base rate.

    Raises: RecipeError if it is above the base rate.
    """
    base = default_rate(train)
    if train.minimum_rate > base:
        raise RecipeError(f"train.minimum_rate = {train.minimum_rate} is above the learning rate {base}: lower it, or raise train.learning_rate")
    return train.minimum_rate / base


def _one_cycle(step: int, total_steps: int, climb_fraction: float) -> float:
    top, last = climb_fraction * total_steps - 1, total_steps - 1
    if top > 0 and step <= top:
        return ONE_CYCLE_START + (1 - ONE_CYCLE_START) * step / top
    top = max(top, 0.0)
    return 1.0 if last <= top else 1 + (ONE_CYCLE_END - 1) * (step - top) / (last - top)


@dataclass(frozen=True)
class Plateau:
    """State of `schedule = "plateau"`: the best value so far (None: none yet), epochs since then, factor on the rate."""

    best: float | None = None
    bad_epochs: int = 0
    factor: float = 1.0

    def update(self, value: float, train: Train) -> Plateau:
        """Return the state after an epoch whose monitored value was `value` (lower is better: an accuracy comes negated).

        By the rules of Keras' ReduceLROnPlateau with no cooldown: a value is better if it gains more than 1e-4 on the best; after
        plateau_patience epochs without one the factor falls by drop_factor, not below minimum_rate. Not-a-number is never better.

        Raises: RecipeError if minimum_rate is above the base rate.
        """
        lowest = lowest_factor(train)
        if not math.isnan(value) and (self.best is None or value < self.best - PLATEAU_DELTA):
            return replace(self, best=value, bad_epochs=0)
        bad_epochs = self.bad_epochs + 1
        if bad_epochs >= train.plateau_patience and self.factor > lowest:
            return replace(self, bad_epochs=0, factor=max(self.factor * train.drop_factor, lowest))
        return replace(self, bad_epochs=bad_epochs)
