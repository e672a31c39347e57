"""Worlds with a known truth: how networks that are equally good score over seeds, and over images.

A world is made for one ladder, `world(rng, seeds)`, and gives networks, `draw(count)`: their scores (count, seeds), or those of each image
(count, seeds, images). All networks of a world have the same true score.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from scipy.special import expit

from rung.study.measured import Floats, Measured

Draw = Callable[[int], Floats]
World = Callable[[np.random.Generator, int], Draw]

SCORE: Final = 0.8
DEVIATION: Final = 0.005  # of one seed's score: half a point
IMAGES: Final = 1_000


def equal(rng: np.random.Generator, seeds: int) -> Draw:
    """Every network has the same normal noise."""
    return lambda count: SCORE + DEVIATION * rng.standard_normal((count, seeds))


def uneven(rng: np.random.Generator, seeds: int) -> Draw:
    """Each network has noise of its own size: the middle two thirds differ by a factor of 2.7."""
    return lambda count: SCORE + DEVIATION * np.exp(0.5 * rng.standard_normal((count, 1))) * rng.standard_normal((count, seeds))


def one_noisy(rng: np.random.Generator, seeds: int) -> Draw:
    """The last of the networks drawn together has three times the noise of the others."""
    return lambda count: SCORE + DEVIATION * np.where(np.arange(count) == count - 1, 3, 1)[:, None] * rng.standard_normal((count, seeds))


def noisy_start(rng: np.random.Generator, seeds: int) -> Draw:
    """The first network ever drawn, the start, has three times the noise of the others."""
    drawn = []

    def draw(count: int) -> Floats:
        scale = np.where((np.arange(count) == 0) & (not drawn), 3, 1)
        drawn.append(count)
        return SCORE + DEVIATION * scale[:, None] * rng.standard_normal((count, seeds))

    return draw


def heavy_tails(rng: np.random.Generator, seeds: int) -> Draw:
    """Student's t of 3 degrees of freedom."""
    return lambda count: SCORE + DEVIATION * rng.standard_t(3, (count, seeds))


def bad_seeds(rng: np.random.Generator, seeds: int) -> Draw:
    """One run in twenty loses three points."""
    return lambda count: SCORE + DEVIATION * rng.standard_normal((count, seeds)) - 0.03 * (rng.random((count, seeds)) < 0.05)


def good_seeds(rng: np.random.Generator, seeds: int) -> Draw:
    """Some seeds are better for every network, by a point: pairing takes that away."""
    worth = 0.01 * rng.standard_normal(seeds)
    return lambda count: SCORE + worth + DEVIATION * rng.standard_normal((count, seeds))


def _answers(rng: np.random.Generator, seeds: int, own: float, apart: float) -> Draw:
    """Return networks that answer images of different difficulty right or wrong.

    own: spread of a run's ability. apart: spread of how far networks see an image differently.
    """
    difficulty = 2.2 + 2 * rng.standard_normal(IMAGES)

    def draw(count: int) -> Floats:
        ability = own * rng.standard_normal((count, seeds, 1)) + apart * rng.standard_normal((count, 1, IMAGES))
        return (rng.random((count, seeds, IMAGES)) < expit(difficulty + ability)).astype(np.float64)

    return draw


def same_answers(rng: np.random.Generator, seeds: int) -> Draw:
    """1,000 images, right or wrong; all networks have the same chance at each image, and runs differ by images alone."""
    return _answers(rng, seeds, 0.0, 0.0)


def answers(rng: np.random.Generator, seeds: int) -> Draw:
    """1,000 images, right or wrong; runs differ in ability (about 1 point)."""
    return _answers(rng, seeds, 0.1, 0.0)


def other_answers(rng: np.random.Generator, seeds: int) -> Draw:
    """1,000 images, right or wrong; runs differ in ability, and networks are good at different images: equal over all images, not over these."""
    return _answers(rng, seeds, 0.1, 1.0)


SEEDS: Final[dict[str, World]] = {
    "equal noise": equal,
    "uneven noise": uneven,
    "one noisy candidate": one_noisy,
    "noisy start": noisy_start,
    "heavy tails": heavy_tails,
    "bad seeds": bad_seeds,
    "seeds in common": good_seeds,
}
CROSSED: Final[dict[str, World]] = {
    "images, the same chances": same_answers,
    "images, runs differ": answers,
    "images, runs and networks differ": other_answers,
}


def measured(name: str, scores: Floats) -> Measured:
    """Return scores (n,) or (n, images) as what was measured; all networks cost the same."""
    if scores.ndim == 1:
        return Measured(name, 1, 1, tuple(range(len(scores))), scores)
    return Measured(name, 1, 1, tuple(range(len(scores))), scores.mean(axis=1), scores)
