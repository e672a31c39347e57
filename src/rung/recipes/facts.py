"""What a recipe may know of the images before it is made: see `fast`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Facts:
    """rows: training images; classes: how many; size: pixels a side; mirrored: whether images say the same when mirrored left and right.

    operations: floating-point operations of training that there is time for; None: as many as it needs.
    """

    rows: int
    classes: int
    size: int
    mirrored: bool
    operations: float | None = None


CIFAR = Facts(rows=40_000, classes=10, size=32, mirrored=True)
