"""How runs stand up to corrupted images, as one page that needs nothing but itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
from markupsafe import Markup

from rung.evaluate import corruptions
from rung.evaluate.corruptions import CORRUPTIONS, STRENGTHS, Images
from rung.reports import pictures, several_figures
from rung.reports.copies import Table, copies
from rung.reports.html import environment
from rung.reports.several_figures import Bar, Line, hue
from rung.study.amounts import range_text, signed_text, signed_tick_text, tick_text
from rung.study.paired import Interval
from rung.study.robust import LEVEL, Against, Robustness, RobustReport
from rung.words import PERCENT, listing, percent, percent_range, plural, points, points_range, quoted, shorten

_WORST: Final = 0.01  # of accuracy: corruptions that cost less than this much less than the worst are named with it


def render(report: RobustReport, sample: Images | None = None) -> str:
    """Return the page as HTML; equal input gives equal text. sample: an image to show corrupted, uint8 (1,H,W,C)."""
    first, table = report.runs[0], accuracy_table(report)
    view = {
        "report": report,
        "title": " · ".join(shorten(run.run, 40) for run in report.runs),
        "verdict": verdict(report),
        "facts": _facts(first),
        "several": len(report.runs) > 1,
        "panels": [{"svg": Markup(_panel(report, name)), "caption": _amounts(name, first.size)} for name in first.right],
        "together": Markup(_together(report)),
        "against": Markup(_against(report)) if report.against else "",
        "sentences": list(sentences(report)),
        "intervals": _intervals(report),
        "table": table,
        "copies": copies(table),
        "strengths": _strength_rows(report),
        "against_rows": [_against_row(one, name) for one in report.against for name in (None, *one.each)],
        "keys": [(hue(place), run.run) for place, run in enumerate(report.runs)],
        "samples": _samples(sample, first) if sample is not None else [],
    }
    return environment().get_template("robust.html").render(view)


def _facts(run: Robustness) -> list[str]:
    opened = f", of opening {run.opening} of this test set" if run.opening is not None else ""
    return [
        f"{plural(run.images, f'{run.part} image')}{opened}",
        f"{len(run.right)} corruptions at {len(STRENGTHS)} strengths",
        f"{run.size} pixels a side",
    ]


def verdict(report: RobustReport) -> str:
    """Return in a sentence how much is left of the accuracy, and for several runs which stands up best."""
    if len(report.runs) == 1:
        run = report.runs[0]
        return f"Of {percent(_clean(run))} accuracy {percent(_value(run))} is left on the mean of all corruptions and strengths."
    beaten = {run.run for one in report.against for run in report.runs if one.together.told_apart and run.run == _worse(one)}
    best = [run.run for run in report.runs if run.run not in beaten]
    if len(best) == 1:
        return f"{quoted(best[0])} answers the largest share of corrupted images rightly, on the mean of all corruptions and strengths."
    if len(best) == len(report.runs):
        return "Which of these runs answers more corrupted images rightly cannot be told."
    return f"{listing([quoted(name) for name in best])} cannot be told apart on corrupted images; the others answer fewer rightly."


def _worse(one: Against) -> str:
    return one.first if one.together.estimate > 0 else one.second


def _shown(name: str) -> str:
    """Return the name of a corruption as a reader writes it."""
    return "JPEG" if name == "jpeg" else name


def _clean(run: Robustness) -> float:
    return run.accuracy("", 0).value or 0.0


def _value(run: Robustness, name: str | None = None) -> float:
    return run.mean(name).value or 0.0


def sentences(report: RobustReport) -> Iterator[str]:
    """Yield what costs each run most, and each pair's difference."""
    for run in report.runs:
        lost = {name: run.lost(name).estimate for name in run.right}
        most = max(lost.values())
        worst = [_shown(name) for name, value in lost.items() if value > most - _WORST and value > 0]
        all_of_it = run.lost()
        said = f"{quoted(run.run)}: {percent(_clean(run))} as they are, {percent(_value(run))} corrupted; {points(all_of_it.estimate)} lost"
        yield f"{said}{_size_range(all_of_it)}{f', most to {listing(worst)} ({points(most)})' if worst else ''}."
    for one in report.against:
        yield _difference(one)


def _difference(one: Against) -> str:
    if not one.together.told_apart:
        size = points(abs(one.together.estimate))
        return f"{quoted(one.first)} and {quoted(one.second)} cannot be told apart on corrupted images: {size} (second minus first: {_range(one.together)})."
    ahead = one.together.estimate > 0
    better, worse = (one.second, one.first) if ahead else (one.first, one.second)
    oriented = one.together if ahead else one.together.turned
    kinds: dict[bool, list[str]] = {True: [], False: []}
    for name, found in one.each.items():
        if found.told_apart:
            kinds[(found.estimate > 0) == ahead].append(_shown(name))
    told = [f"{word} for {listing(names)}" for word, names in (("better", kinds[True]), ("worse", kinds[False])) if names]
    where = f"; by single kinds {' and '.join(told)}" if told else "; for no single kind can it be told"
    return f"{quoted(better)} answers {points(oriented.estimate)} more corrupted images rightly than {quoted(worse)}{_size_range(oriented)}{where}."


def _size_range(found: Interval) -> str:
    """Return what stands behind a size: its interval, or nothing."""
    return "" if found.low is None or found.high is None else f" ({points_range(found.low, found.high)})"


def _range(found: Interval) -> str:
    return "no interval" if found.low is None or found.high is None else f"{range_text(found.low, found.high, True)}"


def _intervals(report: RobustReport) -> str:
    said = (
        f"All intervals are at {LEVEL * 100:g}{PERCENT} and over images: these networks, and what was drawn for each image, held fixed. "
        "The strengths of one image count as one image."
    )
    if report.against:
        pairs = len(report.against)
        said += " Those of differences hold together: " + (f"for the {pairs} pairs, and " if pairs > 1 else "") + "for all kinds of corruption."
    return said


def accuracy_table(report: RobustReport) -> Table:
    """Return the mean accuracy over strengths as a table of texts: a row a corruption, a column a run."""
    headings = ("corruption", *(run.run for run in report.runs))
    rows = [("none", *(percent(_clean(run)) for run in report.runs))]
    rows += [(_shown(name), *(percent(_value(run, name)) for run in report.runs)) for name in report.runs[0].right]
    rows.append(("mean of all", *(percent(_value(run)) for run in report.runs)))
    return Table(headings, tuple(rows), frozenset(headings[1:]))


def _strength_rows(report: RobustReport) -> list[dict[str, Any]]:
    """Return one row a run and corruption: accuracy at each strength, mean, and what is lost, with intervals."""
    rows = []
    for place, run in enumerate(report.runs):
        for name in run.right:
            cells = [_cell(run.accuracy(name, strength).value, run.accuracy(name, strength).low, run.accuracy(name, strength).high) for strength in STRENGTHS]
            mean, lost = run.mean(name), run.lost(name)
            rows.append(
                {
                    "run": run.run,
                    "hue": hue(place),
                    "name": _shown(name),
                    "cells": [*cells, _cell(mean.value, mean.low, mean.high)],
                    "lost": signed_text(-lost.estimate, True),
                    "lost_range": "" if lost.low is None or lost.high is None else range_text(-lost.high, -lost.low, True),
                }
            )
    return rows


def _cell(value: float | None, low: float | None, high: float | None) -> tuple[str, str]:
    return percent(value or 0.0), "" if low is None or high is None else percent_range(low, high).removesuffix(PERCENT)


def _against_row(one: Against, name: str | None) -> dict[str, str]:
    found = one.together if name is None else one.each[name]
    told = "cannot tell" if not found.told_apart else one.second if found.estimate > 0 else one.first
    return {
        "pair": f"{one.second} minus {one.first}",
        "name": _shown(name or "mean of all"),
        "difference": signed_text(found.estimate, True),
        "range": _range(found),
        "better": told,
    }


def _panel(report: RobustReport, name: str) -> str:
    """Draw the accuracy over the strengths of one corruption, a line a run with its band."""
    steps = (0, *STRENGTHS)
    drawn = []
    for place, run in enumerate(report.runs):
        values = [run.accuracy(name, step) for step in steps]
        low, high = (tuple(getattr(value, end) or 0.0 for value in values) for end in ("low", "high"))
        drawn.append(Line(run.run, place, tuple(map(float, steps)), tuple(value.value or 0.0 for value in values), low, high))
    lowest = min(one.accuracy(kind, step).low or 0.0 for one in report.runs for kind in one.right for step in steps)
    return several_figures.lines(drawn, _shown(name), "strength", tick_text, ceiling=1.0, floor=lowest, width=330)


def _amounts(name: str, size: int) -> str:
    shown = ", ".join(f"{amount:.0f}" if name == "jpeg" else f"{amount:.3g}" for amount in corruptions.amounts(name, size))
    return f"{shown} {CORRUPTIONS[name].unit}"


def _together(report: RobustReport) -> str:
    bars = [Bar(run.run, _value(run), run.mean().low, run.mean().high, place) for place, run in enumerate(report.runs)]
    return several_figures.strip(bars, "mean accuracy on corrupted images", tick_text, limits=(0.0, 1.0))


def _against(report: RobustReport) -> str:
    """Draw the differences to the first run, of all corruptions together and of each."""
    one = report.against[0]
    found = {"mean of all": one.together, **one.each}
    bars = [Bar(_shown(name), value.estimate, value.low, value.high, 1) for name, value in found.items()]
    title = f"{shorten(one.second, 24)} minus {shorten(one.first, 24)}, in points"
    return several_figures.strip(bars, title, signed_tick_text, zero=True, limits=(-1.0, 1.0))


def _samples(sample: Images, run: Robustness) -> list[dict[str, Any]]:
    """Return the image under each corruption at each strength."""
    image_keys = corruptions.keys_of(np.zeros(1, dtype=np.int64))
    rows = []
    for name in run.right:
        shown = [pictures.image_uri(corruptions.corrupt(sample, image_keys, name, strength)[0]) for strength in (0, *STRENGTHS)]
        rows.append({"name": _shown(name), "images": shown})
    return rows


def table(report: RobustReport) -> Table:
    """Return what the terminal shows: for each run the accuracy as it is, at each strength over all corruptions, and what is lost."""
    headings = ("run", "as they are", *(f"strength {strength}" for strength in STRENGTHS), "mean", "lost")
    rows = []
    for run in report.runs:
        by_strength = [np.mean([run.right[name][strength - 1].mean() for name in run.right]) for strength in STRENGTHS]
        rows.append((run.run, percent(_clean(run)), *(percent(float(v)) for v in by_strength), percent(_value(run)), points(run.lost().estimate)))
    return Table(headings, tuple(rows), frozenset(headings[1:]))
