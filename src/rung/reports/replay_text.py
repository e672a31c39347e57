"""A replay in words: its table, how far it is and how to go on, what the author's decisions are worth."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from rung.reports.copies import Table
from rung.store.run import DEFAULT_ROOT
from rung.study.amounts import signed_text
from rung.study.plan import shown
from rung.study.replay import Estimate, Judgement, Replay, Row, hours_text, row_name
from rung.study.system import Mistake, Reported
from rung.words import count, duration, listing, plural, quoted

VERDICTS: Final = ("confirmed", "in the noise", "wrong", "cannot tell", "not judged yet")
REPORTED: Final = "reported: test (%)"
KEPT: Final = "carried on"
NOT_RUN: Final = "not run"
_ELSEWHERE: Final = "{} is told with scores of the author, so at the whole budget only."


def table(replay: Replay, ladder: str) -> Table:
    """Return the rows of a ladder: what was reported, at the whole budget only, beside what was measured on validation, and on test where it was opened."""
    rows = [_cells(replay, row) for row in replay.shown if row.ladder == ladder]
    headings = tuple(heading for heading in rows[0] if any(row[heading] for row in rows))
    return Table(headings, tuple(tuple(row[heading] for heading in headings) for row in rows), frozenset(headings) - {"step", "candidate", "remark"})


def _cells(replay: Replay, row: Row) -> dict[str, str]:
    """Return one line by its headings; what is not known is empty."""
    accuracy, f1, gap = row.score(), row.score(metric="macro_f1"), row.gap()
    whole = replay.budget == "whole"
    tested = any(one.score("test") for one in replay.rows)
    return {
        "step": row.step,
        "candidate": row.label,
        **({REPORTED: points(row.reported, "accuracy"), "reported: macro F1": points(row.reported, "macro_f1")} if whole else {}),
        "seeds": str(len(row.scored)) if any(one.runs for one in replay.rows) else "",
        "validation (%)": _mean(accuracy),
        "95 % over seeds": interval(accuracy),
        "macro F1 (%)": _mean(f1),
        "gap (points)": "" if gap is None else signed_text(gap.mean, True),
        **({"test (%)": _mean(row.score("test"))} if tested else {}),
        "parameters": parameters(row),
        "epochs": "" if row.epochs is None else f"{row.epochs:.3g}",
        "time of one": "" if row.seconds is None else duration(row.seconds),
        "remark": remark(replay, row),
    }


def points(reported: Reported | None, name: str) -> str:
    """Write a figure that the author reported, with as many digits as he gave."""
    value = getattr(reported, name) if reported else None
    return "" if value is None else f"{value:.2f}" if name == "accuracy" else f"{value:.3f}"


def _mean(found: Estimate | None) -> str:
    return "" if found is None else f"{100 * found.mean:.2f}"


def interval(found: Estimate | None) -> str:
    """Write the interval of a share over seeds in percent: "79.10 to 81.44"; "" for one seed, which has none."""
    return "" if found is None or found.low is None or found.high is None else f"{100 * found.low:.2f} to {100 * found.high:.2f}"


def parameters(row: Row) -> str:
    """Write how many parameters a network has, "" where nothing is known."""
    return "" if row.known_parameters is None else count(row.known_parameters)


def remark(replay: Replay, row: Row) -> str:
    """Return what else there is to know of a row, in a few words."""
    diverged = [str(run.seed) for run in row.runs if run.failed]
    said = [
        *([_went_on(replay, row)] if row.keep else []),
        *([f"same network as {_short(row, replay.row(*row.same_as))}"] if row.same_as else []),
        *([f"diverged with seed {listing(diverged)}"] if diverged else []),
        *([NOT_RUN] if not row.runs else []),
    ]
    accuracy, f1 = row.score(metric="categories.accuracy"), row.score(metric="categories.macro_f1")
    if accuracy and f1:
        said.append(f"by categories {_mean(accuracy)} %, macro F1 {_mean(f1)} %")
    return ", ".join(said)


def _went_on(replay: Replay, row: Row) -> str:
    """Say whether the author carried a kept row on: not where only his text says so, nor in a step that is none of his decisions."""
    by_him = ((one.ladder, one.step) == (row.ladder, row.step) and one.by == "author" for one in replay.system.decisions)
    return KEPT if any(by_him) else "kept here"


def _short(row: Row, other: Row) -> str:
    """Name the row that one is the same as, without what both have in common."""
    if (other.ladder, other.step) == (row.ladder, row.step):
        return other.label
    return f"{other.step}: {other.label}" if other.ladder == row.ladder else row_name((other.ladder, other.step, other.label))


def task(replay: Replay) -> str:
    """Return what the task is and of how many images, at the small budget by its settings."""
    system = replay.system
    of_each = system.small.settings.get("data.per_class")
    small = f"{of_each} images of each class to learn from and to choose on" if of_each else "fewer images or epochs"
    images = system.images if replay.budget == "whole" else f"here, at the small budget, {small}"
    return "; ".join(text for text in (system.task, images) if text)


def budget(replay: Replay) -> str:
    """Say what was trained: all of it, or the small budget, whose scores stand beside no reported one."""
    if replay.budget == "whole":
        return "The whole budget: the author's data, epochs and stopping. What he reported is of one run on test; what is measured here is of validation."
    changed = "; ".join(
        [_fields(replay.system.small.settings), *(f"{one.title or one.name}: {_fields(one.small)}" for one in replay.system.ladders if one.small)]
    )
    return f"The small budget ({changed}): the same networks, compared with one another only. No score here stands beside one that the author reported."


def _fields(settings: Mapping[str, Any]) -> str:
    return listing([f"{name} = {shown(value)}" for name, value in settings.items()])


def at_small(replay: Replay) -> str:
    """Say what is there at the small budget where the whole one has not run in full, and how it is shown; "" where nothing is there."""
    small = replay.at_small
    if small is None:
        return ""
    are = "is there, in a table of its own" if small.there == 1 else "are there, in a table of their own"
    return f"At the small budget {small.there} of {plural(small.trainings, 'training')} {are}: `{small.command}` shows it."


def progress(replay: Replay, command: str) -> str:
    """Say how many trainings there are, about how long the rest takes, and which command goes on; command: without minutes."""
    there, left = len(replay.trainings) - len(replay.missing), len(replay.missing)
    if not left:
        return f"All {plural(there, 'training')} are there."
    hours = replay.hours_left()
    long = "" if hours is None else f", about {hours_text(hours)} one after the other by what those there took"
    are = "is" if left == 1 else "are"
    more = f"`{command} --minutes 60` trains for an hour, and goes on where it was"
    return f"{there} of {plural(there + left, 'training')} are there; {left} {are} left{long}. {more}."


def tally(replay: Replay) -> str:
    """Say how many decisions of the author came to which verdict."""
    found = [verdict(one) for one in replay.judgements if one.decision.by == "author"]
    if found and set(found) == {"not judged yet"}:
        return f"No decision of the author is judged yet: each of {len(found)} needs two seeds of all its rows."
    each = listing([f"{found.count(word)} {word}" for word in VERDICTS if word in found])
    at = " at the small budget" if replay.budget == "small" else ""
    return f"Of {plural(len(found), 'decision')} of the author{at}: {each}." if found else "No decision of the author is there to be judged."


def verdict(one: Judgement) -> str:
    """Return a verdict as it is shown: rows with fewer than two seeds may have run, so "not run" would say too much."""
    return "not judged yet" if one.verdict == "not run" else one.verdict


def judged(replay: Replay) -> list[Judgement]:
    """Return what has a verdict: the author's decisions, and after them what only his text says."""
    return sorted((one for one in replay.judgements if one.verdict != "not run"), key=lambda one: one.decision.by != "author")


def waiting(replay: Replay) -> str:
    """Name in one sentence the decisions whose rows have fewer than two seeds; "" where there is none."""
    of: dict[str, list[str]] = {}
    for one in replay.judgements:
        if one.verdict == "not run":
            of.setdefault(one.decision.ladder, []).append(one.decision.step)
    names = "; ".join(f"{ladder}: {', '.join(steps)}" for ladder, steps in of.items())
    return f"not judged yet: {plural(sum(map(len, of.values())), 'decision')} (each row needs two seeds): {names}" if of else ""


def decision(replay: Replay, one: Judgement) -> str:
    """Return what the author decided and how he put it: "grey, CNN 3 filters: “[32, 64, 128]” was carried on: .."."""
    said = replay.said(one)
    did = "was carried on" if one.decision.by == "author" else "is kept here, as what would have been right"
    return f"{one.decision.ladder}, {one.decision.step}: {quoted(kept_name(replay, one))} {did}{f': {said}' if said else ''}"


def kept_name(replay: Replay, one: Judgement) -> str:
    """Return how a table calls what a decision keeps."""
    return replay.row(one.decision.ladder, one.decision.step, one.kept).label


@dataclass(frozen=True)
class Told:
    """A mistake as it is told at a budget. text: what the author's code did; lines: what making it again has shown."""

    mistake: Mistake
    text: str
    lines: Sequence[str]


def mistakes(replay: Replay, made: Mapping[str, Sequence[str]]) -> list[Told]:
    """Return the author's mistakes; of those that are told with his scores only the lesson at the small budget. made: what each has shown, by its name."""
    words = [(one, replay.his_words(one.text)) for one in replay.system.mistakes]
    return [Told(one, text or _ELSEWHERE.format(quoted(one.name)), made.get(one.name, ()) if text else ()) for one, text in words]


def called(name: str, small: bool = False, out: Path = DEFAULT_ROOT, seeds: int | None = None, own: bool = False) -> str:
    """Return the words behind `rung replay` and `rung notebook` that name a replay, as a shell takes them."""
    words = [name, *(["--small"] if small else []), *(["--seeds", str(seeds)] if seeds else []), *(["--own"] if own else [])]
    return shlex.join([*words, *(["--out", str(out)] if out != DEFAULT_ROOT else [])])
