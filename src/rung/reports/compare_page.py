"""Several runs beside each other, as one page that needs nothing but itself."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final

import numpy as np
from markupsafe import Markup

from rung.evaluate.intervals import Value
from rung.reports import compare_findings, pictures, several_figures
from rung.reports.copies import Table, copies
from rung.reports.html import environment
from rung.reports.several_figures import Bar, Line, hue
from rung.study.amounts import name_text, range_text, signed_text, signed_tick_text, tick_text, value_text
from rung.study.compare import Comparison, Contrast, Missed
from rung.study.overlap import SameErrors
from rung.words import PERCENT, count, percent, percent_range, plural, shorten

_MATRIX_CLASSES: Final = 20
_CELLS: Final = 12  # changes of single cells that are listed

_LOGS: Final = (("loss", "loss", False), ("accuracy", "accuracy", True))


def render(comparison: Comparison, missed: Sequence[Missed] = ()) -> str:
    """Return the page as HTML; equal input gives equal text. Everything that comes from a user is escaped. missed: `study.compare.missed`."""
    scores = score_table(comparison)
    view = {
        "comparison": comparison,
        "title": " · ".join(shorten(group.name, 40) for group in comparison.groups),
        "metric": name_text(comparison.metric),
        "verdict": compare_findings.verdict(comparison),
        "facts": _facts(comparison),
        "score_table": scores,
        "score_hues": [hue(place) for place in range(len(comparison.groups))],
        "copies": copies(scores),
        "score_strip": Markup(_scores(comparison)),
        "difference_strip": Markup(_differences(comparison)) if comparison.contrasts else "",
        "difference_sentences": list(compare_findings.differences(comparison)),
        "intervals": compare_findings.intervals(comparison),
        "panels": [Markup(panel) for panel in _logs(comparison) if panel],
        "error_sentences": list(compare_findings.errors(comparison)),
        "error_rows": [_error_row(one, one.errors) for one in comparison.contrasts if one.errors is not None],
        "confusions": [_confusion(comparison, contrast) for contrast in comparison.contrasts if contrast.confusion and contrast.first == _base(comparison)],
        "missed": [{"image": pictures.image_uri(one.image), "missed": one} for one in missed],
        "missed_caption": _missed_caption(len(missed), len(comparison.wrong_in_all or ()), comparison),
        "wrong_in_all": len(comparison.wrong_in_all or ()),
        "settings": list(comparison.groups[0].settings),
        "one_value": lambda value: value_text(value, comparison.share),
        "runs": plural(sum(len(group.runs) for group in comparison.groups), "run"),
    }
    return environment().get_template("compare.html").render(view)


def _base(comparison: Comparison) -> str:
    return comparison.groups[0].name


def _facts(comparison: Comparison) -> list[str]:
    runs = sum(len(group.runs) for group in comparison.groups)
    return [
        plural(runs, "run"),
        plural(len(comparison.groups), "recipe"),
        f"{plural(comparison.images, f'{comparison.part} image')}",
        plural(len(comparison.classes), "class", "classes"),
        f"by {name_text(comparison.metric)}{', lower is better' if comparison.lower_is_better else ''}",
    ]


def _missed_caption(shown: int, wrong: int, comparison: Comparison) -> str:
    runs = sum(len(group.runs) for group in comparison.groups)
    if shown == wrong:
        return f"The {'image' if wrong == 1 else f'{wrong} images'} that all {runs} runs get wrong."
    return f"{shown} of the {plural(wrong, 'image')} that all {runs} runs get wrong: those of which a run keeps a picture."


def score_table(comparison: Comparison) -> Table:
    """Return the scores of the groups as a table of texts, for page and terminal."""
    coarse = ["accuracy by categories"] if any(group.categories for group in comparison.groups) else []
    headings = ("recipe", "seeds", name_text(comparison.metric), "interval", "over", *coarse, "parameters")
    rows = []
    for group in comparison.groups:
        value = group.value
        interval = "" if value.low is None or value.high is None else f"{_plain(value.low, comparison)} to {value_text(value.high, comparison.share)}"
        seeds = ", ".join(map(str, group.seeds)) if len(group.seeds) <= 5 else f"{len(group.seeds)} seeds"
        categories = [_with_interval(group.categories)] if coarse else []
        rows.append((group.name, seeds, value_text(value.value or 0.0, comparison.share), interval, value.covers, *categories, count(group.parameters)))
    return Table(headings, tuple(rows), frozenset({headings[2], *coarse, "parameters"}))


def _with_interval(value: Value | None) -> str:
    """Write an accuracy with its interval, "" where there is none."""
    if value is None or value.value is None:
        return ""
    between = "" if value.low is None or value.high is None else f" ({percent_range(value.low, value.high)})"
    return f"{percent(value.value)}{between}"


def _plain(value: float, comparison: Comparison) -> str:
    return value_text(value, comparison.share).removesuffix(PERCENT)


def difference_table(comparison: Comparison) -> Table:
    """Return the differences of pairs of groups as a table of texts."""
    headings = ("first", "second", "second minus first", "interval", "over", "better")
    rows = []
    for contrast in comparison.contrasts:
        found = contrast.difference
        interval = "none" if found.low is None or found.high is None else range_text(found.low, found.high, comparison.share)
        better = "not ranked" if comparison.differing else contrast.better or "cannot tell"
        rows.append((contrast.first, contrast.second, signed_text(found.estimate, comparison.share), interval, found.covers, better))
    return Table(headings, tuple(rows), frozenset({"second minus first", "interval"}))


def _scores(comparison: Comparison) -> str:
    bars = []
    for place, group in enumerate(comparison.groups):
        singles = tuple(one.value for one in group.each if one.value is not None) if len(group.each) > 1 else ()
        bars.append(Bar(group.name, group.value.value or 0.0, group.value.low, group.value.high, place, singles))
    limits = (0.0, 1.0) if comparison.share else (-math.inf, math.inf)
    return several_figures.strip(bars, name_text(comparison.metric), partial(tick_text, share=comparison.share), limits=limits)


def _differences(comparison: Comparison) -> str:
    bars = [
        Bar(f"{shorten(c.second, 12)} − {shorten(c.first, 12)}", c.difference.estimate, c.difference.low, c.difference.high, _place(comparison, c.second))
        for c in comparison.contrasts
    ]
    unit = ", in points" if comparison.share else ""
    title, limits = f"difference in {name_text(comparison.metric)}{unit}", (-1.0, 1.0) if comparison.share else (-math.inf, math.inf)
    return several_figures.strip(bars, title, partial(signed_tick_text, share=comparison.share), zero=True, limits=limits)


def _place(comparison: Comparison, name: str) -> int:
    return next(place for place, group in enumerate(comparison.groups) if group.name == name)


def _logs(comparison: Comparison) -> list[str]:
    """Return the panels of the training logs: loss and accuracy of all runs, validation as lines, training dashed."""
    panels = []
    for key, title, share in _LOGS:
        drawn = [
            _log_line(group.name, place, comparison.logs[run], f"{part}_{key}", part == "train")
            for part in ("train", "validation")
            for place, group in enumerate(comparison.groups)
            for run in group.runs
            if comparison.logs[run]
        ]
        words = (lambda v: percent(v, 0)) if share else None
        panels.append(several_figures.lines(drawn, title, "epoch", words, ceiling=1.0 if share else math.inf, width=500))
    return panels


def _log_line(name: str, place: int, rows: Sequence[Mapping[str, Any]], key: str, dashed: bool) -> Line:
    values = tuple(float(row[key]) if row.get(key) is not None else math.nan for row in rows)
    return Line(name, place, tuple(float(row["epoch"]) for row in rows), values, dashed=dashed)


def _error_row(contrast: Contrast, same: SameErrors) -> dict[str, str]:
    return {
        "pair": f"{contrast.first} and {contrast.second}",
        "both": _number(same.both_wrong),
        "by_accuracy": _number(same.by_accuracy),
        "by_class": _number(same.by_class),
        "first_only": _number(same.first_only),
        "second_only": _number(same.second_only),
        "consistency": "–" if same.consistency is None else f"{same.consistency:.2f}",
        "overlap": "–" if same.overlap is None else f"{same.overlap:.2f}",
        "same_answer": "–" if same.same_answer is None else percent(same.same_answer, 0),
        "mcnemar": "–" if same.mcnemar is None else _p_value(same.mcnemar),
    }


def _p_value(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def _number(value: float) -> str:
    return count(value) if value == round(value) else f"{value:,.1f}"


def _confusion(comparison: Comparison, contrast: Contrast) -> dict[str, Any]:
    """Return the difference of two confusion tables: as cells for few classes, and the cells that changed most."""
    change = np.array(contrast.confusion)
    largest = float(np.abs(change).max()) or 1.0
    size = len(change)
    diagonal = np.eye(size, dtype=bool)
    better = np.where(diagonal, change > 0, change < 0)
    cells = [
        [
            {"text": _change(float(change[i, k])), "kind": "right" if better[i, k] else "wrong", "depth": pictures.depth(abs(float(change[i, k])) / largest)}
            for k in range(size)
        ]
        for i in range(size)
    ]
    off = np.where(diagonal, 0.0, change)
    order = np.argsort(-np.abs(off), axis=None, kind="stable")[:_CELLS]
    places = [(int(at) // size, int(at) % size) for at in order if off.flat[at] != 0]
    names = comparison.classes
    return {
        "first": contrast.first,
        "second": contrast.second,
        "cells": cells if size <= _MATRIX_CLASSES else [],
        "changes": [(f"{shorten(names[i], 30)} → {shorten(names[k], 30)}", _change(float(change[i, k]))) for i, k in places],
    }


def _change(value: float) -> str:
    if abs(value) < 0.05:
        return ""
    shown = f"{abs(value):,.0f}" if abs(value - round(value)) < 0.05 else f"{abs(value):,.1f}"
    return f"{'+' if value > 0 else '−'}{shown}"
