"""Reads a training log: best epochs, over-fitting, plateau, divergence, and whether it was still getting better.

Every judgement is against the log's own noise from epoch to epoch, so that a flat, noisy curve is called flat. A validation loss that
rises while the training loss falls is over-fitting, whatever else is said of it.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from rung.errors import RunError

Floats = npt.NDArray[np.float64]

_DEVIATIONS: Final = 3.0  # a rise counts from this many deviations of one epoch's noise
_SMALLEST: Final = 0.01  # .. and from this share of the value itself
_SHORTEST: Final = 3  # epochs that a plateau or an over-fit lasts at least


@dataclass(frozen=True)
class Curves:
    """What a training log shows; epochs as the log counts them (from 1), None: not there, or not to be told.

    best_epoch: by the monitor, the first of equal ones; best_loss_epoch: by the validation loss.
    overfit_from: the epoch after the lowest validation loss, if from there on the loss rose and the training loss went on falling (`read`);
    overfit_rise: by how much the loss then rose. noise: deviation of the validation loss from epoch to epoch.
    plateau_from: the epoch since when the best validation accuracy has risen by less than `plateau_gain`, at least 3 epochs before the end.
    diverged_from: since when the training loss has stayed above that of the first epoch, or the first epoch with a loss that is not finite.
    still_improving: the monitor was clearly getting better in the last fifth of the epochs (6 at least; 2 % of flat logs or fewer seem so), and
    no epoch before these beats them: a training that only recovers from a setback has nothing left to gain that it had not already.
    rate_left: the last learning rate as a share of the largest; near 0 the schedule had ended, and a longer
    schedule, not more epochs of it, may still give more.
    """

    epochs: int
    best_epoch: int | None
    best_loss_epoch: int | None
    overfit_from: int | None
    overfit_rise: float | None
    noise: float | None
    plateau_from: int | None
    plateau_gain: float
    diverged_from: int | None
    still_improving: bool
    rate_left: float | None


def read(rows: Sequence[Mapping[str, Any]], *, monitor: str = "validation_loss", plateau_gain: float = 0.005) -> Curves:
    """Read the rows of metrics.jsonl, one an epoch, in their order.

    monitor: the key that best epochs are chosen by; lower is better unless its name speaks of accuracy. plateau_gain: in accuracy, 0..1.

    Over-fitting begins after the lowest validation loss if at least 3 epochs follow, none of which beats it; if the median of the later half
    of these, and that of the last 3, are above the median of the 5 epochs around the lowest by 3 deviations of one epoch's noise and by 1 %;
    and if the training loss is lower at the end than around the lowest. On 6 to 100 epochs of flat, independent noise this calls over-fitting
    in 2 % of logs or fewer; where the noise drifts from epoch to epoch (correlation 0.6) in up to 18 %.

    Raises: RunError if a row has no epoch number, or the numbers do not rise.
    """
    numbers = _epochs(rows)
    loss, accuracy, train_loss = (_column(rows, key) for key in ("validation_loss", "validation_accuracy", "train_loss"))
    monitored = _column(rows, monitor) * (-1 if "accuracy" in monitor else 1)
    best = _lowest(monitored)
    lowest = _lowest(loss)
    noise = np.inf if lowest is None else _noise(loss, lowest)
    rise = None if lowest is None else _overfit_rise(loss, train_loss, lowest)
    plateau = _plateau(accuracy, plateau_gain)
    diverged = _diverged(train_loss, loss)
    rates = _column(rows, "learning_rate")
    return Curves(
        epochs=len(rows),
        best_epoch=_number(numbers, best),
        best_loss_epoch=_number(numbers, lowest),
        overfit_from=None if rise is None or lowest is None else numbers[lowest + 1],
        overfit_rise=rise,
        noise=noise if np.isfinite(noise) else None,
        plateau_from=_number(numbers, plateau),
        plateau_gain=plateau_gain,
        diverged_from=_number(numbers, diverged),
        still_improving=diverged is None and _still_falling(monitored),
        rate_left=float(rates[-1] / rates.max()) if len(rates) and np.isfinite(rates).all() and rates.max() > 0 else None,
    )


def _epochs(rows: Sequence[Mapping[str, Any]]) -> list[int]:
    numbers = [row.get("epoch") for row in rows]
    for place, number in enumerate(numbers):
        if not isinstance(number, int) or isinstance(number, bool):
            raise RunError(f"row {place + 1} of the training log has the epoch {number!r}, expected a whole number: the log is damaged")
    found = [int(number) for number in numbers if number is not None]
    for before, after in itertools.pairwise(found):
        if after <= before:
            raise RunError(f"the training log goes from epoch {before} to epoch {after}, expected rising numbers: the log is damaged")
    return found


def _column(rows: Sequence[Mapping[str, Any]], key: str) -> Floats:
    """Return one value a row, NaN where there is no number."""
    values = [row.get(key) for row in rows]
    return np.array([float(v) if isinstance(v, int | float) else np.nan for v in values], dtype=np.float64)


def _number(numbers: Sequence[int], place: int | None) -> int | None:
    return None if place is None else numbers[place]


def _lowest(values: Floats) -> int | None:
    finite = np.where(np.isfinite(values), values, np.inf)
    return int(finite.argmin()) if np.isfinite(finite).any() else None


def _noise(values: Floats, lowest: int) -> float:
    """Return the deviation of one epoch's value from a smooth course, from third differences (20 variances each) since shortly before the lowest.

    Third ones, because a course that falls, turns and rises has large second differences itself. The larger of a mean and a median estimate:
    with few epochs either can be far too small by chance.
    """
    recent = values[max(0, min(lowest - 2, len(values) - 6)) :]
    jumps = np.abs(np.diff(recent[np.isfinite(recent)], 3))
    if not len(jumps):
        return float("inf")
    return float(max(np.median(jumps) / 0.6745, jumps.mean() / 0.7979) / np.sqrt(20))


def _overfit_rise(loss: Floats, train_loss: Floats, lowest: int) -> float | None:
    after = loss[lowest + 1 :]
    if len(after) < _SHORTEST or not np.isfinite(after).all():
        return None
    around = slice(max(lowest - 2, 0), lowest + 3)
    floor = float(np.median(loss[around][np.isfinite(loss[around])]))
    later = after[-max(_SHORTEST, len(after) // 2) :]
    rise = float(min(np.median(after[-3:]), np.median(later))) - floor
    fitting = not np.isfinite(train_loss).all() or np.median(train_loss[-3:]) < np.median(train_loss[around])
    return rise if fitting and rise > max(_DEVIATIONS * _noise(loss, lowest), _SMALLEST * abs(floor)) else None


def _plateau(accuracy: Floats, gain: float) -> int | None:
    """The first place from which the best accuracy so far rose by less than `gain` until the end."""
    if len(accuracy) <= _SHORTEST or not np.isfinite(accuracy).all():
        return None
    best = np.maximum.accumulate(accuracy)
    since = int(np.flatnonzero(best[-1] - best < gain)[0])
    return since if len(accuracy) - 1 - since >= _SHORTEST else None


def _diverged(train_loss: Floats, validation_loss: Floats) -> int | None:
    broken = np.flatnonzero(np.isinf(train_loss) | np.isinf(validation_loss) | (np.isnan(train_loss) & np.isfinite(train_loss).any()))
    if len(broken):
        return int(broken[0])
    if len(train_loss) <= _SHORTEST or not np.isfinite(train_loss).all():
        return None
    not_above = np.flatnonzero(train_loss <= train_loss[0] * (1 + _SMALLEST))
    since = int(not_above[-1]) + 1
    return since if len(train_loss) - since >= _SHORTEST else None


def ending(epochs: int) -> int:
    """Return how many epochs at the end of a log `still_improving` is about: the last fifth, 6 at least."""
    return max(6, epochs // 5)


def _still_falling(values: Floats) -> bool:
    """Whether a line through the ending of the log falls, by Student's t at 0.98, by 1 % or more over its length, and to the lowest value of all."""
    from scipy.special import stdtrit

    window = ending(len(values))
    if len(values) < window or not np.isfinite(values).all():
        return False
    recent, before, steps = values[-window:], values[:-window], np.arange(window) - (window - 1) / 2
    if len(before) and before.min() < recent.min():
        return False
    slope = float((steps * recent).sum() / (steps**2).sum())
    scatter = float(((recent - recent.mean() - slope * steps) ** 2).sum()) / (window - 2)
    deviation = np.sqrt(scatter / (steps**2).sum())
    least = max(float(stdtrit(window - 2, 0.98)) * deviation, _SMALLEST * abs(float(np.median(recent))) / (window - 1))
    return -slope > float(least)
