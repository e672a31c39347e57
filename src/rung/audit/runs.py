"""The stretch of rows that stands out most."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def best_run(terms: npt.NDArray[np.float64]) -> tuple[int, int, float]:
    """Return start, stop and sum of the run terms[start:stop] whose sum is largest; terms float64 (n,), n > 0.

    (J. Bentley, "Algorithm design techniques", 1984, the problem of the maximal sum.)
    """
    sums = np.concatenate([[0.0], np.cumsum(terms)])
    lowest = np.minimum.accumulate(sums[:-1])
    stop = int((sums[1:] - lowest).argmax()) + 1
    start = int(sums[:stop].argmin())
    return start, stop, float(sums[stop] - sums[start])
