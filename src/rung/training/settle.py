"""The moving averages of batch norm, measured anew for weights that no training step has seen."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from rung.data.batches import Batches
from rung.models.probe import evaluation_mode
from rung.training.forward import half_precision


def settle_norms(model: nn.Module, batches: Batches, precision: str) -> int:
    """Set mean and variance of each batch norm to their means over batches of images as evaluation sees them; returns how many there are.

    The rows should be shuffled. A last batch that is smaller is left out where there are others (P. Izmailov et al., arXiv 1803.05407, section 3.2).
    """
    norms = [module for module in model.modules() if isinstance(module, _BatchNorm) and module.track_running_stats]
    if not norms:
        return 0
    momenta = [norm.momentum for norm in norms]
    whole = max(len(batches) // batches.at_once(), 1)
    with evaluation_mode(model), torch.inference_mode(), half_precision(batches.labels.device, precision):
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None  # a plain mean over batches
            norm.train()
        for number, batch in enumerate(batches.evaluation()):
            if number < whole:
                model(batch.images)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    return len(norms)
