"""The check of evaluation: an image's answer depends on the image and the weights alone."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from rung.audit.preflight.outcome import Outcome, concluded
from rung.audit.preflight.watch import Watch
from rung.data.batches import Batches
from rung.training.forward import logits

_SAME = 0.05  # of the deviation of the answers: chosen above the rounding of bfloat16 and below what a batch norm in training mode does


def evaluation(network: nn.Module, batches: Batches, precision: str) -> Outcome:
    """Answers are the same twice, in another order and in other company; the network is in evaluation mode, and asking it changes nothing.

    network: one that has been trained for some steps; batches: some rows, at most one batch of evaluation.
    """
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    watch = Watch(network)
    network.train()
    with watch.looking():
        whole = logits(network, batches, precision)
    in_training = sum(forward.training for forward in watch.forwards)
    rows = len(batches)
    all_rows = torch.arange(rows, device=batches.labels.device)
    # Dark and bright images apart: in training mode a batch norm would make both of middle brightness.
    by_brightness = batches.whole().float().mean(dim=(1, 2, 3)).argsort(stable=True)
    asked = {
        "twice": [all_rows],
        "in another order": [all_rows.flip(0)],
        "in other company": [by_brightness[: rows // 2], by_brightness[rows // 2 :]],
        "alone": [by_brightness[row : row + 1] for row in range(min(4, rows))],
    }
    scale = max(float(whole.std()), 1e-6)
    apart = {how: max(_apart(network, batches, part, whole, precision) for part in parts) / scale for how, parts in asked.items()}
    changed = [name for name, tensor in network.state_dict().items() if not torch.equal(tensor, before[name])]
    problems = [f"Answers differ by {far:.2g} of their deviation when the images are asked {how}." for how, far in apart.items() if not far <= _SAME]
    if in_training:
        problems.append(f"{in_training} of {len(watch.forwards)} batches were answered with a part of the network in training mode.")
    if changed:
        problems.append(f"Answering changed {len(changed)} tensors of the network, such as {changed[0]}.")
    worst = max(apart.values())
    return concluded(
        "evaluation",
        f"answers apart by {worst:.1e} of their deviation",
        f"{rows} answers are the same twice, backwards, in halves and alone (largest difference {worst:.1e} of their deviation).",
        problems,
        "Dropout or batch norm is in training mode while images are scored: model.eval() before, and nothing that looks at the whole batch.",
        difference=worst,
        images=rows,
    )


def _apart(network: nn.Module, batches: Batches, rows: Tensor, whole: Tensor, precision: str) -> float:
    """Return how far the answers to these rows, asked in this order and company, are from their answers among all."""
    if not len(rows):
        return 0.0
    found = logits(network, replace(batches, images=batches.whole()[rows], labels=batches.labels[rows]), precision)
    return float((found - whole[rows]).abs().max()) if found.shape == whole[rows].shape else float("inf")
