"""The forward pass in evaluation mode, the same for validation, scores and prediction."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import torch
from torch import nn

from rung.data.batches import Batches
from rung.models.probe import evaluation_mode
from rung.training import memory


def half_precision(device: torch.device, precision: str) -> contextlib.AbstractContextManager[None]:
    """Return the context in which convolutions and matrix products run in bfloat16, or one that does nothing."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bfloat16")


def logits(model: nn.Module, batches: Batches, precision: str, check: Callable[[], None] = lambda: None) -> torch.Tensor:
    """Return the network's answers to all rows in order, float32 (N,K), in evaluation mode; the mode of each module is put back.

    check() is called before each batch, and may raise to stop.

    Raises: ResourceError if memory runs out.
    """
    answers, device = [], batches.labels.device
    at_once = memory.in_evaluation(batches.at_once(), batches.evaluation_batch_size, str(device))
    with evaluation_mode(model), torch.inference_mode(), half_precision(device, precision), at_once:
        for batch in batches.evaluation():
            check()
            answers.append(model(batch.images).float())
    return torch.cat(answers)
