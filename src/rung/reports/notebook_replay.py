"""The cells of a notebook about a replayed system, in the order of its author's own sheet: each question with its rows, its figures and its answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np

from rung.reports import notebook_blocks as blocks
from rung.reports import notebook_demonstration
from rung.reports import replay_text as texts
from rung.reports.notebook_blocks import Layers, estimate_text, key_of
from rung.reports.notebook_cells import Cell, bullets, code, data_cell, escaped, fence, table_text, words
from rung.reports.notebook_curves import mean_curves, rounded
from rung.study.amounts import signed_text
from rung.study.changes import changed_text
from rung.study.question import Question, questions_of
from rung.study.replay import Judgement, Replay, Row, row_name
from rung.words import PERCENT, listing, percent, plural, quoted, visible

_DRAWING: Final = (
    "draw_network", "colours_of", "draw_candidates", "draw_traces", "print_candidates", "draw_confusion", "confusion_of", "class_scores", "print_seeds",
)  # fmt: skip
_REPORTED: Final = {"accuracy": "reported: accuracy, test", "macro_f1": "reported: macro F1, test"}
_AFTER: Final = ("classes", "groups")  # blocks that look closer at a row, once the comparisons have said which one it is
_LEARNT: Final = 2  # times what guessing gives, in training
_AXIS: Final = "accuracy on validation (%)"


def cells(replay: Replay, layers: Layers, made: Mapping[str, Sequence[str]] | None = None, called: str = "") -> list[Cell]:
    """Return the whole notebook; layers(row): what the network of a row is made of, nothing where that is not known.

    made: what making each of the author's mistakes again has shown, in lines, by its name. called: the words behind `rung replay` and `rung notebook`
    that name this replay, as a shell takes them; by its name if not given. Equal input gives equal cells.

    Raises: RecipeError for a question that does not fit the system.
    """
    questions = questions_of(replay.system)
    called = called or texts.called(replay.system.name, replay.budget == "small")
    told = texts.mistakes(replay, made or {})
    return [
        _opening(replay),
        data_cell(_data(replay, questions, layers), _said(replay), *_DRAWING),
        *[cell for number, question in enumerate(questions, 1) for cell in _question(replay, number, question, layers, told, called)],
        _again(replay, called),
    ]


def _opening(replay: Replay) -> Cell:
    system = replay.system
    total, left = len(replay.trainings), len(replay.missing)
    ran = f"{total - left} of {plural(total, 'training')} ran." if left else f"All {plural(total, 'training')} ran."
    measured = "Nothing is measured yet, for no training ran; what the author reported is marked so." if left == total else _measured(replay)
    return words(
        f"# {escaped(system.title)}",
        escaped(_sentence(system.task)),
        f"**{escaped(texts.tally(replay))}** {ran}",
        escaped(texts.budget(replay)),
        escaped(texts.at_small(replay)),
        f"{measured} "
        f"Intervals in tables are at 95{PERCENT} over seeds, these images held fixed. "
        "The code below needs Python, numpy and matplotlib, and the data that stand in the next cell. Run again, it gives the same.",
        "`start` is what a step of the author's work begins from. In the figures dots are seeds, diamonds their means, and bars the interval of the "
        "difference to what the author "
        "carried on, drawn from that one's mean over the same seeds (dotted).",
        bullets(replay.told),
    )


def _measured(replay: Replay) -> str:
    """Say what the numbers are: of which part, and over how many seeds."""
    many = sorted({len(row.scored) for row in replay.rows if row.scored})
    seeds = plural(many[0], "seed") if len(many) == 1 else f"{many[0]} to {plural(many[-1], 'seed')}"
    waiting = " (one that did not says so)" if replay.missing else ""
    return (
        f"Scores were measured by rung on the validation part unless they say test, with {seeds} of each row that ran{waiting}; what the author reported is "
        "marked so."
    )


def _sentence(text: str) -> str:
    """Return a text that begins with a capital and ends with a stop; "" stays."""
    return text and f"{text[0].upper()}{text[1:]}{'' if text[-1] in '.?!' else '.'}"


def _said(replay: Replay) -> str:
    runs = {run.run for row in replay.rows for run in row.scored}
    return f"{plural(len(runs), 'training')} of {visible(replay.system.name)}"


def _data(replay: Replay, questions: Sequence[Question], layers: Layers) -> dict[str, Any]:
    steps = dict.fromkeys(step for question in questions for step in question.steps)
    rows = dict.fromkeys(name for question in questions for name in question.rows)
    return {
        "steps": {_step_key(*step): [_candidate(replay, row) for row in _rows(replay, *step)] for step in steps},
        "networks": {_step_key(*step): found for step in steps if (found := blocks.networks_apart(_rows(replay, *step), layers))},
        "rows": {key_of(row): blocks.row_data(row, layers) for name in rows if (row := replay.row(*name))},
    }


def _step_key(ladder: str, step: str) -> str:
    return visible(f"{ladder}, {step}")


def _rows(replay: Replay, ladder: str, step: str) -> list[Row]:
    """Return the rows of a step, the start first."""
    return [row for row in replay.rows if (row.ladder, row.step) == (ladder, step)]


def _judgement(replay: Replay, ladder: str, step: str) -> Judgement | None:
    return next((one for one in replay.judgements if (one.decision.ladder, one.decision.step) == (ladder, step)), None)


def _word(replay: Replay, row: Row) -> str:
    """Say what was done with a row that is kept: the author carried it on, or only his text says so, or the step is none of his decisions."""
    judgement = _judgement(replay, row.ladder, row.step)
    return judgement.decision.word if judgement else "kept here"


def _kept(rows: Sequence[Row]) -> Row:
    return next((row for row in rows if row.keep), rows[0])


def _candidate(replay: Replay, row: Row) -> dict[str, Any]:
    """Return what is drawn of a row: its scores in percent, its difference to what the author carried on put onto that one's score, its mean curves."""
    rows = _rows(replay, row.ladder, row.step)
    mine, kept = blocks.by_seed(row), blocks.by_seed(_kept(rows))
    judgement = _judgement(replay, row.ladder, row.step)
    found = next((one for one in judgement.differences if one.name == row.candidate), None) if judgement else None
    base = float(np.mean([kept[seed] for seed in mine if seed in kept])) if found else 0.0  # the difference is of the seeds that both have
    first = next(one for one in rows if one.place.identity == row.place.identity)
    low, high = (100 * (base + found.low), 100 * (base + found.high)) if found else (None, None)
    return {
        "name": visible(row.label),
        "state": "kept" if row.keep else "other",
        **({"word": _word(replay, row)} if row.keep else {}),
        "seeds": list(mine),
        "values": [rounded(100 * value) for value in mine.values()],
        "low": None if low is None else rounded(max(low, 0.0)),
        "high": None if high is None else rounded(min(high, 100.0)),
        "curves": mean_curves([run.curves for run in row.scored]) if row is first else {},  # one training is drawn once
    }


def _question(replay: Replay, number: int, question: Question, layers: Layers, told: Sequence[texts.Told], called: str) -> Iterator[Cell]:
    """Yield one question: what is asked, what always holds, what is shown, and each comparison with its answer."""
    yield words(f"## {number}. {escaped(question.title)}", f"*{escaped(question.asks)}*" if question.asks else "", *map(escaped, question.text))
    rows = [replay.row(*name) for name in question.rows]
    if len(rows) > 1:
        yield words(_table(replay, rows, steps=True), bullets([*blocks.against_first(rows), *_not_run(called, rows)]))
    for block in question.show:
        if block == "mistakes":
            yield blocks.mistakes_told(told, called)
        elif block not in _AFTER:
            yield from _block(replay, question, block, rows, layers)
    for ladder, step in question.steps:
        yield from _comparison(replay, ladder, step, layers, called)
    for block in question.show:
        if block in _AFTER:
            yield from _block(replay, question, block, rows, layers)


def _block(replay: Replay, question: Question, block: str, rows: Sequence[Row], layers: Layers) -> Iterator[Cell]:
    if block == "backpropagation":
        yield from notebook_demonstration.cells()
    elif block in _WHOLE:
        yield _WHOLE[block](replay)
    elif block == "network":
        yield from blocks.networks(rows, layers, _told_apart(rows))
    for row in rows:
        if block == "settings":
            yield blocks.settings(row)
        elif block == "curves":
            yield from blocks.trainings(row)
        elif block == "classes":
            yield from blocks.classes(row)
        elif block == "groups":
            yield from blocks.groups(row, question.groups)


def _comparison(replay: Replay, ladder: str, step: str, layers: Layers, called: str) -> Iterator[Cell]:
    """Yield one comparison: what was changed and why, its table, the answer, its networks where they differ, scores and curves."""
    rows = _rows(replay, ladder, step)
    why = replay.system.step(ladder, step).why if step in [one.name for one in replay.system.plans[ladder].steps] else ""
    ran = any(row.scored for row in rows)
    yield words(
        f"### {escaped(ladder)}: {escaped(step)}",
        escaped(_sentence(replay.his_words(why))),
        _table(replay, rows),
        *_answer(replay, ladder, step, rows, called),
    )
    if blocks.networks_apart(rows, layers):
        yield code(then=f'for one in DATA["networks"][{_step_key(ladder, step)!r}]:\n    draw_network(one["layers"], one["name"])')
    if ran:
        at, base = f'DATA["steps"][{_step_key(ladder, step)!r}]', visible(_kept(rows).label)
        yield code(then=f"print_candidates({at}, {base!r})\ndraw_candidates({at}, {_AXIS!r}, {base!r})\ndraw_traces({at})")


def _table(replay: Replay, rows: Sequence[Row], steps: bool = False) -> str:
    """Return rows as a table; steps: name the step of each in place of what it changes."""
    metrics = [metric for metric in _REPORTED if replay.budget == "whole" and any(getattr(row.reported, metric, None) is not None for row in rows)]
    headings = [
        "row",
        "step" if steps else "what it changes",
        "parameters",
        "seeds",
        "accuracy, validation",
        "macro F1",
        "train − validation, points",
        "epochs",
    ]
    reported = [_REPORTED[metric] for metric in metrics]
    tested = ["accuracy, test"] if any(row.score("test") for row in rows) else []
    several, lines = len({row.ladder for row in rows}) > 1, []
    for row in rows:
        gap, macro = row.gap(), row.score("validation", "macro_f1")
        lines.append(
            [
                f"{row.label}{f' ({_word(replay, row)})' if row.keep else ''}",
                _changed(rows[0], row) if not steps else f"{row.ladder}: {row.step}" if several else row.step,
                texts.parameters(row) or "–",
                f"{len(row.scored)} of {len(row.place.seeds)}" if row.missing else str(len(row.scored)),
                estimate_text(row.score()) if row.scored or not row.runs else "diverged",
                "–" if macro is None else f"{macro.mean:.3f}",
                "–" if gap is None else signed_text(gap.mean, True),
                "–" if row.epochs is None else f"{row.epochs:.0f}",
                *(estimate_text(row.score("test")) if row.score("test") else "sealed" for _ in tested),
                *(_reported(row, metric) for metric in metrics),
            ]
        )
    return table_text([*headings, *tested, *reported], lines, [*headings[2:], *tested, *reported])


def _changed(start: Row, row: Row) -> str:
    return changed_text(blocks.recipe_of(start), blocks.recipe_of(row), {**start.place.settings, **row.place.settings}) or "–"


def _reported(row: Row, metric: str) -> str:
    value = texts.points(row.reported, metric)
    return f"{value}{PERCENT if metric == 'accuracy' else ''}" if value else "–"


def _answer(replay: Replay, ladder: str, step: str, rows: Sequence[Row], called: str) -> Iterator[str]:
    """Yield the answer in words: the verdict, the order of what ran, and what has not run."""
    judgement = _judgement(replay, ladder, step)
    if judgement is not None:
        reason = replay.said(judgement)
        said = f" What the author said: {escaped(reason)}." if reason else ""
        yield f"**{texts.verdict(judgement).capitalize()}.** {escaped(judgement.sentence)}{said}"
    sentences = [*_order(rows), *_first_epoch(rows), *_unlearned(rows), *_same(rows), *_notes(replay, rows), *_not_run(called, rows)]
    if sentences:
        yield bullets(sentences)


def _order(rows: Sequence[Row]) -> Iterator[str]:
    """Yield the rows that ran by their mean, the highest first; whether they differ is the referee's to say."""
    once = {row.place.identity: row for row in reversed(rows)}.values()
    found = [(row, score) for row in once if (score := row.score()) is not None]
    if len(found) > 1:
        found.sort(key=lambda pair: -pair[1].mean)
        each = listing([f"{quoted(row.label)} {percent(score.mean)}" for row, score in found])
        yield f"By their means, highest first: {each}."
    slow = [(row, row.epochs) for row, _ in found if row.epochs]
    if len(slow) > 1 and max(epochs for _, epochs in slow) > 1.25 * min(epochs for _, epochs in slow):
        first, last = min(slow, key=lambda pair: pair[1]), max(slow, key=lambda pair: pair[1])
        yield f"Epochs: from {first[1]:.0f} ({quoted(first[0].label)}) to {last[1]:.0f} ({quoted(last[0].label)}), the mean over seeds."


def _first_epoch(rows: Sequence[Row]) -> Iterator[str]:
    """Yield how far each row is after its first epoch: what learns too slowly, or not at all, is seen there."""
    once = reversed({row.place.identity: row for row in reversed(rows)}.values())
    of = {row.label: [run.curves["validation_accuracy"][0] for run in row.scored if run.curves.get("validation_accuracy")] for row in once}
    found = [f"{quoted(name)} {percent(float(np.mean(values)))}" for name, values in of.items() if values]
    if len(found) > 1:
        yield f"After the first epoch: {listing(found)}."


def _unlearned(rows: Sequence[Row]) -> Iterator[str]:
    """Yield which rows are no better than guessing: within a fifth of one answer in as many as there are classes."""
    for row in rows:
        score, classes = row.score(), next((len(run.classes) for run in row.scored if run.classes), 0)
        if score is not None and classes and score.mean < 1.2 / classes:
            yield f"{quoted(row.label)} {_why_unlearned(row, score.mean, classes)}"


def _why_unlearned(row: Row, score: float, classes: int) -> str:
    """Say that a row is no better than guessing; of one that was in training, that it learnt."""
    ends = [run.curves["train_accuracy"][-1] for run in row.scored if run.curves.get("train_accuracy")]
    seen = float(np.mean(ends)) if ends else 0.0
    if seen > _LEARNT / classes:
        return (
            f"answers {percent(score)} of validation rightly, as guessing does, but {percent(seen)} of the training images of its last epoch: it learnt, and "
            "evaluation does not show it. Look at what differs there, as the averages of batch norm do until they settle."
        )
    return f"did not learn: {percent(score)} on validation is what guessing among {plural(classes, 'class', 'classes')} gives."


def _same(rows: Sequence[Row]) -> Iterator[str]:
    """Yield which rows of a step are one training under two names."""
    once = {row.place.identity: row for row in reversed(rows)}
    for row in rows:
        first = once[row.place.identity]
        if first is not row:
            yield f"{quoted(row.label)} is the same training as {quoted(first.label)}, under another name."


def _notes(replay: Replay, rows: Sequence[Row]) -> Iterator[str]:
    """Yield what is to be known of a reported figure, and what diverged."""
    for row in rows if replay.budget == "whole" else ():
        if row.reported and row.reported.note:
            yield f"Reported of {quoted(row.label)}: {row.reported.note}."
    for row in rows:
        if failed := [run for run in row.runs if run.failed]:
            yield f"{quoted(row.label)} diverged with {plural(len(failed), 'seed')} of {len(row.runs)}."


def _not_run(called: str, rows: Sequence[Row]) -> Iterator[str]:
    """Yield which rows have not run, with the command that runs them."""
    if any(row.missing for row in rows):
        each = listing([f"{quoted(name)} ({plural(len(row.missing), 'seed')})" for row, name in zip(rows, _told_apart(rows), strict=True) if row.missing])
        yield f"Not run yet: {each}. `rung replay {called} --minutes 60` trains what is missing, for an hour; given again it goes on."


def _told_apart(rows: Sequence[Row]) -> list[str]:
    """Name each row by its candidate, or where others are called so too by its step, by its ladder, or by all three."""
    ways = ([row.label for row in rows], [row.step for row in rows], [row.ladder for row in rows], [row_name(row.name) for row in rows])
    return [next((way[at] for way in ways if way.count(way[at]) == 1), ways[-1][at]) for at in range(len(rows))]


def _all_rows(replay: Replay) -> Cell:
    """Return every row of the system in one table."""
    parts = []
    for ladder in replay.system.plans:
        parts += [f"### {escaped(ladder)}: every row", _table(replay, [row for row in replay.shown if row.ladder == ladder], steps=True)]
    return words(*parts)


def _again(replay: Replay, called: str) -> Cell:
    """Return how all of it is done again, and on what it was measured."""
    runs = [run for row in replay.rows for run in row.scored]
    machines = dict.fromkeys(", ".join(f"{name} {value}" for name, value in run.environment.items() if value is not None) for run in runs if run.environment)
    return words(
        "## How to do it again",
        fence(f"rung replay {called} --minutes 600\nrung notebook {called}"),
        "The first trains what is missing, for ten hours at most, and goes on when it is given again; the second writes this notebook.",
        f"Measured on: {escaped(listing(list(machines)))}." if machines else "",
    )


_WHOLE: Final[Mapping[str, Callable[[Replay], Cell]]] = {  # blocks that are about the whole system
    "rows": _all_rows,
    "decisions": blocks.decisions,
    "better": blocks.better,
}
