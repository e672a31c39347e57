"""The cells of a notebook about a ladder: the climb, then each step with its table, verdict, scores and training curves, then what is known of test."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from rung.errors import RunError
from rung.reports import ladder_view
from rung.reports.ladder_findings import findings, step_sentences
from rung.reports.ladder_view import Rows
from rung.reports.notebook_cells import Cell, bullets, code, data_cell, escaped, fence, table_text, words
from rung.reports.notebook_curves import COLUMNS, Log, mean_curves, rounded
from rung.store.run import Run
from rung.study.amounts import is_share, name_text
from rung.study.ladder import RUNS, Candidate, Ladder, LadderStep, read_ladder
from rung.study.plan import shown
from rung.words import PERCENT, listing, plural, visible

_DRAWING: Final = ("draw_climb", "colours_of", "draw_candidates", "draw_traces", "print_candidates")
_LEFT_OUT: Final = frozenset({"step", "covers", "level (%)", "operations"})


def of_folder(folder: Path) -> list[Cell]:
    """Return the notebook of a ladder's folder; raises RunError if there is no ladder, or it is damaged."""

    def rows(run: str) -> Sequence[Mapping[str, Any]]:
        try:
            return Run(folder / RUNS / run).read_rows()
        except (RunError, OSError):
            return []  # a run that was deleted, or is damaged, takes its curves along, not the notebook

    return cells(read_ladder(folder), rows)


def cells(ladder: Ladder, rows: Rows) -> list[Cell]:
    """Return the whole notebook; rows(id): the rows of a run's metrics.jsonl. Equal input gives equal cells."""
    axis = f"{name_text(ladder.plan.metric)} on validation{f' ({PERCENT.strip()})' if is_share(ladder.plan.metric) else ''}"
    known = [one for one in findings(ladder) if one.kind not in ("fall", "test")]
    return [
        _opening(ladder),
        data_cell({"axis": axis, "steps": [_step_data(ladder, step, rows) for step in ladder.steps]}, _said(ladder), *_DRAWING),
        _asked(ladder),
        *([words("## The climb"), code(then='draw_climb(DATA["steps"], DATA["axis"])')] if ladder.steps else []),
        *[cell for number in range(len(ladder.steps)) for cell in _step(ladder, number)],
        words("## What is known, and what is not", bullets([one.sentence for one in known])),
        _test(ladder),
        _kept(ladder),
    ]


def _opening(ladder: Ladder) -> Cell:
    return words(
        f"# Ladder {escaped(ladder.plan.name)}",
        f"**{escaped(ladder_view.verdict(ladder))}**",
        f"Why: {escaped(ladder.plan.why)}" if ladder.plan.why else "",
        "One change a step, several seeds, and a referee that says what is really better. Every number and figure of this notebook comes from the runs "
        "of this ladder; the code below "
        "needs Python, numpy and matplotlib, and the data that stand in the next cell. Run again, it gives the same.",
    )


def _said(ladder: Ladder) -> str:
    return f"{plural(len(ladder.steps), 'step')}, {plural(sum(len(step.candidates) for step in ladder.steps), 'candidate')}"


def _step_data(ladder: Ladder, step: LadderStep, rows: Rows) -> dict[str, Any]:
    return {"name": f"{step.number} {visible(step.name)}", "candidates": [_candidate(ladder, step, one, rows) for one in (step.start, *step.candidates)]}


def _candidate(ladder: Ladder, step: LadderStep, one: Candidate, rows: Rows) -> dict[str, Any]:
    """Return what is drawn of a candidate; shares in percent."""
    scale = 100.0 if is_share(ladder.plan.metric) else 1.0
    low, high = ladder_view.bounds(ladder, step, one) if one.values else (None, None)
    return {
        "name": visible(step.label(one)),
        "state": ladder_view.state_of(step, one),
        "seeds": list(one.seeds),
        "values": [rounded(scale * value) for value in one.values],
        "low": None if low is None else rounded(scale * low),
        "high": None if high is None else rounded(scale * high),
        "curves": mean_curves([_log(rows(run)) for run in one.runs]) if one.same_how != "recipe" else {},
    }


def _log(rows: Sequence[Mapping[str, Any]]) -> Log:
    """Return the rows of metrics.jsonl by their columns."""
    return {name: [row.get(name) for row in rows] for name in COLUMNS if any(name in row for row in rows)}


def _asked(ladder: Ladder) -> Cell:
    plan = ladder.plan
    rows = [
        (str(number), step.name, step.field or "fields that belong together", listing([choice.name for choice in step.choices]))
        for number, step in enumerate(plan.steps, 1)
    ]
    common = [(f"`{name}`", shown(value)) for name, value in plan.settings.items()]
    return words(
        "## What was asked",
        f"Data: {escaped(' + '.join(plan.data))}. Recipe: `{visible(plan.recipe)}`. {plural(len(plan.seeds), 'seed')} a candidate, all of them on the "
        f"same parts; compared by "
        f"{escaped(name_text(plan.metric))}; rule `{visible(plan.rule)}`, error rate of the whole ladder {plan.level * 100:g}{PERCENT}.",
        table_text(("step", "name", "what is changed", "candidates"), rows),
        "Settings of all candidates:" if common else "",
        table_text(("field", "value"), common),
    )


def _step(ladder: Ladder, number: int) -> list[Cell]:
    step = ladder.steps[number]
    at, base = f'DATA["steps"][{number}]["candidates"]', visible(step.start_label)
    opening = words(
        f"## Step {step.number}: {escaped(step.name)}",
        f"Why: {escaped(step.why)}" if step.why else "",
        _table(ladder, step),
        bullets(step_sentences(ladder, step)),
        f"Notes: {escaped(step.notes)}" if step.notes else "",
    )
    if not step.start.values:
        return [opening]
    explained = words(
        "Dots: seeds; diamonds: their means; bars: the interval of the difference to the start, drawn from the start's mean. "
        "A bar that leaves the dotted line out is a difference. Below it all trainings in one axis, each the mean of its seeds."
    )
    shown_once = [explained] if number == 0 else []
    return [opening, *shown_once, code(then=f'print_candidates({at}, {base!r})\ndraw_candidates({at}, DATA["axis"], {base!r})\ndraw_traces({at})')]


def _table(ladder: Ladder, step: LadderStep) -> str:
    whole = ladder_view.table(ladder)
    kept = [at for at, heading in enumerate(whole.headings) if heading not in _LEFT_OUT]
    mine = [row for row in whole.rows if row[0] == f"{step.number} {step.name}"]
    headings = [whole.headings[at] for at in kept]
    return table_text(headings, [[row[at] for at in kept] for row in mine], [heading for heading in headings if heading in whole.numbers])


def _test(ladder: Ladder) -> Cell:
    said = [one.sentence for one in findings(ladder) if one.kind in ("fall", "test")]
    sealed = "" if ladder.test else "The test part is sealed: no choice was made on it. When the ladder has all its steps, `rung ladder FILE --test` opens it."
    return words("## What to expect on new images", bullets(said), sealed)


def _kept(ladder: Ladder) -> Cell:
    changed = {**ladder.plan.settings, **ladder.settings}
    rows = [(f"`{name}`", shown(value), ladder_view.how_set(ladder, name)) for name, value in changed.items()]
    options = [word for name, value in changed.items() for word in ("--set", f"{name}={shown(value)}")]
    return words(
        "## What is kept, and how to do it again",
        table_text(("field", "value", ""), rows) if rows else f"What is kept is the recipe `{visible(ladder.plan.recipe)}` as it is.",
        "The ladder again: `rung ladder` with its file; no finished run is trained twice. What it kept, as a run of its own:",
        fence(shlex.join(["rung", "train", *ladder.plan.data, "--recipe", ladder.plan.recipe, *options])),
        f"Notes: {escaped(ladder.plan.notes)}" if ladder.plan.notes else "",
    )
