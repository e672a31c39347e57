"""What was measured of one candidate: the record that the referee judges."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from rung.errors import RunError
from rung.words import listing

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Measured:
    """One candidate's scores, one a seed; higher is better, so a loss is negated.

    parameters, flops: what it costs, used where scores do not decide. seeds: no seed twice. values: float64 (n,), in the order of `seeds`.
    images: float64 (n, N), each image's share of the value (right 1.0, wrong 0.0, or -loss), its mean over the N images is the value; None where the
    score is no mean over images (macro F1) or the seeds were scored on different rows. share: the values are shares 0..1, written as percent.
    Raises RunError where lengths do not fit or a value is no finite number.
    """

    name: str
    parameters: int
    flops: int
    seeds: tuple[int, ...]
    values: Floats
    images: Floats | None = None
    share: bool = True

    def __post_init__(self) -> None:
        if not self.seeds or self.values.shape != (len(self.seeds),) or len(set(self.seeds)) != len(self.seeds):
            raise RunError(
                f"{self.name}: one value for each of its seeds is wanted, no seed twice; got seeds {list(self.seeds)} and values of shape {self.values.shape}"
            )
        if not np.isfinite(self.values).all():
            seed = self.seeds[int(np.argmin(np.isfinite(self.values)))]
            raise RunError(f"{self.name}: the score of seed {seed} is no finite number: look at that run, then leave the candidate out or change it")
        if self.images is not None and (self.images.ndim != 2 or len(self.images) != len(self.seeds) or not self.images.shape[1]):
            raise RunError(f"{self.name}: images must have shape ({len(self.seeds)}, N), one row a seed; got {self.images.shape}")
        if self.images is not None and not np.allclose(self.images.mean(axis=1), self.values, rtol=1e-5, atol=1e-6):
            raise RunError(f"{self.name}: the mean over its images is not its score; leave `images` out where a score is no mean over images")

    @property
    def mean(self) -> float:
        """The mean over seeds."""
        return float(self.values.mean())

    @property
    def cost(self) -> tuple[int, int]:
        """What it costs: parameters first, then FLOPs."""
        return self.parameters, self.flops

    def rows(self, seeds: Sequence[int]) -> list[int]:
        """Return where these seeds stand among its own. Raises RunError for a seed it has not."""
        missing = [str(seed) for seed in seeds if seed not in self.seeds]
        if missing:
            raise RunError(f"{self.name}: no score of seed {listing(missing)}; it has {listing([str(seed) for seed in self.seeds])}")
        return [self.seeds.index(seed) for seed in seeds]

    def take(self, seeds: Sequence[int]) -> Measured:
        """Return the same candidate with these of its seeds, in this order. Raises RunError for a seed it has not."""
        rows = self.rows(seeds)
        if rows == list(range(len(self.seeds))):
            return self
        return replace(self, seeds=tuple(seeds), values=self.values[rows], images=None if self.images is None else self.images[rows])
