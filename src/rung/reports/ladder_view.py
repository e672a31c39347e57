"""What the page of a ladder shows, as plain texts, places and pictures for its template."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

import numpy as np
from markupsafe import Markup

from rung.reports import ladder_figures as figures
from rung.reports.copies import Table, copies
from rung.reports.ladder_findings import LADDER_LABELS, climbs, decided_steps, difference_range, findings, is_unbeaten, level_text, step_sentences
from rung.study.amounts import is_share, name_text, range_text, signed_text, value_text
from rung.study.ladder import RUNS, Candidate, Ladder, LadderStep
from rung.study.metrics import metric_named
from rung.study.plan import START, shown
from rung.study.referee import Difference
from rung.study.step_noise import band
from rung.words import PERCENT, count, decimal, plural

Rows = Callable[[str], Sequence[Mapping[str, Any]]]

_POINTS: Final = 120  # of a line; longer trainings are drawn at every second, third .. epoch
_LEVEL: Final = 0.95  # of the band of noise


def view(ladder: Ladder, rows: Rows) -> dict[str, Any]:
    """Return the variables of the template. rows(id): the rows of a run's metrics.jsonl, none where there are none."""
    share, metric = is_share(ladder.plan.metric), name_text(ladder.plan.metric)
    axis = f"{metric} (lower is better)" if metric_named(ladder.plan.metric).sign < 0 else metric
    return {
        "plan": ladder.plan,
        "title": ladder.plan.name,
        "verdict": verdict(ladder),
        "facts": _facts(ladder),
        "findings": findings(ladder),
        "labels": LADDER_LABELS,
        "climb": Markup(_climb(ladder, axis, share)),
        "costs": [Markup(picture) for picture in _costs(ladder, axis, share) if picture],
        "steps": [_step(ladder, step, share, rows) for step in ladder.steps],
        "to_come": [step.name for step in ladder.plan.steps[len(ladder.steps) :]],
        "copies": copies(table(ladder)),
        "metric": metric,
        "unit": "points" if share else "",
        "settings": [(name, shown(value)) for name, value in {**ladder.plan.settings, **ladder.settings}.items()],
        "how": {name: how_set(ladder, name) for name in {**ladder.plan.settings, **ladder.settings}},
        "runs": RUNS,
        "band_level": level_text(_LEVEL),
    }


def verdict(ladder: Ladder) -> str:
    """Return the sentence that the page opens with: what is kept, and where it stands."""
    decided = decided_steps(ladder)
    if not decided:
        return "No step is decided yet."
    step, name = winner(ladder)
    share, metric = is_share(ladder.plan.metric), name_text(ladder.plan.metric)
    if step is None:
        so_far = "" if ladder.ended else " so far"
        said = "Nothing was shown to be better than the start" if is_unbeaten(ladder) else "The start is what is kept"
        return f"{said}{so_far}: {value_text(decided[0].start.mean, share)} {metric} on validation."
    kept = step.named(name)
    gain = signed_text(kept.mean - decided[0].start.mean, share)
    where = f"{name}, of step {step.number}" + ("" if ladder.ended else ", so far")
    return f"{where}: {value_text(kept.mean, share)} {metric} on validation, {gain}{' points' if share else ''} against the start."


def winner(ladder: Ladder) -> tuple[LadderStep | None, str]:
    """Return the step in which what is kept now was found, and its name; (None, "start") where it is the start."""
    found = [step for step in decided_steps(ladder) if step.kept != START]
    return (found[-1], found[-1].kept) if found else (None, START)


def _facts(ladder: Ladder) -> list[str]:
    plan = ladder.plan
    decided, runs = len(decided_steps(ladder)), {run for step in ladder.steps for one in (step.start, *step.candidates) for run in one.runs}
    return [
        f"{' + '.join(plan.data)}",
        f"recipe {plan.recipe}",
        f"{decided} of {plural(len(plan.steps), 'step')} decided",
        f"{plural(len(plan.seeds), 'seed')} a candidate",
        f"{plural(len(runs), 'run')}",
        f"rule {plan.rule}, error rate {plan.level * 100:g}{PERCENT}",
        *([f"budget {plan.budget_minutes:g} min"] if plan.budget_minutes else []),
    ]


def how_set(ladder: Ladder, name: str) -> str:
    """Return in a word or two how a field came to its value: climbed to, kept by the file, or set for all candidates."""
    of = [step for step in decided_steps(ladder) if name in step.named(step.kept).settings]
    return "set for all" if not of else "climbed" if climbs(of[-1]) else "kept by the file"


def state_of(step: LadderStep, one: Candidate) -> str:
    if step.state == "decided" and one.name == step.kept:
        return "kept"
    if one.name == START:
        return "start"
    return "dropped" if one.dropped_after is not None else "other"


def _difference(step: LadderStep, name: str) -> Difference | None:
    return next((one for one in step.verdict.differences if one.name == name), None) if step.verdict else None


def _measured(step: LadderStep) -> list[Candidate]:
    """Return the start and the candidates that have a score, the start first."""
    return [one for one in (step.start, *step.candidates) if one.values]


def bounds(ladder: Ladder, step: LadderStep, one: Candidate) -> tuple[float | None, float | None]:
    """Return the interval of a candidate's difference, put onto the start's score; (None, None) where there is none."""
    found, sign = _difference(step, one.name), metric_named(ladder.plan.metric).sign
    if found is None or not math.isfinite(found.low + found.high):
        return None, None
    low, high = sorted((step.start.mean + sign * found.low, step.start.mean + sign * found.high))
    return _possible(ladder, low, high)


def _possible(ladder: Ladder, low: float, high: float) -> tuple[float, float]:
    """Return an interval of scores, of shares only that part in which a share can lie."""
    return (max(low, 0.0), min(high, 1.0)) if is_share(ladder.plan.metric) else (low, high)


def _band(ladder: Ladder, step: LadderStep) -> tuple[float, float] | None:
    found = band(step, _LEVEL)
    return _possible(ladder, *found) if found else None


def _climb(ladder: Ladder, metric: str, share: bool) -> str:
    rungs = []
    for step in ladder.steps:
        marks = [figures.Mark(step.label(one), one.mean, *bounds(ladder, step, one), state_of(step, one)) for one in _measured(step)]
        if marks:
            rungs.append(figures.Rung(f"{step.number} {step.name}", tuple(marks), _band(ladder, step)))
    return figures.climb(rungs, metric, partial(_tick, share=share)) if rungs else ""


def _costs(ladder: Ladder, metric: str, share: bool) -> list[str]:
    """Draw the score of every network over its parameters and over its operations; the start of a later step is the kept one of an earlier."""
    step, name = winner(ladder)
    networks: list[tuple[Candidate, str]] = []
    for at in ladder.steps:
        for one in _measured(at) if at is ladder.steps[0] else _measured(at)[1:]:
            kept = (at is step and one.name == name) or (step is None and one.name == START)
            networks.append((one, "kept" if kept else "dropped" if one.dropped_after is not None else "other"))
    words = partial(_tick, share=share)
    parameters = [figures.Cost(one.name, float(one.parameters), one.mean, state) for one, state in networks if one.parameters]
    flops = [figures.Cost(one.name, float(one.flops), one.mean, state) for one, state in networks if one.flops]
    return [figures.costs(parameters, "parameters", metric, words), figures.costs(flops, "operations an image", metric, words)]


def _step(ladder: Ladder, step: LadderStep, share: bool, rows: Rows) -> dict[str, Any]:
    measured = _measured(step)
    limits = _limits(ladder, step)
    shaded = _band(ladder, step)
    return {
        "step": step,
        "sentences": step_sentences(ladder, step),
        "rows": [_row(ladder, step, one, share, limits) for one in (step.start, *step.candidates)],
        "axis": (_tick(limits[0], share), _tick(limits[1], share)) if limits else None,
        "band": None if not limits or not shaded else (on_axis(shaded[0], limits), on_axis(shaded[1], limits)),
        "start": on_axis(step.start.mean, limits) if limits and step.start.values else None,
        "curves": [_curves(step.label(one), one, rows) for one in measured if one.same_how != "recipe"],
    }


def _limits(ladder: Ladder, step: LadderStep) -> tuple[float, float] | None:
    """Return the ends of the axis that all candidates of a step share."""
    values = [value for one in _measured(step) for value in (one.mean, *bounds(ladder, step, one)) if value is not None]
    values += _band(ladder, step) or ()
    if not values:
        return None
    room = (max(values) - min(values)) * 0.04 or abs(values[0]) * 0.01 or 0.01
    return _possible(ladder, min(values) - room, max(values) + room)


def on_axis(value: float, limits: tuple[float, float]) -> float:
    """Return where a value lies on the axis, in percent of its width."""
    return round(min(max(100 * (value - limits[0]) / (limits[1] - limits[0]), 0.0), 100.0), 2)


def _row(ladder: Ladder, step: LadderStep, one: Candidate, share: bool, limits: tuple[float, float] | None) -> dict[str, Any]:
    """Return one line of a step's table."""
    found, sign = _difference(step, one.name), metric_named(ladder.plan.metric).sign
    low, high = bounds(ladder, step, one) if one.values else (None, None)
    ends = [] if found is None else [sign * found.low, sign * found.high]
    return {
        "name": step.label(one),
        "state": state_of(step, one),
        "value": value_text(one.mean, share) if one.values else "–",
        "seeds": len(one.values),
        "dot": on_axis(one.mean, limits) if one.values and limits else None,
        "low": None if low is None or not limits else on_axis(low, limits),
        "high": None if high is None or not limits else on_axis(high, limits),
        "difference": "" if found is None else signed_text(sign * found.estimate, share),
        "range": "" if found is None else range_text(min(ends), max(ends), share),
        "about": "" if found is None else difference_range(found, sign, share),
        "outcome": _outcome(step, one, found),
        "parameters": "–" if one.parameters is None else count(one.parameters),
        "flops": "–" if one.flops is None else figures.thousands(one.flops),
        "same_as": one.same_as and step.label(step.named(one.same_as)),
    }


def _outcome(step: LadderStep, one: Candidate, found: Difference | None) -> str:
    """Return in a word or two what became of a candidate."""
    if one.dropped_after is not None:
        return f"dropped after {plural(one.dropped_after, 'seed')}"
    if one.failed:
        return "no score: diverged"
    said = "" if found is None else found.verdict
    if step.state == "decided" and one.name == step.kept:
        return f"kept{' by the file' if step.keep else ''}{f': {said}' if said else ''}"
    return said or ("" if one.name == START or one.same_as else "not decided")


def _curves(name: str, one: Candidate, rows: Rows) -> dict[str, Any]:
    """Return the training curves of all runs of a candidate."""
    lines: dict[str, list[figures.Trace]] = {"accuracy": [], "loss": []}
    for run in one.runs:
        logged = rows(run)
        logged = logged[:: 1 + len(logged) // _POINTS]
        for what, found in lines.items():
            for part in ("train", "validation"):
                pairs = [(float(row["epoch"]), float(row[f"{part}_{what}"])) for row in logged if row.get(f"{part}_{what}") is not None]
                if pairs:
                    found.append(figures.Trace(part, tuple(epoch for epoch, _ in pairs), tuple(value for _, value in pairs)))
    drawn = [
        figures.traces(lines["accuracy"], "accuracy", partial(_tick, share=True)),
        figures.traces(lines["loss"], "loss", partial(decimal, digits=2), log=True),
    ]
    return {"name": name, "runs": list(zip(one.seeds, one.runs, strict=False)), "panels": [Markup(picture) for picture in drawn if picture]}


def table(ladder: Ladder) -> Table:
    """Return every candidate of every step with all that is known of it, to take along."""
    rows = [_cells(ladder, step, one) for step in ladder.steps for one in (step.start, *step.candidates)]
    headings = tuple(rows[0]) if rows else ("step", "candidate")
    left = {"step", "candidate", "covers", "outcome"}
    return Table(headings, tuple(tuple(row.values()) for row in rows), frozenset(headings) - left)


def _cells(ladder: Ladder, step: LadderStep, one: Candidate) -> dict[str, str]:
    """Return one line of the table by its headings; what is not known is empty."""
    share, sign = is_share(ladder.plan.metric), metric_named(ladder.plan.metric).sign
    found, unit = _difference(step, one.name), " (points)" if share else ""
    low, high = ("", "") if found is None else (signed_text(end, share) for end in sorted((sign * found.low, sign * found.high)))
    spread = float(np.std(one.values, ddof=1)) if len(one.values) > 1 else None
    return {
        "step": f"{step.number} {step.name}",
        "candidate": step.label(one),
        "seeds": str(len(one.values)),
        f"{name_text(ladder.plan.metric)}{' (%)' if share else ''}": _bare(one.mean, share) if one.values else "",
        f"deviation over seeds{unit}": "" if spread is None else _bare(spread, share),
        f"difference{unit}": "" if found is None else signed_text(sign * found.estimate, share),
        "low": low,
        "high": high,
        "level (%)": "" if found is None else f"{found.level * 100:.4g}",
        "covers": "" if found is None else found.covers,
        "outcome": _outcome(step, one, found),
        "parameters": "" if one.parameters is None else str(one.parameters),
        "operations": "" if one.flops is None else str(one.flops),
        "macro F1 (%)": "" if one.macro_f1 is None else _bare(one.macro_f1, True),
        "gap (points)": "" if one.gap is None else signed_text(one.gap, True),
    }


def _bare(value: float, share: bool) -> str:
    """Write a number whose unit stands in its heading."""
    return f"{value * 100:.2f}" if share else decimal(value)


def _tick(value: float, share: bool) -> str:
    """Write a value of an axis, as short as it can be."""
    return f"{round(value * 100, 2):g}{PERCENT}" if share else decimal(value, 3)
