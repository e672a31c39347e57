"""Whether a network's probabilities mean what they say: of the answers given with 80 %, are 80 % right?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from rung import keys
from rung.evaluate.intervals import Value, with_interval, without_interval

BINS: Final = 15
_DRAWS: Final = 2000


@dataclass(frozen=True)
class Reliability:
    """Answers by their probability, in bins of equal width: bin b holds those in (low, high].

    count: images; confidence: their mean probability of the answer; accuracy: share that is right. Empty bins: None for both.
    """

    low: tuple[float, ...]
    high: tuple[float, ...]
    count: tuple[int, ...]
    confidence: tuple[float | None, ...]
    accuracy: tuple[float | None, ...]


@dataclass(frozen=True)
class _Bins:
    count: npt.NDArray[np.int64]
    confidence: npt.NDArray[np.float64]
    right: npt.NDArray[np.float64]
    squares: npt.NDArray[np.float64]


def _bins(confidence: npt.NDArray[np.float64], right: npt.NDArray[np.bool_], bins: int) -> _Bins:
    """Sums by bin: of confidence, of right answers, and of the squares of (right - confidence)."""
    place = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    gap = right - confidence

    def sums(weights: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return np.bincount(place, weights=weights, minlength=bins).astype(np.float64)

    return _Bins(np.bincount(place, minlength=bins), sums(confidence), sums(right.astype(np.float64)), sums(gap**2))


def reliability(confidence: npt.NDArray[np.float64], right: npt.NDArray[np.bool_], bins: int = BINS) -> Reliability:
    """Return the reliability diagram of answers: confidence (N,) in 0..1, right (N,)."""
    sums = _bins(confidence, right, bins)
    edges = np.arange(bins + 1) / bins

    def means(totals: npt.NDArray[np.float64]) -> tuple[float | None, ...]:
        return tuple(float(t / n) if n else None for t, n in zip(totals, sums.count, strict=True))

    return Reliability(tuple(edges[:-1].tolist()), tuple(edges[1:].tolist()), tuple(sums.count.tolist()), means(sums.confidence), means(sums.right))


def calibration_error(confidence: npt.NDArray[np.float64], right: npt.NDArray[np.bool_], level: float) -> Value:
    """Return the expected calibration error: mean over images of |accuracy - confidence| of the image's bin, 15 equal-width bins.

    Naeini, Cooper and Hauskrecht, AAAI 2015; the 15 bins of Guo et al., "On Calibration of Modern Neural Networks", ICML 2017.
    The measure is biased upwards: noise makes a gap in every bin. The interval takes the bias away twice, as if each bin's true gap were
    the one found, and as if gaps within two standard errors of 0 were 0, and keeps the lower low and the higher high: by bootstrap, each
    draw telling how many images fall in each bin and, by the normal approximation, their gap.
    """
    sums = _bins(confidence, right, BINS)
    images = len(confidence)
    value = float(np.abs(sums.right - sums.confidence).sum() / images)
    if images < 2:
        return without_interval(value, level, "one image has no spread")
    filled = np.maximum(sums.count, 1)
    gap = (sums.right - sums.confidence) / filled
    variance = np.maximum(sums.squares / filled - gap**2, 0)
    clear = np.where(gap**2 > 4 * variance / filled, gap, 0.0)
    generator = np.random.default_rng(keys.torch_seed(0, "interval of the calibration error"))
    counts = generator.multinomial(images, sums.count / images, size=_DRAWS)
    noise = np.sqrt(counts * variance) * generator.standard_normal((_DRAWS, BINS))
    lows, highs = [], []
    for true in (gap, clear):
        error = np.abs(counts * true + noise).sum(axis=1) / images - np.abs(sums.count * true).sum() / images
        upper, lower = np.quantile(error, [(1 + level) / 2, (1 - level) / 2])
        lows.append(value - upper)
        highs.append(value - lower)
    return with_interval(value, min(max(min(lows), 0.0), value), max(*highs, value), level, f"bootstrap of the bins less its bias, {_DRAWS} draws")


def brier(probabilities: npt.NDArray[np.float64], labels: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Return each image's squared distance between probabilities (N,K) and the truth, (N,) in 0..2 (Brier, Monthly Weather Review 78, 1950)."""
    true = probabilities[np.arange(len(labels)), labels]
    distance: npt.NDArray[np.float64] = (probabilities**2).sum(axis=1) - true**2 + (1 - true) ** 2
    return np.maximum(distance, 0)
