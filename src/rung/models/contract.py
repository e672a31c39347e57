"""What every network of rung is, hand-made and pre-trained alike."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import final

import torch
from torch import nn

from rung.models.initialise import initialise
from rung.recipe import Initialisation


class Classifier(nn.Module, ABC):
    """A network that turns images (N,C,H,W) into features (N, feature_width), and those into logits (N,K) by one linear head.

    A network sets `head` and `initialisation` and defines `features`; all else is decided here.
    """

    head: nn.Linear
    initialisation: Initialisation

    @abstractmethod
    def features(self, images: torch.Tensor) -> torch.Tensor:
        """Return the rows that the head works on, float (N, feature_width), of normalised images, float (N,C,H,W)."""

    @property
    def feature_width(self) -> int:
        """How many values the head sees of each image."""
        return self.head.in_features

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return logits, float (N,K), of normalised images, float (N,C,H,W)."""
        logits: torch.Tensor = self.head(self.features(images))
        return logits

    @final
    def reset_head(self, classes: int, seed: int) -> None:
        """Put a fresh head for `classes` classes in place, drawn from `seed` as `build` draws it; nothing else changes."""
        old = self.head.weight
        head = nn.Linear(self.feature_width, classes, device="meta", dtype=old.dtype).to_empty(device=old.device)
        initialise(head, self.initialisation, seed, prefix="head.")
        self.head = head.train(self.training)
