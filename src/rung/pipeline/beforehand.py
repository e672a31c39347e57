"""What can be found before a run's folder is made: what training builds is built, and the user's own parts are tried on two images."""

from __future__ import annotations

import inspect

import numpy as np
import torch

from rung import keys
from rung.errors import RecipeError
from rung.own import Own, number
from rung.pipeline import own_parts
from rung.pipeline.prepare import Prepared
from rung.training import memory
from rung.training.losses import build_loss
from rung.training.optimizers import build_optimizers, penalised
from rung.training.process import computing, random_states_kept
from rung.training.schedules import lowest_factor


def check(prepared: Prepared) -> None:
    """Build optimizers, loss and schedule, augment two images, and try the user's own parts.

    Raises: RecipeError saying what does not fit, RunError where own code fails.
    """
    recipe, own = prepared.recipe, prepared.own
    own_parts.check_read(part for _, part in own.all())
    with random_states_kept(recipe.compute), computing(recipe.compute), memory.in_steps(recipe), own_parts.explained(own):
        network = prepared.network()
        build_optimizers(network, recipe.train)
        penalised(network, recipe.train)
        lowest_factor(recipe.train)
        loss = build_loss(recipe.train, own.loss)
        batch = next(prepared.training(2).training(0, 2))
        if own.network or own.loss:
            torch.manual_seed(keys.torch_seed(recipe.seed, "trial"))
            answers = network(batch.images).float()
            (loss(answers, batch.targets) + loss(answers, batch.labels)).mean().backward()  # type: ignore[no-untyped-call]
        _try_metrics(prepared)
    for callback in own.callbacks:
        _check_takes_one(callback)


def _try_metrics(prepared: Prepared) -> None:
    """Give each own metric the labels that it will be given, and answers drawn at random."""
    rows = prepared.splits.validation if len(prepared.splits.validation) else prepared.splits.train
    row_keys = keys.row_keys(keys.stream(prepared.recipe.seed, "trial answers"), rows)
    drawn = np.stack([keys.uniform(row_keys, label) for label in range(len(prepared.images.classes))], axis=1) + 2.0**-24
    for metric in prepared.own.metrics:
        number(metric.name, metric(drawn / drawn.sum(axis=1, keepdims=True), prepared.images.labels[rows]))


def _check_takes_one(callback: Own) -> None:
    try:
        inspect.signature(callback.call).bind(None)
    except TypeError as error:
        raise RecipeError(
            f"your callback '{callback.name}' must take one argument, the end of an epoch ({error}): write it as def {callback.name}(end): .."
        ) from None
    except ValueError:
        return  # written in C: it does not say what it takes
