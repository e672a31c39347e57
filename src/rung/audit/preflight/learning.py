"""Checks of what steps do to the network: gradients, learning rate, over-fitting one batch, chance on permuted labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from rung.audit.preflight.outcome import Outcome, concluded, skipped
from rung.audit.preflight.watch import Trace
from rung.evaluate.predictions import Predictions
from rung.words import listing, percent, plural

Ints = npt.NDArray[np.int64]

_FRESH = 0.01  # relative difference of gradients; the same on one processor, GPUs add in no fixed order
_LEAST_MOVE = 0.01  # of the norm of the weights, over the whole training
_MOST_MOVE = 2.0  # of the norm of the weights, in the first steps
_BLOW_UP = 10.0  # times the loss of uniform answers, or the first one if that is higher
LEARNT = 0.9  # share of a batch that a network that can learn at all answers rightly
CHANCE_LEVEL = 0.999  # of the interval of chance
_LEARNT_PERMUTED = 0.5  # share of permuted labels, without which a row that is in both parts would not show
_FEWEST_ASKED = 30  # images, below which the interval of chance holds nearly everything
_SHOWN = 4  # names of tensors in a sentence


def gradients_reach(trace: Trace, may_freeze: bool) -> Outcome:
    """Gradients that are not zero reach every trainable tensor, steps change it, and no frozen tensor changes.

    may_freeze: whether the network may hold frozen tensors (an own one may; the recipe's own networks freeze none).
    """
    unreached = [name for name, reached in trace.reached.items() if not reached]
    unchanged = [name for name, reached in trace.reached.items() if reached and not trace.changed[name]]
    frozen = [name for name in trace.changed if name not in trace.reached]
    broken = [name for name in frozen if trace.changed[name]]
    steps = plural(len(trace.losses), "step")
    problems = []
    if unreached:
        problems.append(f"No gradient reached {_named(unreached)} in {steps}.")
    if unchanged:
        problems.append(f"{steps} with gradients did not change {_named(unchanged)}: no optimizer updates it, or the rate is next to nothing.")
    if broken:
        problems.append(f"The frozen {_named(broken)} changed.")
    if frozen and not may_freeze:
        problems.append(f"{_named(frozen)} is frozen, though the recipe freezes nothing.")
    total = len(trace.reached)
    good = total - len(unreached) - len(unchanged)
    return concluded(
        "gradients-reach",
        f"{good} of {total} trainable tensors, {len(frozen)} frozen",
        f"In {steps} gradients reached all of {total} trainable tensors and changed them"
        + (f"; frozen and unchanged: {_named(frozen)}." if frozen else "; none is frozen."),
        problems,
        "A layer that is not called, a detach(), a requires_grad that is off by mistake, or first weights that are all zero.",
        reached=good,
        trainable=total,
        frozen=len(frozen),
    )


def _named(names: Sequence[str]) -> str:
    more = [f"{len(names) - _SHOWN} more"] if len(names) > _SHOWN else []
    return listing([*names[:_SHOWN], *more])


def gradients_fresh(trace: Trace, wanted: Mapping[str, Tensor]) -> Outcome:
    """The gradients of the second step are those of its own images alone: nothing is left of the first, L2 and clipping are as asked.

    wanted: the gradients worked out apart from the loop, by name.
    """
    assert trace.second is not None
    found = trace.second.gradients
    difference = sum((_of(found, name) - gradient).double().square().sum().item() for name, gradient in wanted.items())
    size = sum(gradient.double().square().sum().item() for gradient in wanted.values())
    off = (difference / size) ** 0.5 if size else float(difference > 0)
    problems = [] if off <= _FRESH else [f"The gradients of the second step differ from those of its own images by {percent(off)} of their norm."]
    return concluded(
        "gradients-fresh",
        f"off by {off:.0e}",
        f"The gradients of the second step are those of its own images (relative difference {off:.0e}).",
        problems,
        "Gradients of an earlier step that were not set to zero, a loss that is not the mean, L2 or clipping otherwise than the recipe says.",
        difference=off,
    )


def _of(found: Mapping[str, Tensor], name: str) -> Tensor | float:
    return found.get(name, 0.0)


def learning_rate(trace: Trace, uniform: float, rate: float, total_steps: int, course: float) -> Outcome:
    """The first steps of the training neither blow up nor do nothing.

    uniform: loss of uniform answers; rate: the highest of the schedule; course: mean rate of all steps over that of the steps seen.
    """
    steps = len(trace.losses)
    start = max(uniform, trace.losses[0]) if steps else uniform
    highest = max(trace.losses, default=start)
    planned = trace.moved / max(steps, 1) * total_steps * course
    problems = []
    if trace.stopped:
        problems.append(f"It broke off after {plural(steps, 'step')}: {trace.stopped}")
    elif highest > _BLOW_UP * start:
        problems.append(f"The loss rose to {highest:.3g}, {highest / start:.3g} times the {start:.3g} it should not exceed by much.")
    elif trace.moved > _MOST_MOVE:
        problems.append(f"The first {plural(steps, 'step')} changed the weights by {trace.moved:.3g} times their own norm.")
    elif planned < _LEAST_MOVE:
        problems.append(
            f"The first {plural(steps, 'step')} changed the weights by {percent(trace.moved, 4)} of their norm: at this pace all of {total_steps:,} steps "
            f"change them by {percent(planned, 3)}, and nothing is learned."
        )
    last = float(np.mean(trace.losses[-max(1, steps // 4) :])) if steps else float("nan")
    return concluded(
        "learning-rate",
        f"{rate:.3g}: weights moved {percent(trace.moved, 2)} in {plural(steps, 'step')}, loss {start:.3g} to {last:.3g}",
        f"With the rate {rate:.3g} the first {plural(steps, 'step')} changed the weights by {percent(trace.moved, 2)} of their norm and took the loss to "
        f"{last:.3g}.",
        problems,
        "Change train.learning_rate (Adam usually 0.0001 to 0.01, SGD 0.001 to 0.5), train.warmup_fraction or train.clip_norm.",
        rate=rate,
        moved=trace.moved,
        highest_loss=highest,
        last_loss=last,
        steps=steps,
    )


@dataclass(frozen=True)
class Try:
    """One try to learn a single batch: by how much the recipe's rate was raised, steps taken, share right and loss at the last."""

    factor: float
    steps: int
    accuracy: float
    loss: float


def one_batch(tries: Sequence[Try], images: int, first: float, stopped: str) -> Outcome:
    """One batch can be learned by heart with the recipe's network, loss and optimizer, without augmentation, dropout, L2 and decay.

    tries: with the recipe's rate, and higher ones as long as that was not enough; first: the loss at the beginning; stopped: why the last
    one broke off, or an empty text.
    """
    last = tries[-1]
    advice = "The network, the loss or the optimizer cannot learn: look at activations, at the last layer, at the loss, at the learning rate."
    raised = f" at {last.factor:g} times the recipe's rate, which is low for so short a training" if last.factor > 1 else ""
    done = f"{percent(last.accuracy)} of {images} images right after {plural(last.steps, 'step')}{raised}, loss {first:.3g} to {last.loss:.3g}"
    problems = []
    if stopped:
        problems.append(f"The training of one batch broke off: {stopped}")
    elif last.accuracy < LEARNT:
        problems.append(f"One batch could not be learned by heart: {done}.")
    return concluded(
        "one-batch",
        f"{percent(last.accuracy)} of {images} images after {plural(last.steps, 'step')}",
        f"One batch was learned by heart: {done}.",
        problems,
        advice,
        accuracy=last.accuracy,
        images=images,
        steps=last.steps,
        rate_factor=last.factor,
        loss=last.loss,
    )


def permuted_labels(fitted: Predictions, asked: Predictions) -> Outcome:
    """A network that learned permuted labels by heart is at chance on validation: the label is not in the input, and no row is in both parts.

    fitted, asked: the answers to the images that were fitted, and to validation images; labels are permuted over both together. By chance an
    image is answered with its label as often as the shares of answers and labels meet, so the number of right answers is binomial.
    """
    from scipy.stats import binom

    answers, labels, classes, images = asked.answers(), asked.labels, len(asked.classes), len(fitted.labels)
    for given, part in ((fitted, "training"), (asked, "validation")):
        if len(given.logits) != len(given.labels):
            problem = f"{plural(len(given.labels), f'{part} image')} were asked for, and {plural(len(given.logits), 'answer')} came: they are of other images."
            return concluded("permuted-labels", problem, "", [problem], "Look at how the batches of a part are made.")
    learned = float((fitted.answers() == fitted.labels).mean())
    if learned < _LEARNT_PERMUTED:
        return skipped("permuted-labels", f"Of {images} permuted labels {percent(learned)} were learned: too few for chance on validation to say anything.")
    count = len(labels)
    if count < _FEWEST_ASKED:
        return skipped("permuted-labels", f"There are {plural(count, 'other image')} to ask for: too few to tell chance from more.")
    chance = float((np.bincount(answers, minlength=classes) / count) @ (np.bincount(labels, minlength=classes) / count))
    tail = (1 - CHANCE_LEVEL) / 2
    low, high = (float(value) / count for value in binom.ppf([tail, 1 - tail], count, chance))
    found = float((answers == labels).mean())
    problems = []
    if not low <= found <= high:
        problems.append(
            f"After fitting {images} images with permuted labels ({percent(learned)} learned), {percent(found)} of {count} validation images are answered with "
            f"their permuted label; chance is {percent(low)} to {percent(high)}."
        )
    return concluded(
        "permuted-labels",
        f"{percent(found)} (chance: {percent(low)} to {percent(high)})",
        f"After fitting {images} images with permuted labels ({percent(learned)} learned) validation is at chance: {percent(found)} of {count}, inside "
        f"{percent(low)} to {percent(high)} ({percent(CHANCE_LEVEL)} interval).",
        problems,
        "Something tells the network the label of validation images: the label in the image, validation rows among those fitted, answers made from labels.",
        accuracy=found,
        low=low,
        high=high,
        learned=learned,
        images=count,
    )


def kept_weights(rows: Sequence[Mapping[str, Any]], kept_epoch: int, same_weights: bool, loss: float, keep: str, monitor: str) -> Outcome:
    """The weights that are scored are those that train.keep asks for.

    rows: of a training whose validation gets worse by design; kept_epoch: the epoch (from 1) that the loop says; same_weights: whether the scored
    network holds the weights that would be saved; loss: its validation loss, measured again.
    """
    sign = -1 if monitor == "validation_accuracy" else 1
    values = [sign * float(row[monitor]) for row in rows]
    wanted = int(np.argmin(values)) + 1 if keep == "best" else len(rows)
    if keep == "best" and wanted == len(rows):
        return skipped("kept-weights", "In the trial the best epoch was the last one, so nothing tells best weights from last ones.")
    told = float(rows[kept_epoch - 1]["validation_loss"])
    right = float(rows[wanted - 1]["validation_loss"])
    problems = []
    if kept_epoch != wanted:
        problems.append(f"The epoch {kept_epoch} is said to be kept; by {monitor} it should be {wanted}.")
    if not same_weights:
        problems.append("The network that is scored does not hold the weights that are saved.")
    if abs(loss - right) > 1e-3 * max(abs(right), 1e-3):
        last = float(rows[-1]["validation_loss"])
        problems.append(f"The scored weights have the validation loss {loss:.5g}; that of the {keep} epoch, {wanted}, was {right:.5g}, of the last {last:.5g}.")
    return concluded(
        "kept-weights",
        f"epoch {kept_epoch} of {len(rows)}, loss {loss:.4g}",
        f"The scored weights are those of epoch {kept_epoch} of {len(rows)} ({keep}): validation loss {loss:.4g}, as written then ({told:.4g}).",
        problems,
        "Best weights must be copied when they are met, and put back before anything is scored.",
        epoch=kept_epoch,
        epochs=len(rows),
        loss=loss,
        loss_then=right,
    )
