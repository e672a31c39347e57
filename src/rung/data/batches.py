"""Batches: from uint8 rows, in memory or mapped from the disk, to what the network sees, a pure function of (seed, epoch, position)."""

from __future__ import annotations

import mmap
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch

from rung import keys
from rung.data.affine import shrink
from rung.data.augment import augment, centre_crop, mix
from rung.data.pixels import normalise, to_float
from rung.recipe import Augment, Pixels, Views

Rows = npt.NDArray[np.int64]

_AHEAD_VALUES: Final = 2**25  # at most, of images that are augmented ahead: 128 MiB
_SHARE_OF_MEMORY: Final = 0.25  # of the device: mapped images of more bytes stay on the disk
_LIMIT: Final = Path("/sys/fs/cgroup/memory.max")  # of a container


@dataclass(frozen=True)
class Batch:
    """One step's rows.

    images: float32 (N,C,H,W), normalised, channels last in memory; targets: int64 (N,), or float32 (N,K) when rows are mixed;
    labels: int64 (N,), the rows' own; rows: int64 (N,), numbers in the images of the part.
    """

    images: torch.Tensor
    targets: torch.Tensor
    labels: torch.Tensor
    rows: torch.Tensor


@dataclass(frozen=True)
class OnDisk:
    """Some rows of images that are mapped from the disk, for a device; indexed by a tensor of row numbers it gives them as a tensor would.

    mapped: uint8 (M,H,W,C); rows: int64 (N,).
    """

    mapped: npt.NDArray[np.uint8]
    rows: Rows
    device: torch.device

    @property
    def shape(self) -> torch.Size:
        """(N,C,H,W)"""
        height, width, channels = self.mapped.shape[1:]
        return torch.Size((len(self.rows), channels, height, width))

    def __getitem__(self, rows: torch.Tensor) -> torch.Tensor:
        """Return uint8 (n,C,H,W), channels last in memory."""
        return resident(np.take(self.mapped, self.rows[rows.cpu().numpy()], axis=0), self.device)


@dataclass(frozen=True)
class Batches:
    """The rows of one part.

    images: uint8 (N,C,H,W), channels last in memory; labels: int64 (N,); classes: how many there are;
    sources: where each row came from, for messages; evaluation_batch_size: how many small images are answered at once in evaluation mode;
    total_steps: of the whole training, for settings.rising_sizes; views: what evaluation answers each image by.
    """

    images: torch.Tensor | OnDisk
    labels: torch.Tensor
    classes: int
    pixels: Pixels
    settings: Augment
    seed: int
    sources: Sequence[str] = ()
    own_augmentations: Sequence[Callable[..., Any]] = ()
    balanced: bool = False
    evaluation_batch_size: int = 500
    total_steps: int = 1
    views: Views = "one"

    def __len__(self) -> int:
        return len(self.labels)

    def whole(self) -> torch.Tensor:
        """Return the images of all rows on the device, uint8 (N,C,H,W)."""
        return self._picked(torch.arange(len(self), device=self.labels.device))

    def corner(self) -> Batches:
        """Return the same rows with one pixel of each image: enough to count rows by, however large the images are."""
        images = self.images if isinstance(self.images, torch.Tensor) else replace(self.images, mapped=self.images.mapped[:, :1, :1])
        return replace(self, images=images[:, :, :1, :1] if isinstance(images, torch.Tensor) else images)

    def steps(self, batch_size: int) -> int:
        """Return the steps of one epoch. A last batch of one row joins the batch before it: batch norm needs two."""
        full, rest = divmod(len(self), batch_size)
        return max(full + (rest > 1), 1)

    def training(self, epoch: int, batch_size: int, first_step: int = 0) -> Iterator[Batch]:
        """Yield the shuffled, augmented batches of an epoch, from step `first_step` on."""
        order, steps, ahead = self._order(epoch), self.steps(batch_size), self._ahead(batch_size)
        for first in range(first_step, steps, ahead):
            start, last = first * batch_size, min(first + ahead, steps)
            rows = order[start : last * batch_size if last < steps else len(order)]
            images = self._augmented(rows, start, epoch)
            for step in range(first, last):
                here = slice((step - first) * batch_size, (step + 1 - first) * batch_size if step < steps - 1 else None)
                batch = self._mixed(images[here], rows[here], keys.stream(self.seed, "mix", epoch * steps + step))
                yield replace(batch, images=self._normalised(self._sized(batch.images, epoch * steps + step)))

    def _ahead(self, batch_size: int) -> int:
        """Return for how many steps images are augmented at once, each as it would be alone: on a GPU some, for it is done in many small operations."""
        values = batch_size * self.images.shape[1:].numel()
        return max(1, _AHEAD_VALUES // values) if self.labels.is_cuda and not self.own_augmentations else 1

    def _mirrored(self, counters: torch.Tensor, epoch: int) -> torch.Tensor | None:
        """Return which images are mirrored this epoch, bool (N,), where mirroring takes turns (Jordan, arXiv 2404.00498); None where chance decides."""
        if not (self.settings.flip_horizontal and self.settings.flip_alternating):
            return None
        first = keys.uniform(keys.row_keys(keys.stream(self.seed, "first mirrored"), counters), 0) < 0.5
        return first ^ bool(epoch % 2)

    def _sized(self, images: torch.Tensor, step: int) -> torch.Tensor:
        """Shrink images to the size that is due at a step of the training."""
        sizes = self.settings.rising_sizes
        return shrink(images, sizes[step * len(sizes) // self.total_steps]) if sizes else images

    def _augmented(self, rows: torch.Tensor, start: int, epoch: int) -> torch.Tensor:
        """Return rows as an epoch shows them from its position `start` on, float32 (N,C,H,W) in 0..1."""
        images = to_float(self._picked(rows))
        if self.settings.offline_copies:
            return images
        # A balanced epoch can meet a row twice: its position keeps the two from being augmented alike.
        counters = torch.arange(start, start + len(rows), device=rows.device) if self.balanced else rows
        stream = keys.stream(self.seed, "augment", epoch)
        return augment(images, keys.row_keys(stream, counters), self.settings, self.own_augmentations, self._mirrored(counters, epoch))

    def _mixed(self, images: torch.Tensor, rows: torch.Tensor, mix_key: int) -> Batch:
        labels = targets = self.labels[rows]
        if not self.settings.offline_copies and (self.settings.mixup_alpha or self.settings.cutmix_alpha):
            images, targets = mix(images, torch.nn.functional.one_hot(labels, self.classes).float(), mix_key, self.settings)
        return Batch(images, targets, labels, rows)

    def at_once(self) -> int:
        """Return how many rows evaluation takes at once: evaluation_batch_size, and of images above 64 pixels a side so many as need no more memory."""
        height, width = self.images.shape[2:]
        return max(1, min(self.evaluation_batch_size, self.evaluation_batch_size * 64 * 64 // (height * width)))

    def evaluation(self) -> Iterator[Batch]:
        """Yield all rows in order, never augmented, `at_once` at a time."""
        batch_size = self.at_once()
        for start in range(0, len(self), batch_size):
            rows = torch.arange(start, min(start + batch_size, len(self)), device=self.labels.device)
            images = to_float(self._picked(rows))
            if self.settings.crop:
                images = centre_crop(images, self.settings.crop)
            yield Batch(self._normalised(images), self.labels[rows], self.labels[rows], rows)

    def _picked(self, rows: torch.Tensor) -> torch.Tensor:
        if isinstance(self.images, OnDisk):
            return self.images[rows]
        return self.images.permute(0, 2, 3, 1).index_select(0, rows).permute(0, 3, 1, 2)  # whole rows: five times as fast as indexing channels

    def _normalised(self, images: torch.Tensor) -> torch.Tensor:
        return normalise(images, self.pixels).contiguous(memory_format=torch.channels_last)

    def _order(self, epoch: int) -> torch.Tensor:
        """Return the rows of an epoch in their order, int64 (N,)."""
        if self.balanced:
            return torch.from_numpy(self._balanced_order(epoch)).to(self.labels.device)
        row_keys = keys.row_keys(keys.stream(self.seed, "order", epoch), torch.arange(len(self), device=self.labels.device))
        return torch.argsort(row_keys, stable=True)

    def _balanced_order(self, epoch: int) -> Rows:
        count = len(self)
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


def held(images: npt.NDArray[np.uint8], rows: Rows, device: torch.device) -> torch.Tensor | OnDisk:
    """Put these rows of uint8 (N,H,W,C) on the device, or leave them on the disk if they are mapped and would take a large share of its memory."""
    needed = len(rows) * images[:1].nbytes
    if is_mapped(images) and needed > _SHARE_OF_MEMORY * _memory_bytes(device):
        return OnDisk(images, rows, device)
    return resident(images[rows], device)


def is_mapped(images: npt.NDArray[np.uint8]) -> bool:
    """Return whether an array is a view of a file."""
    base: Any = images
    while isinstance(base, np.ndarray):
        base = base.base
    return isinstance(base.obj if isinstance(base, memoryview) else base, mmap.mmap)


def _memory_bytes(device: torch.device) -> int:
    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).total_memory)
    limit = _LIMIT.read_text().strip() if _LIMIT.exists() else "max"
    whole = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return min(int(limit), whole) if limit.isdecimal() else whole
