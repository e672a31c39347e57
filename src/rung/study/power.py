"""What a pilot foretells: the smallest difference that can be seen with so many seeds, and how many seeds or images a difference needs."""

from __future__ import annotations

from dataclasses import dataclass

from rung.study.measured import Measured


@dataclass(frozen=True)
class Estimate:
    """A number that a pilot foretells, with the interval that the pilot's own smallness leaves; high is infinite where it cannot be bounded."""

    value: float
    low: float
    high: float
    level: float


@dataclass(frozen=True)
class Noise:
    """How much a score changes by chance alone, from the seeds of one recipe.

    seeds: how many the pilot had. mean: of the score. deviation: standard deviation of the score over seeds, on the same images.
    discordant: mean squared difference of an image's share between two seeds (of accuracy: the share of images that one gets right and the other wrong);
    None without images. images: how many, 0 without.
    """

    seeds: int
    mean: float
    deviation: Estimate
    discordant: Estimate | None
    images: int
    share: bool


def noise_of(pilot: Measured, *, level: float = 0.95) -> Noise:
    """Return the noise of a pilot; level: of the intervals. Raises RunError with fewer than two seeds."""
    raise NotImplementedError


def smallest_difference(noise: Noise, seeds: int, *, candidates: int = 1, step: int = 1, level: float = 0.05, power: float = 0.8) -> Estimate:
    """Return the smallest true difference that the referee calls better in `power` of trials with `seeds` a candidate."""
    raise NotImplementedError


def seeds_needed(noise: Noise, difference: float, *, candidates: int = 1, step: int = 1, level: float = 0.05, power: float = 0.8) -> Estimate:
    """Return how many seeds a candidate the referee needs to call a true `difference` better in `power` of trials."""
    raise NotImplementedError


def images_needed(noise: Noise, difference: float, *, level: float = 0.05, power: float = 0.8) -> Estimate:
    """Return how many test images show a true `difference` of two networks in `power` of trials. Raises RunError where the pilot has no images."""
    raise NotImplementedError
