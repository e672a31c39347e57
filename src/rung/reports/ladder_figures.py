"""The figures of a ladder's page: the climb, and scores against cost; each an inline SVG text."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from rung.reports.svg import Panel, box, circle, document, segment, text
from rung.words import shorten

Words = Callable[[float], str]

_SIDE: Final = 17.0  # pixels from mark to mark
_ROOM: Final = 22.0  # pixels from a step's edge to its first mark
_NARROWEST: Final = 92.0  # pixels of a step, so that its name fits below it
_LETTER: Final = 6.4  # pixels of a letter, about
_APART: Final = 10.0  # pixels between the names of two steps
_LEAST: Final = 640.0  # pixels of the whole figure


@dataclass(frozen=True)
class Mark:
    """One candidate: its score and the interval drawn about it, None where there is none; state: start, kept, other or dropped."""

    name: str
    value: float
    low: float | None
    high: float | None
    state: str


@dataclass(frozen=True)
class Rung:
    """One step: its marks, the start first, and the band in which scores differ by noise alone."""

    name: str
    marks: tuple[Mark, ...]
    band: tuple[float, float] | None


@dataclass(frozen=True)
class Cost:
    """One candidate's cost, its score and its state, as in `Mark`."""

    name: str
    cost: float
    value: float
    state: str


def climb(rungs: Sequence[Rung], metric: str, words: Words) -> str:
    """Draw the steps from left to right: every candidate with its interval, what was kept joined by a line, the band of noise shaded.

    It has its own width, whatever the page's: what is too wide can be moved, so that its letters stay readable.
    words(value): a score as text, for the axis and for what a pointer shows.
    """
    widths = [max(_NARROWEST, 2 * _ROOM + _SIDE * (len(rung.marks) - 1)) for rung in rungs]
    stretch = max(1.0, (_LEAST - 84) / sum(widths))
    edges = [sum(widths[:i]) * stretch for i in range(len(widths) + 1)]
    panel = Panel((0.0, edges[-1]), _range(rungs), width=edges[-1] + 84, height=330, margins=(30, 20, 40, 64))
    body = panel.axes("", metric, x_text=lambda value: "", y_text=words)
    path: list[tuple[float, float]] = []
    for index, rung in enumerate(rungs):
        left, right = edges[index], edges[index + 1]
        body += _ground(panel, rung, left, right, last=index == len(rungs) - 1)
        side = (right - left - 2 * _ROOM * stretch) / max(1, len(rung.marks) - 1)
        places = [left + _ROOM * stretch + side * i if len(rung.marks) > 1 else (left + right) / 2 for i in range(len(rung.marks))]
        body += "".join(_mark(panel, x, mark, words) for x, mark in zip(places, rung.marks, strict=True))
        path += [(x, mark.value) for x, mark in zip(places, rung.marks, strict=True) if mark.state == "kept"]
    line = panel.line([x for x, _ in path], [value for _, value in path], "way") if len(path) > 1 else ""
    drawn = document(panel.width, panel.height, _spoken(rungs, metric, words), line + body)
    return f'<div style="width:{panel.width:.0f}px">{drawn}</div>'


def costs(points: Sequence[Cost], name: str, metric: str, words: Words) -> str:
    """Draw scores over cost, on a logarithmic axis where costs differ by more than three times; "" where there is no cost to draw."""
    if not points:
        return ""
    cheapest, dearest = min(point.cost for point in points), max(point.cost for point in points)
    log = cheapest > 0 and dearest > 3 * cheapest
    room = (dearest - cheapest) * 0.06 or dearest * 0.1 or 1.0
    across = (cheapest / 1.25, dearest * 1.25) if log else (max(0.0, cheapest - room), dearest + room)
    values = [point.value for point in points]
    panel = Panel(across, _padded(min(values), max(values)), margins=(34, 26, 38, 64), x_log=log)
    body = panel.axes(name, metric, x_text=thousands, y_text=words)
    ordered = sorted(points, key=lambda point: point.state == "kept")  # what was kept lies above the others
    for point in ordered:
        about = f"{point.name}: {words(point.value)}, {thousands(point.cost)} {name}"
        body += _dot(panel.x(point.cost), panel.y(point.value), point.state, about)
    kept = [point for point in ordered if point.state == "kept"]
    body += _label(panel, kept[-1]) if kept else ""
    spoken = "; ".join(f"{point.name} {words(point.value)} at {thousands(point.cost)}" for point in points)
    return document(panel.width, panel.height, f"{metric} over {name}: {spoken}", body)


@dataclass(frozen=True)
class Trace:
    """The values of one training over its epochs; kind: train or validation."""

    kind: str
    epochs: tuple[float, ...]
    values: tuple[float, ...]


def traces(lines: Sequence[Trace], title: str, words: Words, *, log: bool = False) -> str:
    """Draw several trainings over their epochs in one pair of axes, named by their kind at the end of the last; "" where there is nothing to draw."""
    finite = [value for line in lines for value in line.values if math.isfinite(value)]
    if not finite:
        return ""
    epochs = [epoch for line in lines for epoch in line.epochs]
    across = (min(epochs), max(epochs)) if max(epochs) > min(epochs) else (min(epochs) - 0.5, max(epochs) + 0.5)
    log = log and min(finite) > 0 and max(finite) > 30 * min(finite)
    panel = Panel(across, (min(finite) / 1.2, max(finite) * 1.2) if log else _padded(min(finite), max(finite)), margins=(34, 74, 38, 58), y_log=log)
    body = panel.axes("epoch", title, x_text=lambda value: f"{value:,.0f}" if value == int(value) else "", y_text=words)
    body += "".join(panel.line(line.epochs, line.values, line.kind) for line in lines)
    last = {line.kind: value for line in lines for value in line.values if math.isfinite(value)}
    body += panel.end_labels([(value, kind, kind) for kind, value in last.items()])
    spoken = "; ".join(f"{kind} ends at {words(value)}" for kind, value in last.items())
    return document(panel.width, panel.height, f"{title}, {len(lines)} lines: {spoken}", body)


def _ground(panel: Panel, rung: Rung, left: float, right: float, last: bool) -> str:
    """Draw what lies below a step's marks: the band of noise, the line of the start, the step's name and the line to the next."""
    body = ""
    if rung.band is not None:
        top, bottom = panel.y(rung.band[1]), panel.y(rung.band[0])
        body += box(panel.x(left), top, panel.x(right) - panel.x(left), bottom - top, "band")
    if rung.marks:
        y = panel.y(rung.marks[0].value)
        body += segment(panel.x(left), y, panel.x(right), y, "chance")
    if not last:
        body += segment(panel.x(right), panel.top, panel.x(right), panel.bottom, "grid")
    fits = int((panel.x(right) - panel.x(left) - _APART) / _LETTER)
    return body + text((panel.x(left) + panel.x(right)) / 2, panel.bottom + 18, shorten(rung.name, max(4, fits)), "tick", "middle")


def _mark(panel: Panel, x: float, mark: Mark, words: Words) -> str:
    across, body = panel.x(x), ""
    about = f"{mark.name}: {words(mark.value)}"
    if mark.low is not None and mark.high is not None:
        body += segment(across, panel.y(mark.low), across, panel.y(mark.high), f"whisker {mark.state}")
        about += f" ({words(mark.low)} to {words(mark.high)})"
    return body + _dot(across, panel.y(mark.value), mark.state, about)


def _dot(x: float, y: float, state: str, about: str) -> str:
    shape = "ring" if state in ("dropped", "start") else "dot"
    return circle(x, y, 4.5, f"{shape} {state}", about)


def _label(panel: Panel, point: Cost) -> str:
    """Name a point beside it, on the side where there is room."""
    toward_left = panel.x(point.cost) > (panel.left + panel.right) / 2
    across = panel.x(point.cost) + (-9 if toward_left else 9)
    fits = int(((across - panel.left) if toward_left else (panel.right - across)) / _LETTER)
    return text(across, panel.y(point.value) - 8, shorten(point.name, max(6, fits)), "label kept", "end" if toward_left else "start")


def _range(rungs: Sequence[Rung]) -> tuple[float, float]:
    values = [value for rung in rungs for mark in rung.marks for value in (mark.value, mark.low, mark.high) if value is not None]
    values += [value for rung in rungs if rung.band for value in rung.band]
    return _padded(min(values), max(values))


def _padded(low: float, high: float) -> tuple[float, float]:
    room = (high - low) * 0.06 or abs(high) * 0.02 or 0.01
    return low - room, high + room


def thousands(value: float) -> str:
    """Write a large number with three digits: "34.9 k", "1.2 M"."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.3g} {letter}"
    return f"{value:.3g}"


def _spoken(rungs: Sequence[Rung], metric: str, words: Words) -> str:
    steps = [
        f"{rung.name}: " + ", ".join(f"{mark.name} {words(mark.value)}" + (" (kept)" if mark.state == "kept" else "") for mark in rung.marks) for rung in rungs
    ]
    return f"{metric}, step by step. " + "; ".join(steps)
