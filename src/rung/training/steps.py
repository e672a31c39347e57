"""One step of a training, apart from the loop: forward, loss, gradients, update. What it found stays on its device until it is read."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, final

import torch
from torch import Tensor, nn

from rung.data.batches import Batch
from rung.recipe import Train
from rung.training.forward import half_precision
from rung.training.losses import Loss
from rung.training.optimizers import Penalised, add_l2_gradient, build_optimizers, clip, penalised, restore_optimizers, set_rate

READ_EVERY: Final = 50  # steps: reading what a GPU found waits for all that it has to do


class Numbers(NamedTuple):
    """What a step found: sum of the losses, right answers, mean of the losses, norm of the gradients before clipping."""

    loss_sum: float
    correct: int
    loss: float
    norm: float


@dataclass(frozen=True)
class Taken:
    """A step that was taken. numbers: float64 (4,), those of `Numbers`; losses: float32 (N,), each image's; rows: int64 (N,); all on the device."""

    numbers: Tensor
    losses: Tensor
    rows: Tensor


@dataclass(frozen=True)
class Work:
    """What all steps of a training share: a network on its device and what fits it."""

    model: nn.Module
    settings: Train
    loss: Loss
    precision: str
    class_weights: Tensor | None
    optimizers: list[torch.optim.Optimizer]
    kernels: Penalised

    @staticmethod
    def of(model: nn.Module, settings: Train, loss: Loss, precision: str, class_weights: Tensor | None) -> Work:
        """Return the work of fitting this network; raises RecipeError where the optimizer or the penalty does not fit it."""
        return Work(model, settings, loss, precision, class_weights, build_optimizers(model, settings), penalised(model, settings))

    def losses(self, images: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Return each image's loss, float32 (N,), times the weight of its class, and the answers (N,K)."""
        with half_precision(images.device, self.precision):
            answers = self.model(images)
        return _weighted(self.loss(answers.float(), targets), targets, self.class_weights), answers

    def gradients(self, value: Tensor) -> Tensor:
        """Put the gradients of the loss and its penalty beside the weights, clipped; return their norm before that."""
        for optimizer in self.optimizers:
            optimizer.zero_grad()
        value.backward()  # type: ignore[no-untyped-call]
        add_l2_gradient(self.kernels)
        return clip(self.model, self.settings)

    def update(self) -> None:
        """Move the weights by the gradients beside them."""
        for optimizer in self.optimizers:
            optimizer.step()


class Step(ABC):
    """A way to take the steps of one training. every: after how many steps what they found is to be read."""

    work: Work
    every: int

    @abstractmethod
    def take(self, batch: Batch, rate: float) -> Taken:
        """Take one step at this learning rate."""

    def restore(self, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
        """Put a checkpoint's optimizers back in place, as `restore_optimizers` does."""
        restore_optimizers(self.work.optimizers, tensors, state)

    def end(self) -> None:
        """Let go of what steps hold beyond the training."""
        return


@final
class PlainStep(Step):
    """Operation after operation. guarded: where loss or gradient is not finite the weights are left alone, which has to be waited for on a GPU."""

    def __init__(self, work: Work, guarded: bool) -> None:
        self.work = work
        self.guarded = guarded
        self.every = 1 if guarded else READ_EVERY

    def take(self, batch: Batch, rate: float) -> Taken:
        set_rate(self.work.optimizers, rate)
        losses, answers = self.work.losses(batch.images, batch.targets)
        value = losses.mean()
        norm = value.detach()
        if self._goes_on(value):
            norm = self.work.gradients(value)
            if self._goes_on(norm):
                self.work.update()
        return Taken(numbers(losses, answers, batch.labels, value, norm), losses.detach(), batch.rows)

    def _goes_on(self, value: Tensor) -> bool:
        return not self.guarded or bool(torch.isfinite(value))


def numbers(losses: Tensor, answers: Tensor, labels: Tensor, value: Tensor, norm: Tensor) -> Tensor:
    """Return the `Numbers` of a step, float64 (4,), without reading them."""
    correct = (answers.detach().argmax(1) == labels).sum()
    return torch.stack([losses.detach().double().sum(), correct.double(), value.detach().double(), norm.double()])


def read(taken: list[Taken]) -> list[Numbers]:
    """Read what steps found, in their order, all at once."""
    rows = torch.stack([step.numbers for step in taken]).tolist() if taken else []
    return [Numbers(loss_sum, int(correct), loss, norm) for loss_sum, correct, loss, norm in rows]


def _weighted(losses: Tensor, targets: Tensor, class_weights: Tensor | None) -> Tensor:
    if class_weights is None:
        return losses
    return losses * (targets @ class_weights if targets.is_floating_point() else class_weights[targets])
