"""Accuracy against seconds of training: one line a training, one colour a system; inside a page, or as a picture of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from rung.reports.svg import Panel, circle, document, segment, text
from rung.study.amounts import tick_text
from rung.study.bench import Bench, Trial
from rung.words import percent

_COLOURS: Final = 6  # that the style tells apart; further systems begin anew
_LETTER: Final = 6.6  # pixels of a letter, about
_DOTS: Final = 60  # of a line; longer trainings are drawn without
_ALONE: Final = """
.plot { font: 12.5px -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
.paper { fill: #ffffff; } .plot text { fill: #1b1f24; } .plot .tick, .plot .name, .plot .mark { fill: #59626d; }
.plot .grid { stroke: #dde1e5; } .plot .axis { stroke: #9aa3ad; } .plot .given { stroke: #59626d; stroke-dasharray: 4 3; }
.plot .line { fill: none; stroke-width: 2; stroke-linejoin: round; } .plot .dot { stroke: none; }
"""
_LIGHT: Final = ("#b8480a", "#0072b2", "#00785a", "#8a3b86", "#8a6d00", "#59626d")
_DARK: Final = ("#f0954f", "#56b4e9", "#45c79c", "#d58fd0", "#d6b84a", "#9ea8b3")


def style() -> str:
    """Return the rules by which a page colours the lines, dots and names of systems, in light and in dark."""
    return f"{_rules(_LIGHT)}\n@media screen and (prefers-color-scheme: dark) {{\n{_rules(_DARK)}\n}}"


def colours(bench: Bench) -> Mapping[str, str]:
    """Return the class of the style sheet for each system."""
    return {system: f"system{number % _COLOURS}" for number, system in enumerate(bench.systems())}


def figure(bench: Bench) -> str:
    """Draw all trainings that have epochs; "" if none has."""
    panel = _panel(bench)
    return document(panel.width, panel.height, _spoken(bench), _body(bench, panel)) if panel else ""


def picture(bench: Bench) -> str:
    """Return the same as an SVG file with its own colours on white; "" if there is nothing to draw."""
    panel = _panel(bench)
    if panel is None:
        return ""
    inside = f'<style>{_ALONE}{_rules(_LIGHT)}</style><rect class="paper" width="{panel.width:g}" height="{panel.height:g}"/>{_body(bench, panel)}'
    drawn = document(panel.width, panel.height, _spoken(bench), inside)
    return drawn.replace("<svg ", f'<svg xmlns="http://www.w3.org/2000/svg" width="{panel.width:g}" height="{panel.height:g}" ', 1) + "\n"


def _rules(palette: tuple[str, ...]) -> str:
    return "\n".join(
        f".plot .system{i} {{ stroke: {colour}; }} .plot .dot.system{i}, .plot .label.system{i} {{ fill: {colour}; stroke: none; }} "
        f".key.system{i} {{ background: {colour}; }}"
        for i, colour in enumerate(palette)
    )


def _panel(bench: Bench) -> Panel | None:
    """Return the axes: as many seconds as the longest training took, and from a little below the lowest accuracy to a little above the highest."""
    trials = [trial for system in bench.systems() for trial in bench.finished(system)]
    if not trials:
        return None
    accuracies = [epoch.accuracy for trial in trials for epoch in trial.epochs]
    room = max(0.01, 0.05 * (max(accuracies) - min(accuracies)))
    longest = max(bench.seconds, *(trial.epochs[-1].seconds for trial in trials))
    names = max(len(system) for system in bench.systems() if bench.finished(system))
    limits = max(0.0, min(accuracies) - room), min(1.0, max(accuracies) + room)
    return Panel((0.0, longest), limits, width=820, height=400, margins=(34, 24 + _LETTER * names, 40, 52))


def _body(bench: Bench, panel: Panel) -> str:
    body = panel.axes("seconds of training", "accuracy on the validation images", y_text=tick_text)
    given = panel.x(bench.seconds)
    body += segment(given, panel.top, given, panel.bottom, "given") + text(given - 4, panel.top - 6, f"{bench.seconds:g} s", "mark", "end")
    kinds = colours(bench)
    for system, kind in kinds.items():
        body += "".join(_line(panel, trial, kind) for trial in bench.finished(system))
    ends = [(one.accuracy.median, one.system, kinds[one.system]) for one in bench.standings() if one.accuracy]
    return body + panel.end_labels(ends)


def _line(panel: Panel, trial: Trial, kind: str) -> str:
    points = [(epoch.seconds, epoch.accuracy) for epoch in trial.epochs]
    dots = "".join(circle(panel.x(x), panel.y(y), 2.5, f"dot {kind}") for x, y in points) if len(points) <= _DOTS else ""
    return panel.line([x for x, _ in points], [y for _, y in points], kind) + dots


def _spoken(bench: Bench) -> str:
    ends = [f"{one.system} ends at {percent(one.accuracy.median)}" for one in bench.standings() if one.accuracy]
    return f"Accuracy against seconds of training: {'; '.join(ends)}"
