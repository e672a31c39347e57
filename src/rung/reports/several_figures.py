"""The figures of pages about several runs: scores and differences with intervals, and lines of many runs in one pair of axes; each an inline SVG text."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from rung.reports.svg import Panel, circle, document, nice_ticks, segment, text
from rung.words import shorten

HUES: Final = 8  # colours of the style sheet, hue0, hue1 ..; more lines begin again
_LINE: Final = 30  # pixels from one row of a strip to the next
_NAME: Final = 26  # letters of a name beside a strip

Words = Callable[[float], str]


@dataclass(frozen=True)
class Bar:
    """One row of a strip: a value with its interval (None: there is none), single values beside it, and its colour."""

    name: str
    value: float
    low: float | None
    high: float | None
    hue: int
    singles: tuple[float, ...] = ()


@dataclass(frozen=True)
class Line:
    """One line of a panel; low, high: bounds of a band around it, as many as values, or empty; dashed: for what belongs to a line of the same colour."""

    name: str
    hue: int
    xs: tuple[float, ...]
    ys: tuple[float, ...]
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    dashed: bool = False


def hue(place: int) -> str:
    """Return the class of the style sheet for the n-th colour."""
    return f"hue{place % HUES}"


def strip(bars: Sequence[Bar], title: str, words: Words, *, zero: bool = False, limits: tuple[float, float] = (-math.inf, math.inf)) -> str:
    """Draw values with their intervals below each other on one axis; zero: draw the line of no difference; limits: of what the axis may show."""
    ends = [v for bar in bars for v in (bar.value, bar.low, bar.high, *bar.singles) if v is not None and math.isfinite(v)] + ([0.0] if zero else [])
    room = (max(ends) - min(ends)) * 0.06 or abs(max(ends)) * 0.05 or 0.05
    reach = (max(min(ends) - room, limits[0]), min(max(ends) + room, limits[1]))
    left = 24 + 6.4 * max(min(len(bar.name), _NAME) for bar in bars)
    panel = Panel(reach, (0, 1), width=520, height=52 + _LINE * len(bars), margins=(8, 18, 40, left))
    ticks = nice_ticks(*reach)
    body = "".join(segment(panel.x(v), panel.top, panel.x(v), panel.bottom, "grid") for v in ticks)
    body += "".join(text(panel.x(v), panel.bottom + 17, words(v), "tick", "middle") for v in ticks)
    body += text((panel.left + panel.right) / 2, panel.height - 4, title, "name", "middle")
    if zero:
        body += segment(panel.x(0), panel.top, panel.x(0), panel.bottom, "best")
    for place, bar in enumerate(bars):
        body += _bar(panel, bar, panel.top + 16 + place * _LINE)
    spoken = "; ".join(f"{bar.name} {words(bar.value)}" for bar in bars)
    return document(panel.width, panel.height, f"{title} with intervals: {spoken}", body)


def _bar(panel: Panel, bar: Bar, y: float) -> str:
    body = text(panel.left - 10, y + 4, shorten(bar.name, _NAME), "tick", "end")
    if bar.low is not None and bar.high is not None:
        body += segment(panel.x(bar.low), y, panel.x(bar.high), y, f"whisker {hue(bar.hue)}")
    body += "".join(circle(panel.x(v), y, 3, f"ring {hue(bar.hue)}") for v in bar.singles)
    return body + circle(panel.x(bar.value), y, 5, f"dot {hue(bar.hue)}")


def lines(
    drawn: Sequence[Line], title: str, x_name: str, y_text: Words | None = None, *, ceiling: float = math.inf, floor: float = math.inf, width: float = 400
) -> str:
    """Draw lines over whole numbers in one pair of axes, each colour once beside its right end; "" if there is no value.

    ceiling: above which no value can lie; floor: what the axis reaches down to at least, so that several panels can be compared.
    """
    drawn = [line for line in drawn if any(map(math.isfinite, line.ys))]
    ends = [v for line in drawn for v in (*line.ys, *line.low, *line.high, floor) if math.isfinite(v)]
    if not ends:
        return ""
    xs = [x for line in drawn for x in line.xs]
    log = math.isinf(ceiling) and min(ends) > 0 and max(ends) > 30 * min(ends)
    room = (max(ends) - min(ends)) * 0.05 or abs(max(ends)) * 0.05 or 0.05
    y_range = (
        (min(ends) / 1.2, max(ends) * 1.2) if log else (max(min(ends) - room, 0.0) if min(ends) >= 0 else min(ends) - room, min(max(ends) + room, ceiling))
    )
    named = _named(drawn)
    margin = 16 + 6.6 * max((len(name) for _, name, _ in named), default=0)
    x_range = (min(xs), max(xs)) if max(xs) > min(xs) else (xs[0] - 0.5, xs[0] + 0.5)
    panel = Panel(x_range, y_range, width=width, height=width * 0.69, margins=(34, margin, 38, 50), y_log=log)
    body = panel.axes(x_name, title, x_text=lambda v: f"{v:,.0f}" if v == int(v) else "", y_text=y_text)
    body += "".join(_band(panel, line) for line in drawn if line.low)
    body += "".join(panel.line(line.xs, line.ys, f"{hue(line.hue)}{' dashed' if line.dashed else ''}") for line in drawn)
    body += panel.end_labels(named)
    return document(panel.width, panel.height, f"{title} of {', '.join(dict.fromkeys(line.name for line in drawn))}", body)


def _named(drawn: Sequence[Line]) -> list[tuple[float, str, str]]:
    """Return one label a name, (height, name, colour), at the end of its first whole line; none where there is one name only."""
    ends: dict[str, tuple[float, str, str]] = {}
    for line in drawn:
        last = next((y for y in reversed(line.ys) if math.isfinite(y)), None)
        if last is not None and not line.dashed:
            ends.setdefault(line.name, (last, shorten(line.name, 14), hue(line.hue)))
    return list(ends.values()) if len(ends) > 1 else []


def _band(panel: Panel, line: Line) -> str:
    upper = [f"{panel.x(x):.1f},{panel.y(y):.1f}" for x, y in zip(line.xs, line.high, strict=True)]
    lower = [f"{panel.x(x):.1f},{panel.y(y):.1f}" for x, y in zip(reversed(line.xs), reversed(line.low), strict=True)]
    return f'<polygon class="shade {hue(line.hue)}" points="{" ".join(upper + lower)}"/>'
