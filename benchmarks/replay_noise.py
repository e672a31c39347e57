"""How often a replay's decisions are judged falsely where nothing differs: noise pooled over a step, or over all networks of a ladder.

    python -m benchmarks.replay_noise            # about three minutes on one core

Fourteen decisions with as many candidates as those of the CNN ladder, all networks equally good; a false judgement is an interval without 0. spread: how much
the deviation over seeds differs between networks (standard deviation of its logarithm). What came out stands in LOG.md.
"""

from __future__ import annotations

import math

import numpy as np

from rung.study.measured import Measured
from rung.study.referee import compared, pooled

OTHERS = (1, 4, 4, 4, 1, 4, 3, 6, 7, 3, 4, 1, 2, 2)
WORLDS = ((3, 0.0), (3, 0.5), (5, 0.5), (3, 1.0))
ERROR = 0.05


def decided(rng: np.random.Generator, seeds: int, spread: float) -> dict[str, tuple[bool, list[float]]]:
    """Return for each pool whether any decision of one system was false, and half the width of each interval in points."""

    def measured(name: str) -> Measured:
        values = 0.7 + 0.01 * math.exp(spread * rng.standard_normal()) * rng.standard_normal(seeds)
        return Measured(name, 1, 1, tuple(range(seeds)), values)

    steps = [[measured(f"{step}, {number}") for number in range(others + 1)] for step, others in enumerate(OTHERS)]
    found: dict[str, tuple[bool, list[float]]] = {}
    for pool in ("step", "ladder"):
        false, widths = False, []
        for kept, *others in steps:
            beside = [one for step in steps if step[0] is not kept for one in step] if pool == "ladder" else []
            together = pooled(kept, [*others, *beside])
            for other in others:
                difference = compared(kept, other, together, ERROR / len(OTHERS) / len(others))
                false |= difference.low > 0 or difference.high < 0
                widths.append(50 * (difference.high - difference.low))
        found[pool] = false, widths
    return found


def main(systems: int = 300) -> None:
    for seeds, spread in WORLDS:
        rng = np.random.default_rng([seeds, round(10 * spread)])
        worlds = [decided(rng, seeds, spread) for _ in range(systems)]
        for pool in ("step", "ladder"):
            false = np.mean([world[pool][0] for world in worlds])
            width = np.median([width for world in worlds for width in world[pool][1]])
            print(f"{seeds} seeds, spread {spread}, pooled over the {pool}: {100 * false:.1f} % of systems with a false judgement, +-{width:.2f} points")


if __name__ == "__main__":
    main()
