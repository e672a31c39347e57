"""One's own network, loss, metric, augmentation and callback, in one file: what docs/own.md shows.

Run with: python examples/own_parts.py [FOLDER OF RUNS]
"""

from __future__ import annotations

import sys

import numpy as np
import torch
from torch import nn

import rung
from rung import keys
from rung.training.loop import EpochEnd


class Residual(nn.Module):
    """Two convolutions with a shortcut around them, averaged, and one linear layer: images (N,C,H,W) to logits (N,classes)."""

    def __init__(self, classes: int, channels: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(channels, 16, 3, padding=1)
        self.inner = nn.Sequential(nn.Conv2d(16, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 16, 3, padding=1))
        self.head = nn.Linear(16 * 4, classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        maps = torch.relu(self.stem(images))
        maps = torch.relu(maps + self.inner(maps))
        return self.head(nn.functional.adaptive_avg_pool2d(maps, 2).flatten(1))


def focal(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Cross-entropy with less weight on what is already answered surely, (N,) (Lin et al. 2017); targets: labels (N,) or shares (N,K)."""
    losses = nn.functional.cross_entropy(logits, targets, reduction="none")
    return losses * (1 - torch.exp(-losses)) ** 2


def lowest_recall(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """The recall of the class that is found least."""
    right = probabilities.argmax(1) == labels
    return float(min(right[labels == label].mean() for label in np.unique(labels)))


def fainter(images: torch.Tensor, image_keys: torch.Tensor) -> torch.Tensor:
    """Each image (N,C,H,W), 0..1, times a factor from 0.5 to 1 of its own."""
    return images * (0.5 + keys.uniform(image_keys, 0) / 2)[:, None, None, None]


def good_enough(end: EpochEnd) -> bool:
    """Stop when 95 % of the validation images are answered rightly."""
    return end.row["validation_accuracy"] >= 0.95


def main(out: str = "runs", epochs: int = 30, per_class: int | None = None) -> None:
    run = rung.train(
        "digits",
        "digits",
        settings={"train.epochs": epochs, "train.learning_rate": 0.01, "data.per_class": per_class},
        network=Residual,
        loss=focal,
        metrics=[lowest_recall],
        augmentations=[fainter],
        callbacks=[good_enough],
        out=out,
        why="do one's own parts work?",
    )
    for row in run.read_rows():
        print(f"epoch {row['epoch']}: validation accuracy {row['validation_accuracy']:.3f}, lowest recall {row['validation_lowest_recall']:.3f}")
    print(f"report: {run.report}")


if __name__ == "__main__":
    main(*sys.argv[1:2])
