"""The short trainings that a pre-flight watches. Their lengths are counted in steps and images, never in seconds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from torch import nn

from rung import keys
from rung.audit.preflight.learning import LEARNT, Try
from rung.audit.preflight.rows import Held
from rung.audit.preflight.watch import Enough, Trace, Watch
from rung.errors import ResourceError, RungError
from rung.evaluate.predictions import Predictions
from rung.own import Own
from rung.pipeline import execute, own_parts
from rung.pipeline.preflight import trial
from rung.pipeline.prepare import Prepared, with_train
from rung.training.journal import NoJournal
from rung.training.loop import EpochEnd, TrainResult

_SMALLEST = 8  # images in a batch, of large ones
_FEW_BATCH, _FEW_EPOCHS, _FEW_CHOSEN = 16, 3, 40
_FIRST_IMAGES, _FEWEST_STEPS, _MOST_STEPS, _FIRST_CHOSEN = 1280, 4, 20, 100
_BATCH, _BATCH_STEPS, _LEAST_STEPS = 32, 100, 5
_FACTORS = (1.0, 10.0, 100.0)  # on the recipe's rate, tried in turn until one batch is learned
_PERMUTED, _PERMUTED_BATCH, _PERMUTED_EPOCHS, _PERMUTED_ASKED = 64, 16, 20, 500
_FEWEST_PERMUTED, _FEWEST_EPOCHS = 16, 10


@dataclass(frozen=True)
class Watched:
    """A watched training: what was prepared for it, the network after it, what was seen, and its result (None where it broke off)."""

    prepared: Prepared
    network: nn.Module
    trace: Trace
    result: TrainResult | None

    def held(self, part: str) -> Held:
        """Return what its training or validation rows hold."""
        places = getattr(self.prepared.splits, part)
        return Held(self.prepared.images.images[places], self.prepared.images.labels[places])


def watched(prepared: Prepared, steps: int | None = None, loosened: bool = False) -> Watched:
    """Train and watch, at most `steps` steps, the network loosened if asked; an error ends up in the trace.

    Raises: ResourceError where memory runs out.
    """
    network = prepared.network()
    if loosened:
        trial.loosened(network)
    watch = Watch(network, steps)
    with watch.looking():
        result, stopped = attempt(prepared, watch.journal, watch.observe, network)
    return Watched(prepared, network, watch.trace(stopped), result)


def attempt(prepared: Prepared, journal: NoJournal, observe: execute.Observe | None, network: nn.Module) -> tuple[TrainResult | None, str]:
    """Train; return the result and an empty text, or None and why it broke off (nothing, if enough was seen).

    Raises: ResourceError where memory runs out.
    """
    try:
        with own_parts.explained(prepared.own):
            return execute.fit(prepared, journal, observe, network)[1], ""
    except Enough:
        return None, ""
    except ResourceError:
        raise
    except Exception as error:  # whatever a recipe or an own part does to a training is what a pre-flight looks for
        return None, str(error) if isinstance(error, RungError) else f"{type(error).__name__}: {error}"


def few_rows(prepared: Prepared) -> Watched:
    """Train three epochs of a few small batches, without augmentation: every image can be told by its pixels."""
    splits, seed = prepared.splits, prepared.recipe.seed
    batch = max(1, min(prepared.recipe.train.batch_size, trial.fewer(prepared, _FEW_BATCH, _SMALLEST), len(splits.train) // 3))
    fitted = trial.some(prepared.images, splits.train, 3 * batch + max(2, batch // 2), "few fitted", seed)
    chosen = trial.some(prepared.images, splits.validation, trial.fewer(prepared, _FEW_CHOSEN, _SMALLEST), "few chosen", seed)
    small = trial.undisturbed(trial.unaugmented(trial.with_rows(prepared, fitted, chosen)))
    return watched(with_train(small, epochs=_FEW_EPOCHS, batch_size=batch, sampling="each_once"))


def first_steps(prepared: Prepared) -> Watched:
    """Train the first steps of the training that was asked for, with all its rows, its augmentation and its schedule."""
    steps = min(max(trial.fewer(prepared, _FIRST_IMAGES, 1) // prepared.recipe.train.batch_size, _FEWEST_STEPS), _MOST_STEPS)
    few = replace(prepared, splits=replace(prepared.splits, validation=prepared.splits.validation[:_FIRST_CHOSEN]))
    quiet = with_train(few, metrics=(), callbacks=(), early_stopping=None)
    return watched(replace(quiet, own=replace(quiet.own, metrics=(), callbacks=())), steps)


def one_batch(prepared: Prepared) -> tuple[list[Try], Watched]:
    """Learn one batch by heart, with higher rates where the recipe's does not suffice; return the tries and the last training.

    Its validation rows are the same images with the label that follows the right one: as the batch is learned, validation gets worse.
    """
    images = prepared.images
    chosen = trial.some(images, prepared.splits.train, trial.fewer(prepared, _BATCH, _SMALLEST), "one batch", prepared.recipe.seed)
    labels = images.labels[chosen]
    twice = trial.with_labels(trial.with_rows(prepared, chosen, chosen), np.concatenate([labels, (labels + 1) % len(images.classes)]))
    batch = trial.unbounded(trial.undisturbed(trial.unaugmented(twice)))
    rate = prepared.recipe.train.learning_rate or 0.0
    tries: list[Try] = []
    for factor in _FACTORS:
        batch = replace(batch, own=replace(batch.own, callbacks=(Own("learned", _until_learned(prepared.recipe.train.monitor), "", ""),)))
        run = watched(with_train(batch, epochs=_BATCH_STEPS, batch_size=len(chosen), learning_rate=rate * factor), loosened=True)
        last = run.trace.rows[-1] if run.trace.rows else {"train_accuracy": 0.0, "train_loss": float("nan")}
        tries.append(Try(factor, len(run.trace.losses), last["train_accuracy"], last["train_loss"]))
        if last["train_accuracy"] >= LEARNT or run.trace.stopped:
            break
    return tries, run


def _until_learned(monitor: str) -> Callable[[EpochEnd], bool]:
    """Return a callback that stops when the batch is learned and the last epoch is no longer the best by the monitored value."""
    sign = -1 if monitor == "validation_accuracy" else 1
    values: list[float] = []

    def learned(end: EpochEnd) -> bool:
        values.append(sign * float(end.row[monitor]))
        return end.epoch >= _LEAST_STEPS and end.row["train_accuracy"] == 1 and values[-1] > min(values)

    return learned


def _all_right(end: EpochEnd) -> bool:
    """Stop when a whole epoch was answered rightly: more steps show nothing new, and with large images they cost most of a pre-flight."""
    return bool(end.row["train_accuracy"] == 1)


def permuted_labels(prepared: Prepared, factor: float) -> tuple[Trace, Predictions | None, Predictions | None]:
    """Learn some images with permuted labels by heart, at `factor` times the recipe's rate; return the trace, and the answers to these and to other images.

    Labels are permuted over the images of both parts together; there is no validation in between, so nothing is chosen by it.
    """
    splits, seed, train = prepared.splits, prepared.recipe.seed, prepared.recipe.train
    unseen = splits.validation if len(splits.validation) else splits.train
    asked = trial.some(prepared.images, unseen, trial.fewer(prepared, _PERMUTED_ASKED, _PERMUTED), "permuted asked", seed)
    others = splits.train if len(splits.validation) else np.setdiff1d(unseen, asked)
    fitted = trial.some(prepared.images, others, trial.fewer(prepared, _PERMUTED, _FEWEST_PERMUTED), "permuted fitted", seed)
    both = trial.with_rows(prepared, fitted, asked)
    mixed = both.images.labels[keys.permutation(seed, "preflight labels", 0, len(both.images))]
    ready = trial.unbounded(trial.undisturbed(trial.unaugmented(trial.with_labels(both, mixed))))
    ready = with_train(
        ready,
        epochs=trial.fewer(prepared, _PERMUTED_EPOCHS, _FEWEST_EPOCHS),
        batch_size=min(trial.fewer(prepared, _PERMUTED_BATCH, _SMALLEST), len(fitted)),
        learning_rate=(train.learning_rate or 0.0) * factor,
        keep="last",
        ema_decay=0.0,
    )
    ready = replace(ready, own=replace(ready.own, callbacks=(Own("learned", _all_right, "", ""),)))
    run = watched(replace(ready, splits=replace(ready.splits, validation=ready.splits.validation[:0])), loosened=True)
    if run.trace.stopped:
        return run.trace, None, None
    return run.trace, execute.predict_part(ready, run.network, "train"), execute.predict_part(ready, run.network, "validation")
