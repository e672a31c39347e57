"""A small drawing kit: panels with axes as inline SVG whose colours come from the page's style sheet (light, dark, paper).

Made by hand and not by a plotting library: text stays text, a figure has a few kilobytes, follows the page's colours, and equal input gives equal bytes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

from rung.words import decimal, visible


def nice_ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Return round numbers (steps of 1, 2 or 5 times a power of ten) inside low..high, about so many and two at least."""
    if high <= low:
        return [low]
    raw = (high - low) / max(1, about - 1)
    magnitude = 10.0 ** math.floor(math.log10(raw))
    steps = (magnitude, 2 * magnitude, 5 * magnitude, 10 * magnitude)
    at = next(i for i, step in enumerate(steps) if step >= raw * 0.999)
    found = _multiples(steps[at], low, high)
    return found if len(found) > 1 else _multiples(steps[max(at - 1, 0)], low, high)


def _multiples(step: float, low: float, high: float) -> list[float]:
    first = math.ceil(low / step - 1e-9)
    return [round(i * step, 12) for i in range(first, math.floor(high / step + 1e-9) + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """Return powers of ten inside low..high; where fewer than two fit, also their doubles and fives."""
    powers = range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 2)
    tens = [t for p in powers if low * 0.999 <= (t := 10.0**p) <= high * 1.001]
    if len(tens) > 1:
        return tens
    return [t for p in powers for m in (1, 2, 5) if low * 0.999 <= (t := m * 10.0**p) <= high * 1.001]


def document(width: float, height: float, label: str, body: str) -> str:
    """Return one inline SVG picture with its alternative text."""
    return f'<svg class="plot" viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{escape(visible(label))}">{body}</svg>'


def text(x: float, y: float, content: str, kind: str = "", anchor: str = "start", turn: float = 0) -> str:
    """Return one text, its baseline at y; kind: classes of the style sheet."""
    turned = f' transform="rotate({turn:g} {x:.1f} {y:.1f})"' if turn else ""
    classes = f' class="{kind}"' if kind else ""
    where = "" if anchor == "start" else f' text-anchor="{anchor}"'
    return f'<text x="{x:.1f}" y="{y:.1f}"{classes}{where}{turned}>{escape(visible(content))}</text>'


def segment(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    """Return one straight line."""
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def box(x: float, y: float, width: float, height: float, kind: str) -> str:
    """Return one filled rectangle."""
    return f'<rect class="{kind}" x="{x:.1f}" y="{y:.1f}" width="{max(0.0, width):.1f}" height="{max(0.0, height):.1f}"/>'


def circle(x: float, y: float, radius: float, kind: str, about: str = "") -> str:
    """Return one dot or ring; about: what a pointer shows of it."""
    title = f"<title>{escape(visible(about))}</title></circle>" if about else ""
    return f'<circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="{radius:g}"{">" if about else "/>"}{title}'


@dataclass(frozen=True)
class Panel:
    """One pair of axes: what lies between `x_range` and `y_range` is drawn inside the margins (top, right, bottom, left; pixels)."""

    x_range: tuple[float, float]
    y_range: tuple[float, float]
    width: float = 400
    height: float = 276
    margins: tuple[float, float, float, float] = (34, 74, 38, 50)
    x_log: bool = False
    y_log: bool = False

    @property
    def left(self) -> float:
        """Pixels of the left end of the x axis."""
        return self.margins[3]

    @property
    def right(self) -> float:
        """Pixels of the right end of the x axis."""
        return self.width - self.margins[1]

    @property
    def top(self) -> float:
        """Pixels of the upper end of the y axis."""
        return self.margins[0]

    @property
    def bottom(self) -> float:
        """Pixels of the lower end of the y axis."""
        return self.height - self.margins[2]

    def x(self, value: float) -> float:
        """Return the pixels from the left of a value."""
        return self.left + _share(value, self.x_range, self.x_log) * (self.right - self.left)

    def y(self, value: float) -> float:
        """Return the pixels from the top of a value."""
        return self.bottom - _share(value, self.y_range, self.y_log) * (self.bottom - self.top)

    def axes(self, x_name: str, y_name: str, x_text: Callable[[float], str] | None = None, y_text: Callable[[float], str] | None = None) -> str:
        """Draw grid lines, tick texts and the names of both axes; an x value whose text is empty gets no tick."""
        x_text, y_text = x_text or _tick_text, y_text or _tick_text
        xs = [v for v in (log_ticks(*self.x_range) if self.x_log else nice_ticks(*self.x_range, 7)) if x_text(v)]
        ys = log_ticks(*self.y_range) if self.y_log else nice_ticks(*self.y_range, 6)
        parts = [segment(self.left, self.y(v), self.right, self.y(v), "grid") + text(self.left - 7, self.y(v) + 4, y_text(v), "tick", "end") for v in ys]
        parts += [
            segment(self.x(v), self.bottom, self.x(v), self.bottom + 4, "axis") + text(self.x(v), self.bottom + 17, x_text(v), "tick", "middle") for v in xs
        ]
        parts.append(segment(self.left, self.bottom, self.right, self.bottom, "axis"))
        parts.append(text((self.left + self.right) / 2, self.height - 4, x_name, "name", "middle"))
        parts.append(text(0, 12, y_name, "name"))
        return "".join(parts)

    def line(self, xs: Sequence[float], ys: Sequence[float], kind: str) -> str:
        """Draw a line through points, left to right; values that are not finite break it, a lone point is a dot."""
        pieces: list[list[tuple[float, float]]] = [[]]
        for x, y in zip(xs, ys, strict=True):
            if math.isfinite(x) and math.isfinite(y):
                pieces[-1].append((self.x(x), self.y(y)))
            elif pieces[-1]:
                pieces.append([])
        drawn = []
        for piece in pieces:
            if len(piece) > 1:
                drawn.append(f'<polyline class="line {kind}" points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in piece)}"/>')
            elif piece:
                drawn.append(circle(*piece[0], 3, f"dot {kind}"))
        return "".join(drawn)

    def ring(self, x: float, y: float, kind: str) -> str:
        """Draw a small ring, for a single value that is not part of a line."""
        return circle(self.x(x), self.y(y), 4.5, f"ring {kind}")

    def end_labels(self, labels: Sequence[tuple[float, str, str]]) -> str:
        """Write the names of lines beside their right ends, (value, name, kind), moved apart where they would touch."""
        if not labels:
            return ""
        ordered = sorted(((self.y(value) + 4, name, kind) for value, name, kind in labels), key=lambda item: item[0])
        placed: list[float] = []
        for wanted, _, _ in ordered:
            placed.append(max(wanted, placed[-1] + 14 if placed else self.top + 4))
        overflow = placed[-1] - (self.bottom + 2)
        if overflow > 0:
            placed = [min(p, self.bottom + 2 - 14 * (len(placed) - 1 - i)) for i, p in enumerate(placed)]
        return "".join(text(self.right + 9, y, name, f"label {kind}") for y, (_, name, kind) in zip(placed, ordered, strict=True))


def _share(value: float, limits: tuple[float, float], log: bool) -> float:
    low, high = limits
    if log:
        low, high, value = math.log10(low), math.log10(high), math.log10(value)
    return (value - low) / (high - low) if high > low else 0.5


def _tick_text(value: float) -> str:
    if value == int(value) and abs(value) < 1e6:
        return f"{int(value):,}"
    return f"{value:.10g}" if 1e-4 <= abs(value) < 1e6 else decimal(value, 1).replace("e-0", "e-")
