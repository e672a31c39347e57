"""The figures of a report that show numbers: curves over epochs, scores with intervals, ROC, reliability; each an inline SVG text."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rung.evaluate import calibration, ranking
from rung.evaluate.intervals import wilson_bounds
from rung.evaluate.predictions import Predictions
from rung.reports.svg import Panel, box, circle, document, nice_ticks, segment, text
from rung.words import PERCENT, decimal, percent, shorten

MANY_CLASSES = 20  # above this, figures show ranges and the worst classes instead of every one
_ABOVE = 9  # pixels from a panel to the words above it, so that they clear a ring at its upper end
_QUARTERS = (0.0, 0.25, 0.5, 0.75, 1.0)


@dataclass(frozen=True)
class Marks:
    """What is marked on the curves: the best epoch, where over-fitting begins (None: nowhere), and which epoch's weights are scored."""

    best: int | None
    overfit_from: int | None
    scored: int | None


@dataclass(frozen=True)
class Curve:
    """One line over the epochs: its name, its colour (a class of the style sheet) and the key of its values in a row of metrics.jsonl."""

    name: str
    kind: str
    key: str
    single: float | None = None  # the scored weights' own value, measured in evaluation mode: a ring at their epoch


def curve_panel(rows: Sequence[Mapping[str, Any]], curves: Sequence[Curve], title: str, marks: Marks, *, shares: bool = False) -> str:
    """Draw lines over epochs; `shares`: the values are 0..1 and written in percent. Epochs without a value are left out; "" if there are none."""
    epochs = [float(row["epoch"]) for row in rows]
    values = {curve.key: [_number(row.get(curve.key)) for row in rows] for curve in curves}
    curves = [curve for curve in curves if any(map(math.isfinite, values[curve.key]))]
    rings = [curve.single for curve in curves if curve.single is not None and marks.scored is not None]
    finite = [v for curve in curves for v in values[curve.key] if math.isfinite(v)] + [v for v in rings if math.isfinite(v)]
    if not finite:
        return ""
    log = not shares and min(finite) > 0 and max(finite) > 30 * min(finite)
    panel = Panel(_epoch_range(epochs), _padded(min(finite), max(finite), log, 1.0 if shares else None), y_log=log)
    body = _mark_band(panel, marks)
    body += panel.axes("epoch", title, x_text=_whole, y_text=_percent_tick if shares else None)
    body += _mark_best(panel, marks)
    body += "".join(panel.line(epochs, values[curve.key], curve.kind) for curve in curves)
    for curve in curves:
        if curve.single is not None and marks.scored is not None and math.isfinite(curve.single):
            body += panel.ring(marks.scored, curve.single, curve.kind)
    body += panel.end_labels([(last, curve.name, curve.kind) for curve in curves if (last := _last(values[curve.key])) is not None])
    spoken = "; ".join(f"{curve.name} ends at {_value_text(values[curve.key], shares)}" for curve in curves)
    return document(panel.width, panel.height, f"{title} over {len(epochs)} epochs: {spoken}", body)


def rate_panel(rows: Sequence[Mapping[str, Any]], marks: Marks) -> str:
    """Draw the learning rate over the epochs; logarithmic where it drops by steps of a few powers of ten, not where it runs out towards 0."""
    pairs = [(float(row["epoch"]), rate) for row in rows if math.isfinite(rate := _number(row.get("learning_rate")))]
    if not pairs:
        return ""
    epochs, rates = [p[0] for p in pairs], [p[1] for p in pairs]
    log = min(rates) > 0 and 5 < max(rates) / min(rates) < 2000
    limits = _padded(min(rates), max(rates), log, None) if log else (0.0, max(rates) * 1.15 or 1.0)
    panel = Panel(_epoch_range(epochs), limits, y_log=log)
    body = panel.axes("epoch", "learning rate", x_text=_whole) + _mark_best(panel, Marks(marks.best, None, None)) + panel.line(epochs, rates, "rate")
    return document(panel.width, panel.height, f"learning rate from {decimal(rates[0], 3)} to {decimal(rates[-1], 3)} over {len(rates)} epochs", body)


def score_strip(scores: Sequence[tuple[str, Mapping[str, Any]]], name: str) -> str:
    """Draw one score of several parts, (part, {"value", "low", "high"}), as points with their intervals on one axis of percent."""
    lowest = min(_end(score, "low") for _, score in scores)
    highest = max(_end(score, "high") for _, score in scores)
    height = 58 + 26 * len(scores)
    panel = Panel(_padded(lowest, highest, False, 1.0), (0, 1), width=340, height=height, margins=(8, 16, 38, 82))
    body = "".join(segment(panel.x(v), panel.top, panel.x(v), panel.bottom, "grid") for v in nice_ticks(*panel.x_range))
    body += "".join(text(panel.x(v), panel.bottom + 17, _percent_tick(v), "tick", "middle") for v in nice_ticks(*panel.x_range))
    body += text((panel.left + panel.right) / 2, height - 4, name, "name", "middle")
    for index, (part, score) in enumerate(scores):
        y = panel.top + 14 + index * 26
        body += text(panel.left - 10, y + 4, part, f"label {part}", "end")
        body += segment(panel.x(_end(score, "low")), y, panel.x(_end(score, "high")), y, f"whisker {part}")
        body += circle(panel.x(score["value"]), y, 4.5, f"dot {part}")
    spoken = "; ".join(f"{part} {percent(score['value'])}" for part, score in scores)
    return document(panel.width, height, f"{name} with intervals: {spoken}", body)


@dataclass(frozen=True)
class Figure:
    """A picture and the words of its caption that only its maker knows."""

    svg: str
    legend: str


def roc(predictions: Predictions, areas: Mapping[str, float]) -> Figure:
    """Draw ROC curves, one class against the rest; the three of the smallest areas (by class name) are named. No picture if no class has a curve."""
    wanted = predictions.classes[1:] if len(predictions.classes) == 2 else predictions.classes
    curves = [_corners(curve) for curve in ranking.roc(predictions, points=2000) if curve.name in wanted]
    if not curves:
        return Figure("", "")
    worst = _worst(curves, areas)
    limit = _roc_limit(worst or curves)
    panel = Panel((0, limit), (1 - limit, 1), width=400, height=372, margins=(26, 16, 38, 50))
    body = panel.axes("false alarms: share of the others taken for the class", "hits: share of the class found", _percent_tick, _percent_tick)
    if limit == 1:
        body += segment(panel.x(0), panel.y(0), panel.x(1), panel.y(1), "chance")
    if len(curves) > MANY_CLASSES:
        body += _roc_band(panel, curves, limit)
    else:
        body += "".join(panel.line(*_cut(curve, limit), "quiet") for curve in curves if curve not in worst)
    body += "".join(panel.line(*_cut(curve, limit), f"pick{i}") for i, curve in enumerate(worst))
    for i, curve in enumerate(worst):
        y = panel.bottom - 14 - 18 * (len(worst) - 1 - i)
        body += segment(panel.right - 26, y - 4, panel.right - 4, y - 4, f"line pick{i}")
        body += text(panel.right - 32, y, f"{shorten(curve.name, 22)}: {areas[curve.name]:.4f}", "label", "end")
    spoken = ", ".join(f"{curve.name} {areas[curve.name]:.4f}" for curve in worst)
    picture = document(panel.width, panel.height, f"ROC curves, one class against the rest; smallest areas under the curve: {spoken}", body)
    return Figure(picture, _roc_legend(len(curves), len(worst), limit))


def _worst(curves: Sequence[ranking.Roc], areas: Mapping[str, float]) -> list[ranking.Roc]:
    """Return the three curves of the smallest areas, or fewer: none that has the same area as one left out."""
    ordered = sorted(curves, key=lambda curve: areas[curve.name])
    return [curve for curve in ordered[:3] if len(ordered) <= 3 or areas[curve.name] < areas[ordered[3].name]]


def _roc_legend(curves: int, named: int, limit: float) -> str:
    if curves == 1:
        rest = "The number is the area under the curve; 1 is perfect, 0.5 is chance."
    elif not named:
        rest = f"The lowest of the {curves} classes have the same area, so none is named."
    else:
        others = "" if curves == named else f", the others grey{' (band: the middle 80 % of the classes, line: their median)' if curves > MANY_CLASSES else ''}"
        rest = f"Named with their area: {'the lowest' if named == 1 else f'the {named} lowest'} of {curves} classes{others}."
    return rest if limit == 1 else f"{rest} Only the upper left corner is drawn: false alarms up to {_percent_tick(limit)}."


def _corners(curve: ranking.Roc) -> ranking.Roc:
    """Drop the points that lie on the straight line between their neighbours."""
    x, y = np.array(curve.false_positive), np.array(curve.true_positive)
    keep = np.ones(len(x), dtype=bool)
    keep[1:-1] = ~np.isclose(np.diff(x)[:-1] * np.diff(y)[1:], np.diff(x)[1:] * np.diff(y)[:-1], rtol=0, atol=1e-12)
    return ranking.Roc(curve.name, tuple(x[keep].tolist()), tuple(y[keep].tolist()))


def _roc_limit(curves: Sequence[ranking.Roc]) -> float:
    """Return how much of the upper left corner to show: a round share that holds twice the highest equal error rate."""
    error = max(min(max(x, 1 - y) for x, y in zip(curve.false_positive, curve.true_positive, strict=True)) for curve in curves)
    return next((limit for limit in (0.1, 0.2, 0.5) if limit >= 2 * error), 1.0)


def _cut(curve: ranking.Roc, limit: float) -> tuple[list[float], list[float]]:
    """Return what lies inside the shown corner (false alarms up to `limit`, hits from 1 - `limit`), cut exactly at its edges."""
    x, y, low = curve.false_positive, curve.true_positive, 1 - limit
    points: list[tuple[float, float]] = []
    for i in range(len(x)):
        if i and y[i - 1] < low < y[i]:
            entry = x[i - 1] + (low - y[i - 1]) / (y[i] - y[i - 1]) * (x[i] - x[i - 1])
            points += [(entry, low)] if entry <= limit else []
        if i and x[i - 1] < limit < x[i]:
            leave = y[i - 1] + (limit - x[i - 1]) / (x[i] - x[i - 1]) * (y[i] - y[i - 1])
            points += [(limit, leave)] if leave >= low else []
        if x[i] <= limit and y[i] >= low:
            points.append((x[i], y[i]))
    return [p[0] for p in points], [p[1] for p in points]


def _roc_band(panel: Panel, curves: Sequence[ranking.Roc], limit: float) -> str:
    grid = np.linspace(0, limit, 81)
    stack = np.stack([np.interp(grid, curve.false_positive, curve.true_positive) for curve in curves])
    low, middle, high = (np.clip(q, 1 - limit, 1) for q in np.quantile(stack, (0.1, 0.5, 0.9), axis=0))
    upper = [f"{panel.x(x):.1f},{panel.y(y):.1f}" for x, y in zip(grid, high, strict=True)]
    lower = [f"{panel.x(x):.1f},{panel.y(y):.1f}" for x, y in zip(grid[::-1], low[::-1], strict=True)]
    return f'<polygon class="band" points="{" ".join(upper + lower)}"/>' + panel.line(grid.tolist(), middle.tolist(), "quiet")


def reliability(predictions: Predictions, level: float) -> str:
    """Draw the share of right answers over their confidence, bin by bin with intervals at `level`, and below how many answers each bin holds."""
    probabilities, answers = predictions.probabilities(), predictions.answers()
    bins = calibration.reliability(probabilities[np.arange(len(answers)), answers], answers == predictions.labels)
    panel = Panel((0, 1), (0, 1), width=400, height=400, margins=(26, 16, 106, 50))
    body = "".join(segment(panel.left, panel.y(v), panel.right, panel.y(v), "grid") for v in _QUARTERS)
    body += "".join(text(panel.left - 7, panel.y(v) + 4, _percent_tick(v), "tick", "end") for v in _QUARTERS)
    body += text(0, 12, "share of answers that are right", "name")
    body += segment(panel.x(0), panel.y(0), panel.x(1), panel.y(1), "chance")
    points = [(c, a, n) for c, a, n in zip(bins.confidence, bins.accuracy, bins.count, strict=True) if c is not None and a is not None]
    body += panel.line([c for c, _, _ in points], [a for _, a, _ in points], "quiet")
    for confidence, right, number in points:
        low, high = wilson_bounds(right, number, level)
        body += segment(panel.x(confidence), panel.y(low), panel.x(confidence), panel.y(high), "whisker pick0")
        body += circle(panel.x(confidence), panel.y(right), 4, "dot pick0")
    body += _answers_by_confidence(panel, bins)
    spoken = "; ".join(f"{n:,} answers at {percent(c, 0)}: {percent(a, 0)} right" for c, a, n in points)
    return document(panel.width, panel.height, f"Share of right answers over confidence: {spoken}", body)


def _answers_by_confidence(panel: Panel, bins: calibration.Reliability) -> str:
    """Draw the number of answers in each bin below the panel, with the shared axis of confidence."""
    base, total, tallest = panel.bottom + 68, sum(bins.count), max(bins.count)
    body = segment(panel.left, base, panel.right, base, "axis") + text(panel.left - 7, base, "answers", "tick", "end")
    for low, high, number in zip(bins.low, bins.high, bins.count, strict=True):
        tall = 44 * number / tallest
        body += box(panel.x(low) + 1, base - tall, panel.x(high) - panel.x(low) - 2, tall, "bar") if number else ""
        if number >= 0.1 * total:
            body += text((panel.x(low) + panel.x(high)) / 2, base - tall - 4, f"{number:,}", "tick", "middle")
    body += "".join(text(panel.x(v), base + 17, _percent_tick(v), "tick", "middle") for v in _QUARTERS)
    return body + text((panel.left + panel.right) / 2, panel.height - 2, "confidence of the answer", "name", "middle")


def _mark_band(panel: Panel, marks: Marks) -> str:
    if marks.overfit_from is None:
        return ""
    start = panel.x(marks.overfit_from)
    return box(start, panel.top, panel.right - start, panel.bottom - panel.top, "overfit")


def _mark_best(panel: Panel, marks: Marks) -> str:
    """Draw the line of the best epoch and both marks' names above the panel, side by side."""
    body, free = "", panel.left
    if marks.best is not None:
        x, name = panel.x(marks.best), f"best {marks.best}"
        body += segment(x, panel.top, x, panel.bottom, "best")
        toward_left = x - panel.left > 60
        body += text(x - 3 if toward_left else x, panel.top - _ABOVE, name, "mark", "end" if toward_left else "start")
        free = x + (3 if toward_left else 52)
    if marks.overfit_from is not None:
        body += text(max(panel.x(marks.overfit_from), free), panel.top - _ABOVE, "over-fit", "mark")
    return body


def _epoch_range(epochs: Sequence[float]) -> tuple[float, float]:
    return (epochs[0], epochs[-1]) if len(epochs) > 1 else (epochs[0] - 0.5, epochs[0] + 0.5)


def _padded(low: float, high: float, log: bool, ceiling: float | None) -> tuple[float, float]:
    """Widen a range by a twentieth on both sides, not past `ceiling`; a range without width gets one."""
    if log:
        return low / 1.2, high * 1.2
    room = (high - low) * 0.05 or abs(high) * 0.05 or 0.05
    top = high + room
    return max(low - room, 0.0) if low >= 0 else low - room, min(top, ceiling) if ceiling is not None else top


def _end(score: Mapping[str, Any], end: str) -> float:
    value = score.get(end)
    return float(score["value"]) if value is None else float(value)


def _number(value: Any) -> float:
    return float(value) if value is not None else math.nan


def _last(values: Sequence[float]) -> float | None:
    return next((v for v in reversed(values) if math.isfinite(v)), None)


def _value_text(values: Sequence[float], shares: bool) -> str:
    last = _last(values)
    return "" if last is None else percent(last) if shares else decimal(last)


def _whole(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) else ""


def _percent_tick(value: float) -> str:
    return f"{value * 100:g}{PERCENT}"
