"""Several values of one figure, as a table shows them."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

import numpy as np

from rung.evaluate.intervals import t_interval


def spread(values: Sequence[float], digits: int = 0) -> str:
    """Write the median of some values and the lowest and highest of them."""
    return f"{statistics.median(values):,.{digits}f} ({min(values):,.{digits}f}..{max(values):,.{digits}f})"


def interval(values: Sequence[float], digits: int = 2, sign: str = "") -> str:
    """Write Student's 95 % interval of the mean, or nothing for a single value; sign: "+" where each bound is to have one."""
    found = t_interval(np.array(values, dtype=np.float64), 0.95)
    return "" if found.low is None or found.high is None else f"{found.low:{sign}.{digits}f}..{found.high:{sign}.{digits}f}"
