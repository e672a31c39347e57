"""What every check is given, and small helpers that several checks share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt

from rung.audit.probe import Probe, build
from rung.audit.problem import Problem, Severity
from rung.data.imageset import PARTS, ImageSet
from rung.data.split import Splits
from rung.data.twins import Twins

_GRAVE: Final = 0.25
SHOWN: Final = 12  # groups of rows that a problem carries as evidence, at most


@dataclass(frozen=True)
class Material:
    """Images, the parts that would be trained, chosen and tested on, the twins among the images, and the seed of all draws."""

    images: ImageSet
    splits: Splits
    twins: Twins
    seed: int

    @cached_property
    def probe(self) -> Probe:
        """The features and layers that checks which train share; made when first asked for."""
        return build(self.images, self.part_of(), self.twins.components(len(self.images)), self.seed)

    def part_of(self) -> npt.NDArray[np.int8]:
        """Return for each row the index into PARTS of the split that it is in, -1 where it is in none, int8 (N,)."""
        part = np.full(len(self.images), -1, np.int8)
        for number, name in enumerate(PARTS):
            part[getattr(self.splits, name)] = number
        return part


@dataclass(frozen=True)
class Misplaced:
    """Positions, int64, among the probe's rows whose labels do not belong to the images, and the problem that says so."""

    positions: npt.NDArray[np.int64]
    problem: Problem


def of_share(share: float) -> Severity:
    """Return how grave it is that a share of a part is known from an earlier one, 0..1: from a quarter on its scores mean nothing."""
    return "error" if share >= _GRAVE else "warning"


def across(pairs: npt.NDArray[np.int64], part: npt.NDArray[np.int8]) -> Iterator[tuple[str, str, npt.NDArray[np.int64]]]:
    """Give ("train", "test", pairs between these two parts) and so on, the gravest first: train & test, validation & test, train & validation."""
    of_pairs = np.sort(part[pairs], axis=1)
    for low, high in ((0, 2), (1, 2), (0, 1)):
        yield PARTS[low], PARTS[high], pairs[(of_pairs[:, 0] == low) & (of_pairs[:, 1] == high)]


def shown(pairs: npt.NDArray[np.int64] | Sequence[Sequence[int]]) -> tuple[tuple[int, ...], ...]:
    """Return the first groups of rows as a problem carries them."""
    return tuple(tuple(int(row) for row in group) for group in pairs[:SHOWN])
