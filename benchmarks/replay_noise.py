"""How often a replay's decisions are judged falsely where nothing differs: noise pooled over a step, over a ladder, or over its steady networks.

    python -m benchmarks.replay_noise            # about ten minutes on one core

Fourteen decisions with as many candidates as those of the CNN ladder, all networks equally good; a false judgement is an interval without 0. spread: how much
the deviation over seeds differs between networks (standard deviation of its logarithm). unstable: so many networks learn with some seeds only, the last ones of
the largest steps; they are worse in truth, so what is judged of them is left out. What came out stands in LOG.md.
"""

from __future__ import annotations

import math

import numpy as np

from rung.study.measured import Measured
from rung.study.referee import compared, pooled
from rung.study.steady import unstable

OTHERS = (1, 4, 4, 4, 1, 4, 3, 6, 7, 3, 4, 1, 2, 2)
WORLDS = ((3, 0.0, 0), (3, 0.5, 0), (5, 0.5, 0), (3, 1.0, 0), (3, 0.0, 1), (3, 0.5, 1), (3, 0.5, 3), (5, 0.5, 1), (2, 0.5, 1))
POOLS = ("step", "ladder", "steady")
ERROR = 0.05


def world(rng: np.random.Generator, seeds: int, spread: float, wild: int) -> list[list[Measured]]:
    """Return the networks of each step, of each the kept one first."""
    largest = sorted(range(len(OTHERS)), key=lambda step: -OTHERS[step])[:wild]

    def measured(step: int, number: int) -> Measured:
        values = 0.7 + 0.01 * math.exp(spread * rng.standard_normal()) * rng.standard_normal(seeds)
        if step in largest and number == OTHERS[step]:
            values[1:] = 0.1
        return Measured(f"{step}, {number}", 1, 1, tuple(range(seeds)), values)

    return [[measured(step, number) for number in range(others + 1)] for step, others in enumerate(OTHERS)]


def decided(steps: list[list[Measured]]) -> dict[str, tuple[bool, list[float]]]:
    """Return for each pool whether any decision of one system was false, and half the width of each interval in points."""
    everyone = [one for step in steps for one in step]
    odd = {one.name for one, far in zip(everyone, unstable([one.values for one in everyone]), strict=True) if far}
    found: dict[str, tuple[bool, list[float]]] = {}
    for pool in POOLS:
        false, widths = False, []
        for kept, *others in steps:
            beside = [one for one in everyone if one is not kept and one not in others] if pool != "step" else []
            left_out = odd if pool == "steady" else set()
            together = pooled(kept, [one for one in [*others, *beside] if one.name not in left_out])
            for other in others:
                if (other.values == 0.1).any():
                    continue
                difference = compared(kept, other, None if other.name in left_out else together, ERROR / len(OTHERS) / len(others))
                false |= difference.low > 0 or difference.high < 0
                widths.append(50 * (difference.high - difference.low))
        found[pool] = false, widths
    return found


def main(systems: int = 300) -> None:
    for seeds, spread, wild in WORLDS:
        rng = np.random.default_rng([seeds, round(10 * spread), wild])
        worlds = [decided(world(rng, seeds, spread, wild)) for _ in range(systems)]
        for pool in POOLS:
            false = np.mean([one[pool][0] for one in worlds])
            width = np.median([width for one in worlds for width in one[pool][1]])
            about = f"{seeds} seeds, spread {spread}, {wild} unstable, noise of the {pool}"
            print(f"{about}: {100 * false:.1f} % of systems with a false judgement, +-{width:.2f} points", flush=True)


if __name__ == "__main__":
    main()
