"""The test part of a replay: opened at the end, for the start of each ladder and for what its author kept last."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rung import workbench
from rung.errors import RunError
from rung.store.run import Run
from rung.study import ended
from rung.study.ladder import RUNS
from rung.study.replay import Replay, Row, row_name
from rung.words import plural

if TYPE_CHECKING:
    from rung.pipeline.prepare import Progress


def ends(replay: Replay) -> list[Row]:
    """Return the start of each ladder and what was kept at its end, each training once; of a ladder with stages the last of these."""
    found: dict[str, Row] = {}
    for ladder in replay.system.plans:
        rows = [row for row in replay.rows if row.ladder == ladder]
        last = [row for row in rows if row.keep or row.place.after]
        for row in (rows[0], last[-1]):
            found.setdefault(row.place.identity, row)
    return list(found.values())


def open_ends(replay: Replay, folder: Path, progress: Progress | None) -> None:
    """Open the test part for the runs of `ends`; those that have opened it are left as they are.

    Raises: RunError before every row has run, or where the weights of one are not here; then nothing was opened.
    """
    if replay.missing:
        left = f"{len(replay.missing)} of {plural(len(replay.trainings), 'training')}"
        raise RunError(f"{left} {'is' if len(replay.missing) == 1 else 'are'} still to come: the test part stays sealed until every row has run")
    runs = []
    for row in ends(replay):
        for record in row.scored:
            run = Run(folder / RUNS / record.run)
            if not ended.finished(run):
                raise RunError(
                    f"{row_name(row.name)}, seed {record.seed}, is known by its record only, and the test part needs its weights: "
                    "train the rows yourself, with --own and --minutes"
                )
            runs.append(run)
    for run in runs:
        workbench.test(run, progress=progress)
