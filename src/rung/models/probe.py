"""Looking at a network from outside, without changing it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


@contextmanager
def evaluation_mode(model: nn.Module) -> Iterator[None]:
    """Put the model into evaluation mode without gradients, and each of its modules back into its own mode afterwards."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module, training in modes:
            module.training = training


def moving_averages(module: nn.Module) -> list[torch.Tensor]:
    """Return the mean and variance that a batch norm keeps, and nothing of other modules; its parts are not looked into."""
    return [b for b in (getattr(module, "running_mean", None), getattr(module, "running_var", None)) if isinstance(b, torch.Tensor)]


def zero_images(model: nn.Module, count: int, channels: int, size: int) -> torch.Tensor:
    """Return black images (count, channels, size, size) where the model's first parameter is, and of its dtype."""
    like = next((p for p in model.parameters() if not isinstance(p, nn.parameter.UninitializedParameter)), torch.zeros(0))
    return torch.zeros(count, channels, size, size, device=like.device, dtype=like.dtype)
