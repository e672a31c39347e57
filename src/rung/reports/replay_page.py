"""A replay as one page that needs nothing but itself: the rows beside what was reported, the decisions, the mistakes, every curve."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final

from markupsafe import Markup

from rung.reports import ladder_figures as figures
from rung.reports import replay_text as texts
from rung.reports.copies import copies
from rung.reports.html import environment
from rung.reports.ladder_view import on_axis
from rung.study.amounts import tick_text
from rung.study.plan import START
from rung.study.replay import Estimate, Judgement, Replay, Row
from rung.words import decimal, duration, percent, plural

_POINTS: Final = 120  # of a line; longer trainings are drawn at every second, third .. epoch


def render(replay: Replay, shown: Mapping[str, Sequence[str]] | None = None) -> str:
    """Return the page as HTML; equal input gives equal text. shown: what the replay of each mistake found, in lines, by its name."""
    return environment().get_template("replay.html").render(view(replay, shown or {}))


def view(replay: Replay, shown: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Return the variables of the template."""
    system = replay.system
    there = len(replay.trainings) - len(replay.missing)
    return {
        "system": system,
        "whole": replay.budget == "whole",
        "verdict": texts.tally(replay),
        "budget": texts.budget(replay),
        "task": texts.task(replay),
        "at_small": texts.at_small(replay),
        "waiting": texts.waiting(replay),
        "told": replay.told,
        "facts": [
            f"{there} of {plural(len(replay.trainings), 'training')} there",
            f"{plural(len(replay.shown), 'row')}, {plural(sum(row.same_as is None for row in replay.rows), 'network')}",
            *_environments(replay),
        ],
        "ladders": [_ladder(replay, ladder.name, ladder.title) for ladder in system.ladders],
        "decisions": [_decision(replay, one) for one in texts.judged(replay)],
        "gains": replay.gains,
        "mistakes": texts.mistakes(replay, shown),
    }


def _environments(replay: Replay) -> list[str]:
    """Return what the runs ran on, each kind once."""
    found = dict.fromkeys(
        (str(run.environment.get("device_name") or run.environment.get("processor", "")), run.environment.get("threads"), run.environment.get("torch"))
        for row in replay.rows
        for run in row.runs
    )
    return [f"{device}, {plural(threads, 'thread')}, torch {torch}" if threads else f"{device}, torch {torch}" for device, threads, torch in found]


def _ladder(replay: Replay, name: str, title: str) -> dict[str, Any]:
    rows = [row for row in replay.shown if row.ladder == name]
    limits = _limits(rows)
    steps: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        steps.setdefault(row.step, []).append(_row(replay, row, limits))
    plan, drawn = replay.system.plans[name], [one for found in steps.values() for one in found]
    return {
        "name": name,
        "title": title or name,
        "why": plan.why if replay.budget == "whole" else "",  # it asks about scores of the author
        "climb": Markup(_climb(replay, name)),
        "steps": [{"name": step, "rows": found, "filled": _filled(found if limits is None else drawn)} for step, found in steps.items()],
        "axis": [tick_text(round(end, 3)) for end in limits] if limits else None,
        "curves": [curve for row in rows if row.same_as is None and (curve := _curves(row))],
        "copies": copies(texts.table(replay, name)),
    }


def _filled(rows: Sequence[Mapping[str, Any]]) -> set[str]:
    """Return which columns are not empty in all of these rows."""
    return {name for one in rows for name, value in one.items() if value}


def _row(replay: Replay, row: Row, limits: tuple[float, float] | None) -> dict[str, Any]:
    found, f1, gap, test = row.score(), row.score(metric="macro_f1"), row.gap(), row.score("test")
    return {
        "name": row.label,
        "state": "kept" if row.keep else "other" if row.runs else "open",
        "remark": texts.remark(replay, row),
        "reported": row.reported,
        "value": percent(found.mean, 2) if found else "",
        "interval": texts.interval(found),
        "seeds": len(row.scored),
        "dot": on_axis(found.mean, limits) if found and limits else None,
        "span": (on_axis(found.low, limits), on_axis(found.high, limits)) if found and limits and found.low is not None and found.high is not None else None,
        "f1": percent(f1.mean, 2) if f1 else "",
        "gap": f"{100 * gap.mean:+.1f}".replace("-", "−") if gap else "",
        "test": percent(test.mean, 2) if test else "",
        "test_interval": texts.interval(test),
        "parameters": texts.parameters(row),
        "epochs": "" if row.epochs is None else f"{row.epochs:.3g} epochs",
        "seconds": "" if row.seconds is None else duration(row.seconds),
    }


def _limits(rows: Sequence[Row]) -> tuple[float, float] | None:
    """Return the ends of the axis that all rows of a ladder share."""
    found = [one for row in rows if (one := row.score())]
    values = [one.mean for one in found]
    values += [end for one in found for end in (one.low, one.high) if end is not None and min(values) - 0.05 <= end <= max(values) + 0.05]
    if not values:
        return None
    room = (max(values) - min(values)) * 0.04 or 0.01
    return max(0.0, min(values) - room), min(1.0, max(values) + room)


def _climb(replay: Replay, ladder: str) -> str:
    """Draw the author's path: every row that ran with its interval over seeds, what he carried on joined by a line."""
    rungs = []
    for step in replay.system.plans[ladder].steps:
        marks = [_mark(row, found) for row in replay.rows if (row.ladder, row.step) == (ladder, step.name) and (found := row.score())]
        if marks:
            rungs.append(figures.Rung(step.name, tuple(marks), None))
    return figures.climb(rungs, "accuracy on validation", tick_text) if rungs else ""


def _mark(row: Row, found: Estimate) -> figures.Mark:
    return figures.Mark(row.label, found.mean, found.low, found.high, "kept" if row.keep else "start" if row.candidate == START else "other")


def _curves(row: Row) -> dict[str, Any] | None:
    """Return the training curves of all runs of a row; None where there are none."""
    drawn = []
    for what, words, log in (("accuracy", tick_text, False), ("loss", partial(decimal, digits=2), True)):
        lines = []
        for run in row.scored:
            for part in ("train", "validation"):
                values = run.curves.get(f"{part}_{what}", ())
                every = 1 + len(values) // _POINTS
                lines.append(figures.Trace(part, tuple(float(epoch) for epoch in range(1, len(values) + 1, every)), tuple(values[::every])))
        drawn.append(figures.traces([line for line in lines if line.values], what, words, log=log) if any(line.values for line in lines) else "")
    panels = [Markup(picture) for picture in drawn if picture]
    return {"name": f"{row.step}: {row.label}", "runs": plural(len(row.scored), "run"), "panels": panels} if panels else None


def _decision(replay: Replay, one: Judgement) -> dict[str, Any]:
    return {
        "verdict": one.verdict,
        "kind": one.verdict.replace(" ", "-"),
        "ladder": one.decision.ladder,
        "step": one.decision.step,
        "kept": texts.kept_name(replay, one),
        "word": one.decision.word,
        "said": replay.said(one),
        "sentence": one.sentence,
    }
