"""Scores of a study and their differences as text: shares in percent and points with two decimals, for seeds differ by less than one; others as numbers."""

from __future__ import annotations

import math

from rung.study.metrics import METRICS, metric_named
from rung.words import PERCENT, decimal, points


def is_share(metric: str) -> bool:
    """Return whether a metric is a share 0..1, written in percent."""
    return metric_named(metric).share


def name_text(metric: str) -> str:
    """Return the name of a metric in a sentence."""
    return metric.replace("_", " ") if metric in METRICS else metric


def value_text(value: float, share: bool) -> str:
    """Write a score: "97.81 %", "0.0823"."""
    return f"{value * 100:.2f}{PERCENT}" if share else decimal(value)


def size_text(value: float, share: bool) -> str:
    """Write how far two scores lie apart: "0.31 points", "0.0120"."""
    return points(value, 2) if share else decimal(value)


def signed_text(value: float, share: bool) -> str:
    """Write a difference with its sign, without a unit: "+0.31", "−0.10"."""
    if math.isinf(value):
        return "no limit"
    text = f"{abs(value) * 100:.2f}" if share else decimal(abs(value))
    if not text.strip("0."):
        return text
    return f"{'−' if value < 0 else '+'}{text}"


def tick_text(value: float, share: bool = True) -> str:
    """Write a value of an axis: "97.5 %", "0.08"."""
    return f"{value * 100:g}{PERCENT}" if share else f"{value:.4g}"


def signed_tick_text(value: float, share: bool = True) -> str:
    """Write a difference on an axis: "+0.5", "0", without a unit."""
    size = tick_text(abs(value), share).removesuffix(PERCENT)
    return size if value == 0 else f"{'+' if value > 0 else '−'}{size}"


def range_text(low: float, high: float, share: bool) -> str:
    """Write the interval of a difference: "−0.10 to +0.72"."""
    return f"{signed_text(low, share)} to {signed_text(high, share)}"
