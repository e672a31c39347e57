"""Which networks tell how much seeds usually differ: not those that learnt nothing, nor those that only some seeds train.

One network that learns with one seed and not with two others has a variance a thousand times that of the rest. In a mean of variances it would be all
that there is, and no other network of its ladder could be told from another any more.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from rung.study.measured import Floats

# Times the usual deviation over seeds, beyond which a network is unstable. With 5 more than 5 % of systems had a false judgement where deviations differ much
# (benchmarks/replay_noise.py); with 10 what trains badly with one seed of three widens all intervals again.
_FAR: Final = 8.0
_BY_CHANCE: Final = 0.01  # how often one at least of networks that are all equally noisy may look so
_LEARNT: Final = 0.05  # of the way from chance to no error; less is nothing


def at_chance(scores: Floats, chance: float) -> bool:
    """Return whether a network has learnt nothing. scores: shares (n,), one a seed; chance: the score of one answer to every image."""
    return float(scores.mean()) - chance < _LEARNT * (1 - chance)


def unstable(scores: Sequence[Floats]) -> list[bool]:
    """Return of each network whether its scores spread far more than those of the rest. scores: (n,) of each, n >= 2 seeds.

    What is usual is the median of the variances, each over the median of chi-squared of its degrees of freedom, so that a few wild ones do not matter. A
    median knows about half as much as a mean: F has half the degrees of freedom of all.
    """
    from scipy.special import chdtri, fdtri

    freedom = np.array([len(one) - 1.0 for one in scores])
    variances = np.array([one.var(ddof=1) for one in scores])
    usual = float(np.median(variances * freedom / chdtri(freedom, 0.5)))
    limits = np.maximum(_FAR**2, fdtri(freedom, freedom.sum() / 2, 1 - _BY_CHANCE / len(freedom)))
    return [usual > 0 and bool(far) for far in variances > limits * usual]
