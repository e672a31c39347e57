"""What a sitting of a replay has done where no training came to its end in it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rung.replays.follow import EPOCHS
from rung.store import atomic
from rung.store.run import Run, RunSummary, summary_of
from rung.study import ended
from rung.study.ladder import RUNS
from rung.study.replay import Replay, Row, hours_text, row_name
from rung.words import plural

_NAMED = 3


def told(before: Replay, after: Replay, folder: Path) -> list[str]:
    """Say what is under way where a sitting ended no training, and about how long the rest takes by the epochs that ran; nothing where one ended.

    folder: of the replay.
    """
    if len(after.missing) < len(before.missing):
        return []
    begun = [(row, summary_of(run)) for row, seed in after.missing if atomic.exists((run := Run(folder / RUNS / row.place.key(seed))).recipe)]
    if not begun:
        return ["No training ended in this sitting, and none was begun: give more minutes."]
    names = [f"{row_name(row.name)}, seed {one.seed} ({_far(one)})" for row, one in begun]
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    hours = _hours(after, begun)
    long = f" By what its epochs took, all that is left takes about {hours_text(hours)}, one training after the other." if hours else ""
    return [f"No training ended in this sitting. Under way, and saved: {'; '.join(names[:_NAMED])}{more}.{long} The same command goes on there."]


def _far(one: RunSummary) -> str:
    return f"{one.epochs} of {one.epochs_planned} epochs" if one.epochs_planned else plural(one.epochs, "epoch")


def _hours(replay: Replay, begun: Sequence[tuple[Row, RunSummary]]) -> float | None:
    """Return about how many hours all that is missing takes; None where no epoch came to its end."""
    done = [
        (cost * one.epochs / min(one.epochs_planned, EPOCHS), ended.seconds(one.run))
        for row, one in begun
        if one.epochs and one.epochs_planned and (cost := replay.costs.get(row.place.identity))
    ]
    left = [replay.costs.get(row.place.identity) for row, _ in replay.missing]
    if not done or None in left:
        return None
    return sum(cost for cost in left if cost) * sum(seconds for _, seconds in done) / sum(cost for cost, _ in done) / 3600
