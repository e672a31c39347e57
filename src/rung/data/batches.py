"""Batches: from resident uint8 rows to what the network sees, a pure function of (seed, epoch, position)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from rung import keys
from rung.data.augment import augment, centre_crop, mix
from rung.data.pixels import normalise, to_float
from rung.recipe import Augment, Pixels

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Batch:
    """One step's rows.

    images: float32 (N,C,H,W), normalised, channels last in memory; targets: int64 (N,), or float32 (N,K) when rows are mixed;
    labels: int64 (N,), the rows' own; rows: int64 (N,), numbers in the resident images.
    """

    images: torch.Tensor
    targets: torch.Tensor
    labels: torch.Tensor
    rows: torch.Tensor


@dataclass(frozen=True)
class Batches:
    """The rows of one part, resident on the device.

    images: uint8 (N,C,H,W), channels last in memory; labels: int64 (N,); classes: how many there are;
    sources: where each row came from, for messages; evaluation_batch_size: how many small images are answered at once in evaluation mode.
    """

    images: torch.Tensor
    labels: torch.Tensor
    classes: int
    pixels: Pixels
    settings: Augment
    seed: int
    sources: Sequence[str] = ()
    own_augmentations: Sequence[Callable[..., Any]] = ()
    balanced: bool = False
    evaluation_batch_size: int = 500

    def __len__(self) -> int:
        return len(self.labels)

    def steps(self, batch_size: int) -> int:
        """Return the steps of one epoch. A last batch of one row joins the batch before it: batch norm needs two."""
        full, rest = divmod(len(self), batch_size)
        return max(full + (rest > 1), 1)

    def training(self, epoch: int, batch_size: int, first_step: int = 0) -> Iterator[Batch]:
        """Yield the shuffled, augmented batches of an epoch, from step `first_step` on."""
        order = torch.from_numpy(self._order(epoch)).to(self.labels.device)
        stream = keys.stream(self.seed, "augment", epoch)
        steps = self.steps(batch_size)
        for step in range(first_step, steps):
            start, end = step * batch_size, (step + 1) * batch_size if step < steps - 1 else len(order)
            rows = order[start:end]
            # A balanced epoch can meet a row twice: its position keeps the two from being augmented alike.
            counters = torch.arange(start, end, device=rows.device) if self.balanced else rows
            yield self._augmented(rows, keys.row_keys(stream, counters), keys.stream(self.seed, "mix", epoch * steps + step))

    def _augmented(self, rows: torch.Tensor, image_keys: torch.Tensor, mix_key: int) -> Batch:
        labels = targets = self.labels[rows]
        images = to_float(self.images[rows])
        if self.settings.offline_copies == 0:
            images = augment(images, image_keys, self.settings, self.own_augmentations)
            if self.settings.mixup_alpha or self.settings.cutmix_alpha:
                images, targets = mix(images, torch.nn.functional.one_hot(labels, self.classes).float(), mix_key, self.settings)
        return Batch(self._normalised(images), targets, labels, rows)

    def at_once(self) -> int:
        """Return how many rows evaluation takes at once: evaluation_batch_size, and of images above 64 pixels a side so many as need no more memory."""
        height, width = self.images.shape[2:]
        return max(1, min(self.evaluation_batch_size, self.evaluation_batch_size * 64 * 64 // (height * width)))

    def evaluation(self) -> Iterator[Batch]:
        """Yield all rows in order, never augmented, `at_once` at a time."""
        batch_size = self.at_once()
        for start in range(0, len(self), batch_size):
            rows = torch.arange(start, min(start + batch_size, len(self)), device=self.labels.device)
            images = to_float(self.images[rows])
            if self.settings.crop:
                images = centre_crop(images, self.settings.crop)
            yield Batch(self._normalised(images), self.labels[rows], self.labels[rows], rows)

    def _normalised(self, images: torch.Tensor) -> torch.Tensor:
        return normalise(images, self.pixels).contiguous(memory_format=torch.channels_last)

    def _order(self, epoch: int) -> Rows:
        count = len(self)
        if not self.balanced:
            return keys.permutation(self.seed, "order", epoch, count)
        # Each position draws a class, then a row of it: every class is met equally often in expectation.
        labels = self.labels.cpu().numpy()
        position_keys = keys.row_keys(keys.stream(self.seed, "balanced order", epoch), np.arange(count, dtype=np.int64))
        present = np.unique(labels)
        drawn = present[(keys.uniform(position_keys, 0) * len(present)).astype(np.int64)]
        order = np.empty(count, dtype=np.int64)
        for label in present:
            places, members = np.flatnonzero(drawn == label), np.flatnonzero(labels == label)
            order[places] = members[(keys.uniform(position_keys[places], 1) * len(members)).astype(np.int64)]
        return order


def resident(images: npt.NDArray[np.uint8], device: torch.device) -> torch.Tensor:
    """Put uint8 (N,H,W,C) images on the device as (N,C,H,W), channels last in memory."""
    return torch.from_numpy(np.ascontiguousarray(images)).to(device).permute(0, 3, 1, 2)
