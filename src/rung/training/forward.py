"""The forward pass in evaluation mode, the same for validation, scores and prediction."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import torch
from torch import nn
from torch.nn import functional

from rung.data.batches import Batches
from rung.models.probe import evaluation_mode
from rung.recipe import Views
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
            answers.append(sum((share * model(view).float() for share, view in views(batch.images, batches.views)), start=torch.zeros(())))
    return torch.cat(answers)


def views(images: torch.Tensor, wanted: Views) -> Iterator[tuple[float, torch.Tensor]]:
    """Yield views of images (N,C,H,W) and the share of each in the answer: as they are, moved by a pixel, mirrored (Jordan, arXiv 2404.00498)."""
    moved = [(1.0, images)]
    if wanted.endswith("shift"):
        height, width = images.shape[2:]
        padded = functional.pad(images, (1, 1, 1, 1), mode="reflect")
        moved = [(0.5, images), *((0.25, padded[:, :, corner : corner + height, corner : corner + width]) for corner in (0, 2))]
    for share, view in moved:
        if wanted.startswith("mirror"):
            yield share / 2, view
            yield share / 2, view.flip(3)
        else:
            yield share, view
