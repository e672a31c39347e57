"""The training loop: one function, explicit arguments, every state it has in `Progress` and the tensors it saves."""

from __future__ import annotations

import dataclasses
import itertools
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from rung import keys, own
from rung.data.batches import Batches
from rung.errors import DivergedError, RecipeError, RunError
from rung.recipe import Train
from rung.training.captured import step_for
from rung.training.checkpoint import Checkpoint
from rung.training.forward import logits
from rung.training.journal import Interrupted, Journal
from rung.training.losses import Loss
from rung.training.optimizers import Penalised, l2_penalty, optimizer_tensors
from rung.training.schedules import Plateau, rate_factor, total_steps
from rung.training.steps import Step, Taken, read

Row = dict[str, float | int]
Metric = Callable[[Any, Any], float]
Callback = Callable[["EpochEnd"], bool | None]


@dataclass(frozen=True)
class EpochEnd:
    """What a callback sees after each epoch: it may look, and return True to stop. Epochs count from 1."""

    epoch: int
    epochs: int
    row: Row
    model: nn.Module


@dataclass(frozen=True)
class StepEnd:
    """What an observer sees after each step: steps done and to do, the step's loss, and how many later steps have been taken by now (on a GPU)."""

    step: int
    steps: int
    loss: float
    behind: int = 0


@dataclass
class Progress:
    """All of a training's state that is not a tensor; saved with each checkpoint, exact when read back.

    The sums are of the current epoch: `loss_sum` over `seen` rows, in double precision; `seen` is 0 when its row is written.
    """

    step: int = 0
    loss_sum: float = 0.0
    correct: int = 0
    seen: int = 0
    best: float = math.inf
    best_epoch: int = 0
    plateau: Plateau = field(default_factory=Plateau)
    stopped: str = ""


@dataclass(frozen=True)
class TrainResult:
    """A finished training.

    weights: the kept state_dict, on the processor, contiguous; kept_epoch: the epoch (from 1) they are of; stopped: why it ended, in words.
    """

    weights: dict[str, torch.Tensor]
    kept_epoch: int
    stopped: str


def train(
    model: nn.Module,
    training: Batches,
    validation: Batches | None,
    settings: Train,
    *,
    seed: int,
    precision: str,
    loss: Loss,
    journal: Journal,
    class_weights: torch.Tensor | None = None,
    metrics: Mapping[str, Metric] | None = None,
    callbacks: Sequence[Callback] = (),
    observe: Callable[[StepEnd], None] | None = None,
) -> TrainResult:
    """Fit `model` on `training`, choose by `validation`, and go on from the journal's last checkpoint if it has one.

    settings.learning_rate must be set. class_weights: float (K,) or None. The journal keeps checkpoints and rows; what it
    holds of an interrupted training leads to the same bits as if nothing had happened.

    On a GPU what steps found is read every so many steps, before a checkpoint and at an epoch's end; observers hear of them then.

    Raises: DivergedError at a loss or gradient that is not finite, on a processor before the optimizer steps, and always before a checkpoint;
    Interrupted when the journal is told to stop.
    """
    if settings.learning_rate is None:
        raise RecipeError("train.learning_rate is not resolved: pass a number")
    steps_per_epoch = training.steps(settings.batch_size)
    steps_in_all = total_steps(settings, steps_per_epoch)
    progress, best, unread = Progress(), None, list[tuple[int, Taken]]()
    checkpoint = journal.last()
    step = step_for(model, settings, loss, precision, class_weights, journal.note)
    average = _copy(model.state_dict()) if settings.ema_decay else {}
    if checkpoint:
        progress = _restore(checkpoint, model, step, average)
        best = journal.best()

    def read_steps() -> None:
        for (number, taken), found in zip(unread, read([taken for _, taken in unread]), strict=True):
            if not math.isfinite(found.loss) or not math.isfinite(found.norm):
                late = f"It was seen after step {progress.step}, and nothing was saved since" if step.every > 1 else "The optimizer did not step"
                raise DivergedError(_not_finite("gradient" if math.isfinite(found.loss) else "loss", taken, training, number, late))
            progress.loss_sum += found.loss_sum
            progress.correct += found.correct
            if observe:
                observe(StepEnd(number, steps_in_all, found.loss, progress.step - number))
        unread.clear()

    def save() -> None:
        read_steps()
        if best is not None:
            journal.save("best", best, {"step": min(progress.best_epoch * steps_per_epoch, steps_in_all), "epoch": progress.best_epoch})
        tensors, numbers = optimizer_tensors(step.work.optimizers)
        tensors |= _prefixed("model", model.state_dict()) | _prefixed("average", average)
        journal.save("last", tensors, {"step": progress.step, "progress": dataclasses.asdict(progress), "optimizers": numbers})

    while not progress.stopped and (progress.step < steps_in_all or progress.seen):
        # A training that was stopped in the validation after an epoch goes on with that validation: no step of the epoch is left.
        epoch = (progress.step - (progress.seen > 0)) // steps_per_epoch
        started = time.perf_counter()
        model.train()
        batches = training.training(epoch, settings.batch_size, progress.step - epoch * steps_per_epoch)
        for batch in itertools.islice(batches, steps_in_all - progress.step):
            torch.manual_seed(keys.torch_seed(seed, "dropout", progress.step))
            taken = step.take(batch, _rate(settings, progress.plateau, progress.step, steps_in_all, steps_per_epoch))
            progress.step += 1
            progress.seen += len(batch.labels)
            unread.append((progress.step, taken))
            _update_average(average, model, settings.ema_decay)
            if len(unread) >= step.every:
                read_steps()
            journal.after_step(save)
        read_steps()
        trained = time.perf_counter()
        rate = _rate(settings, progress.plateau, progress.step - 1, steps_in_all, steps_per_epoch)
        row = _training_row(progress, epoch + 1, rate, step.work.kernels)
        if validation is not None:
            try:
                row |= _validation_row(model, average, validation, precision, loss, metrics or {}, float(row["penalty"]), journal.check)
            except Interrupted:
                save()
                raise
            if _judge(progress, row, settings):
                best = _copy(model.state_dict())
        if any([_asks_to_stop(callback, EpochEnd(epoch + 1, settings.epochs, row, model)) for callback in callbacks]):  # each is called
            progress.stopped = f"a callback stopped it after epoch {epoch + 1}"
        times = {"epoch": epoch + 1, "train_s": trained - started, "evaluate_s": time.perf_counter() - trained, "images": progress.seen}
        progress.loss_sum, progress.correct, progress.seen = 0.0, 0, 0
        journal.append(row, times)
        journal.after_step(save)
    journal.finish(save)
    kept = {"best": best, "last": model.state_dict(), "averaged": average}[settings.keep]
    if kept is None:
        raise RunError("train.keep = 'best' needs a validation part to choose on: give one, or keep = 'last'")
    model.load_state_dict(kept)
    epochs_done = -(-progress.step // steps_per_epoch)
    weights = {name: value.detach().cpu().clone(memory_format=torch.contiguous_format) for name, value in kept.items()}
    step.end()
    return TrainResult(weights, progress.best_epoch if settings.keep == "best" else epochs_done, progress.stopped or _all_were_run(settings, epochs_done))


def _all_were_run(settings: Train, epochs: int) -> str:
    return f"all {epochs} epochs were run" if settings.steps is None else f"all {settings.steps:,} steps were run"


def _copy(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: value.detach().clone() for name, value in state.items()}


def _prefixed(prefix: str, state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {f"{prefix}.{name}": value for name, value in state.items()}


def _without_prefix(prefix: str, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name.removeprefix(f"{prefix}."): value for name, value in tensors.items() if name.startswith(f"{prefix}.")}


def _restore(checkpoint: Checkpoint, model: nn.Module, step: Step, average: dict[str, torch.Tensor]) -> Progress:
    """Put a checkpoint's tensors back in place and return its progress."""
    model.load_state_dict(_without_prefix("model", checkpoint.tensors))
    step.restore(checkpoint.tensors, checkpoint.state["optimizers"])
    for name, value in _without_prefix("average", checkpoint.tensors).items():
        average[name].copy_(value)
    stored = dict(checkpoint.state["progress"])
    return Progress(**stored | {"plateau": Plateau(**stored["plateau"])})


def _rate(settings: Train, plateau: Plateau, step: int, total_steps: int, steps_per_epoch: int) -> float:
    assert settings.learning_rate is not None  # checked once, before the first step
    rate = settings.learning_rate * rate_factor(settings, step, total_steps, steps_per_epoch)
    return max(rate * plateau.factor, settings.minimum_rate) if settings.schedule == "plateau" else rate


def _not_finite(what: str, taken: Taken, training: Batches, number: int, late: str) -> str:
    """Say at which step it happened, and name the images whose loss is not finite, or those of the largest loss where all are."""
    losses = taken.losses
    bad = ~torch.isfinite(losses)
    chosen = taken.rows[bad] if bad.any() else taken.rows[losses.argsort(descending=True)[:5]]
    names = [training.sources[row] if training.sources else f"row {row}" for row in chosen.tolist()]
    whose = f"for {int(bad.sum())} of the {len(losses)} images of the batch" if bad.any() else "though every loss is; the largest losses are those of"
    shown = ", ".join(names[:5]) + (", .." if len(names) > 5 else "")
    return f"the {what} is not finite at step {number}, {whose}: {shown}. {late}. Try a smaller train.learning_rate or train.clip_norm = 1."


@torch.no_grad()
def _update_average(average: dict[str, torch.Tensor], model: nn.Module, decay: float) -> None:
    """Move the averaged weights towards the present ones; counters and batch norm statistics are averages already, and copied."""
    if not average:
        return
    parameters = dict(model.named_parameters())
    for name, value in model.state_dict().items():
        if name in parameters:
            average[name].lerp_(value, 1 - decay)
        else:
            average[name].copy_(value)


def _training_row(progress: Progress, epoch: int, rate: float, kernels: Penalised) -> Row:
    return {
        "epoch": epoch,
        "step": progress.step,
        "learning_rate": rate,
        "train_loss": progress.loss_sum / progress.seen,
        "train_accuracy": progress.correct / progress.seen,
        "penalty": l2_penalty(kernels),
    }


def _validation_row(
    model: nn.Module,
    average: dict[str, torch.Tensor],
    validation: Batches,
    precision: str,
    loss: Loss,
    metrics: Mapping[str, Metric],
    penalty: float,
    check: Callable[[], None],
) -> Row:
    """Measure the weights that would be kept now (the averaged ones where they are kept) on the validation rows; check() may raise to stop."""
    present = _copy(model.state_dict()) if average else {}
    if average:
        model.load_state_dict(average)
    try:
        answers = logits(model, validation, precision, check)
    finally:
        if average:
            model.load_state_dict(present)
    mean_loss = loss(answers, validation.labels).double().mean().item()
    if not math.isfinite(mean_loss):
        raise DivergedError(f"the validation loss is {mean_loss}: the training has diverged. Try a smaller train.learning_rate or train.clip_norm = 1.")
    row: Row = {
        "validation_loss": mean_loss,
        "validation_accuracy": (answers.argmax(1) == validation.labels).double().mean().item(),
        "validation_objective": mean_loss + penalty,
    }
    probabilities, labels = torch.softmax(answers.double(), 1).cpu().numpy(), validation.labels.cpu().numpy()
    return row | {f"validation_{name}": own.number(name, metric(probabilities, labels)) for name, metric in metrics.items()}


def _asks_to_stop(callback: Callback, end: EpochEnd) -> bool:
    return own.wants_to_stop(getattr(callback, "__name__", type(callback).__name__), callback(end))


def _judge(progress: Progress, row: Row, settings: Train) -> bool:
    """Update best, plateau and early stopping by the monitored value; return whether this epoch is the best so far."""
    value = float(row[settings.monitor])
    lower_is_better = -value if settings.monitor == "validation_accuracy" else value
    epoch = int(row["epoch"])
    better = lower_is_better < progress.best
    if better:
        progress.best, progress.best_epoch = lower_is_better, epoch
    if settings.schedule == "plateau":
        progress.plateau = progress.plateau.update(lower_is_better, settings)
    if settings.early_stopping is not None and epoch - progress.best_epoch >= settings.early_stopping:
        progress.stopped = f"early stopping: no better {settings.monitor} for {settings.early_stopping} epochs"
    return better
