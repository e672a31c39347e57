"""Losses: each takes logits (N,K) and targets, and returns one float32 value for each image.

Targets are labels, int64 (N,), or shares of the classes, float (N,K), as mixup makes them. Each loss turns them into what it needs
(one-hot, or -1 and +1 for hinge), so integer labels are never broadcast against probabilities. The definitions are Keras'
(https://keras.io/api/losses/): mse, msle and hinge are means over the classes, kl is a sum, and all but cross_entropy look at the
softmax of the logits. Class weights are not applied here.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional

from rung.errors import RecipeError, did_you_mean
from rung.recipe import Train

Loss = Callable[[Tensor, Tensor], Tensor]

EPSILON = 1e-7  # Keras' backend.epsilon()


def shares(targets: Tensor, classes: int) -> Tensor:
    """Return targets as float32 shares (N,K): labels int64 (N,) one-hot, shares as they are."""
    if targets.ndim == 1:
        return functional.one_hot(targets, classes).float()
    return targets.float()


def cross_entropy(logits: Tensor, targets: Tensor, label_smoothing: float = 0.0) -> Tensor:
    """Return -sum(y * log(softmax)), float32 (N,); smoothing turns y into (1-s) * y + s/K (Szegedy et al. 2016)."""
    if targets.ndim == 2:
        targets = targets.float()
    return functional.cross_entropy(logits.float(), targets, reduction="none", label_smoothing=label_smoothing)


def mse(logits: Tensor, targets: Tensor) -> Tensor:
    """Return the mean over classes of (softmax - y)^2, float32 (N,)."""
    probabilities = logits.float().softmax(dim=1)
    return (probabilities - shares(targets, logits.shape[1])).square().mean(dim=1)


def msle(logits: Tensor, targets: Tensor) -> Tensor:
    """Return the mean over classes of (log(1 + softmax) - log(1 + y))^2, both not below 1e-7, float32 (N,)."""
    probabilities = logits.float().softmax(dim=1).clamp(min=EPSILON)
    wanted = shares(targets, logits.shape[1]).clamp(min=EPSILON)
    return (probabilities.log1p() - wanted.log1p()).square().mean(dim=1)


def hinge(logits: Tensor, targets: Tensor) -> Tensor:
    """Return the mean over classes of max(1 - (2y-1) * softmax, 0), float32 (N,)."""
    probabilities = logits.float().softmax(dim=1)
    signs = 2 * shares(targets, logits.shape[1]) - 1
    return (1 - signs * probabilities).clamp(min=0).mean(dim=1)


def kl(logits: Tensor, targets: Tensor) -> Tensor:
    """Return sum(y * log(y / softmax)), both cut to 1e-7..1, float32 (N,)."""
    probabilities = logits.float().softmax(dim=1).clamp(EPSILON, 1)
    wanted = shares(targets, logits.shape[1]).clamp(EPSILON, 1)
    return (wanted * (wanted / probabilities).log()).sum(dim=1)


LOSSES: dict[str, Loss] = {"cross_entropy": cross_entropy, "mse": mse, "msle": msle, "hinge": hinge, "kl": kl}


def build_loss(train: Train, own: Callable[[Tensor, Tensor], Tensor] | None = None) -> Loss:
    """Return the loss of `train`, or `own` with its answer checked; a scalar of `own` counts for each image alike.

    Raises: RecipeError for a name that is no loss; from an own loss's call, if its answer is neither a number nor one for each image, or
    is a number where there are class weights.
    """
    if own is not None:
        return partial(_checked, own, train.loss, train.class_weights != "none")
    if train.loss not in LOSSES:
        raise RecipeError(f"train.loss = '{train.loss}' is not a loss: {did_you_mean(train.loss, LOSSES, 'Your own is given as file.py:name')}")
    if train.loss == "cross_entropy":
        return partial(cross_entropy, label_smoothing=train.label_smoothing)
    return LOSSES[train.loss]


def _checked(own: Callable[[Tensor, Tensor], Tensor], name: str, weighted: bool, logits: Tensor, targets: Tensor) -> Tensor:
    values = own(logits.float(), targets)
    name = getattr(own, "__name__", name)
    if not isinstance(values, torch.Tensor) or not values.is_floating_point():
        found = f"a tensor of {values.dtype}" if isinstance(values, torch.Tensor) else type(values).__name__
        raise RecipeError(f"the loss '{name}' returned {found}: it must return a float tensor, of shape () or ({len(logits)},)")
    if values.ndim == 0 and weighted:
        raise RecipeError(
            f"the loss '{name}' returned one number for {len(logits)} images, so train.class_weights cannot weigh them: return one loss a row, "
            f"shape ({len(logits)},), such as by reduction='none', or set train.class_weights = 'none'"
        )
    if values.ndim == 0:
        return values.float().expand(len(logits))
    if values.shape != (len(logits),):
        raise RecipeError(f"the loss '{name}' returned the shape {tuple(values.shape)} for {len(logits)} images: it must be () or ({len(logits)},)")
    return values.float()
