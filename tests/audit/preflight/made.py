"""Records for the checks of the pre-flight, made by hand: rows of random images, batches of them, and traces of trainings."""

from dataclasses import replace
from typing import Any

import numpy as np
import torch

from rung.audit.preflight.rows import Held
from rung.audit.preflight.watch import Forward, Trace
from rung.data.batches import Batches, resident
from rung.recipe import Augment, Pixels

DRAWS = np.random.default_rng(0)
PIXELS = Pixels(size=4, colour="grey", normalise="standard", mean=(0.4,), deviation=(0.3,))


def some(count: int, classes: int = 4) -> Held:
    return Held(DRAWS.integers(0, 256, (count, 4, 4, 1), dtype=np.uint8), np.arange(count) % classes)


def batches(held: Held, classes: int = 4, pixels: Pixels = PIXELS, **fields: Any) -> Batches:
    images = resident(held.images, torch.device("cpu"))
    return Batches(images, torch.from_numpy(held.labels), classes, pixels, fields.pop("settings", Augment()), 0, **fields)


def given(held: Held, pixels: Pixels = PIXELS) -> torch.Tensor:
    return torch.cat([batch.images for batch in batches(held, pixels=pixels).evaluation()])


def trace(**fields: Any) -> Trace:
    base = Trace((), (2.0, 1.9), (), {}, {}, 0.1, None)
    return replace(base, **fields)


def forward(held: Held, chosen: slice = slice(None), epoch: int = 0, training: bool = True, logits: torch.Tensor | None = None) -> Forward:
    images = given(held)[chosen]
    return Forward(epoch, training, images, torch.zeros(len(images), 4) if logits is None else logits)
