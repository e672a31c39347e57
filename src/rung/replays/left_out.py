"""Runs and records that a replay leaves out, and what it says of them: those of no row any more, and those that saw other images."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from rung.store import atomic
from rung.study.replay import RunRecord, records_are, rows_of
from rung.study.system_rows import Place
from rung.words import listing

_KEY: Final = re.compile(r"[0-9a-f]{16}")  # how the folders of runs are called
_SEEDS: Final = 100  # runs of seeds below it belong to their row, also where fewer are asked for


def stale(runs: Path, wanted: Sequence[Place]) -> list[str]:
    """Return the names of the run folders that are of no row, with whatever seed: what its files say to train has changed since."""
    if not atomic.exists(runs):
        return []
    names = {folder.name for folder in runs.iterdir() if _KEY.fullmatch(folder.name) and folder.is_dir()}
    return sorted(names - {place.key(seed) for place in wanted for seed in {*range(_SEEDS), *place.seeds}})


def told_stale(runs: Path, wanted: Sequence[Place]) -> list[str]:
    """Say which runs of a folder are of no row, and what to do with them; nothing where there are none."""
    names = stale(runs, wanted)
    if not names:
        return []
    shown = listing(names) if len(names) <= 4 else f"{', '.join(names[:3])} and {len(names) - 3} more"
    are = "1 run of your own is" if len(names) == 1 else f"{len(names)} runs of your own are"
    return [f"{are} left out, for the files now say something else to train: {shown}; undo the change, or delete these folders."]


def of_same_data(mine: Sequence[RunRecord], brought: Sequence[RunRecord], wanted: Sequence[Place]) -> tuple[list[RunRecord], list[str]]:
    """Return the records that saw the same images, those of the folder first, and what is said of those that saw others and are left out.

    Rows with the same data and the same fields of `data` must have seen the same images. Which is right the runs of the folder say, most of them; where
    there is none, most of the records that rung brings. A record that does not know its images is believed.
    """
    data = {place.ladder: place.data for place in wanted}

    def group(record: RunRecord) -> tuple[Any, ...]:
        return data.get(record.ladder), record.recipe, sorted((name, repr(value)) for name, value in record.settings.items() if name.startswith("data."))

    groups: dict[str, list[RunRecord]] = {}
    for record in (*mine, *brought):
        groups.setdefault(repr(group(record)), []).append(record)
    here = {id(record) for record in mine}
    out: list[RunRecord] = []
    for records in groups.values():
        known = [record for record in records if record.content]
        counted = Counter(record.content for record in [one for one in known if id(one) in here] or known)
        out += [record for record in known if record.content != counted.most_common(1)[0][0]]
    left = {id(record) for record in out}
    kept = [record for record in (*mine, *brought) if id(record) not in left]
    return kept, _told_other([one for one in out if id(one) in here], [one for one in out if id(one) not in here], bool(mine))


def _told_other(mine: Sequence[RunRecord], brought: Sequence[RunRecord], compared: bool) -> list[str]:
    said = []
    if mine:
        folders = listing(sorted({record.run for record in mine}))
        said.append(f"{records_are(len(mine))} left out, for they saw other images than most runs of this folder: delete {folders} to train them again.")
    if brought:
        others = "the runs of this folder" if compared else "most others"
        said.append(f"{records_are(len(brought))} left out, for they saw other images than {others}: {rows_of(brought)}.")
    return said
