"""Whether a ladder's test part has been opened before: read again from its runs, each of which keeps the line of its opening.

A ladder may be climbed with other parts and back again. So nothing is believed of ladder.json but after how many steps each test set was opened.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from rung.errors import RunError
from rung.store import arrays, atomic, ledger
from rung.study.entrants import Results
from rung.study.ladder import Candidate, Ladder, Tested
from rung.study.plan import START
from rung.words import plural

Receipts = Mapping[str, Mapping[str, Any]]


def with_openings(ladder: Ladder, results: Results, before: Ladder | None) -> Ladder:
    """Return the ladder with what its runs say of its test part; before: the ladder as it was climbed last, which knows after how many steps it was opened.

    Nothing is opened. Raises: RunError where a run that has opened its test part is damaged.
    """
    receipts = _receipts(results)
    remembered = _remembered(before, receipts)
    if not receipts:
        return replace(ladder, test=(), opened=0, opened_after=(), openings=remembered)
    both = ends(ladder)
    keys = _test_sets([run for _, one in both for run in one.runs], receipts, results)
    opened = sum(1 for receipt in receipts.values() if receipt["key"] in keys)
    after = tuple(sorted({steps for key in keys for steps in remembered.get(key, ())}))
    test = () if not ladder.ended else tuple(tested for name, one in both if (tested := _tested(name, one, receipts, results)))
    return replace(
        ladder, test=test, opened=opened, opened_after=after, openings=remembered, told=tuple(dict.fromkeys((*ladder.told, *_told(ladder, opened, after))))
    )


def noted(ladder: Ladder, results: Results) -> Ladder:
    """Return the ladder, whose test part was opened just now, with after how many steps that was."""
    receipts = _receipts(results)
    keys = {receipts[run]["key"] for _, one in ends(ladder) for run in one.runs}
    now = {key: tuple(sorted({*ladder.openings.get(key, ()), len(ladder.steps)})) for key in sorted(keys)}
    return replace(ladder, openings={**ladder.openings, **now})


def ends(ladder: Ladder) -> list[tuple[str, Candidate]]:
    """Return the last winner and the first start with their names, once where they are one network."""
    first, last = ladder.steps[0].start, ladder.steps[-1]
    both = {one.runs: (name, one) for name, one in ((ladder.winner, last.named(last.kept)), (START, first))}
    return list(both.values())


def _receipts(results: Results) -> dict[str, Mapping[str, Any]]:
    """Return the ledger's line of each run of the ladder's folder that has opened its test part."""
    found: dict[str, Mapping[str, Any]] = {}
    for path in sorted(results.runs.glob(f"*/{ledger.RECEIPT}")):
        line = atomic.read_json(path)
        if not isinstance(line, dict) or not isinstance(line.get("key"), str) or not isinstance(line.get("opening"), int):
            raise RunError(f"{path} is damaged: it is no line of a ledger")
        found[path.parent.name] = line
    return found


def _remembered(before: Ladder | None, receipts: Receipts) -> dict[str, tuple[int, ...]]:
    """Return after how many steps each test set was opened; a ladder of an earlier version says it of the runs that it shows."""
    if before is None:
        return {}
    if before.openings or not before.opened_after:
        return dict(before.openings)
    keys = {receipts[run]["key"] for tested in before.test for run in tested.runs if run in receipts}
    return dict.fromkeys(sorted(keys), before.opened_after)


def _test_sets(runs: Sequence[str], receipts: Receipts, results: Results) -> set[str]:
    """Return the keys of those test sets of these runs that a run of the ladder has opened: its own line names it, or that of one on the same rows."""
    by_rows = {_rows(run, results): str(receipt["key"]) for run, receipt in receipts.items()}
    keys = {str(receipts[run]["key"]) for run in runs if run in receipts}
    return keys | {by_rows[rows] for run in runs if run not in receipts and (rows := _rows(run, results)) in by_rows}


def _rows(run: str, results: Results) -> tuple[str, bytes]:
    """Return what two runs share only if their test parts hold the same images: the content of all images and the rows of the test part."""
    found = results.run(run)
    return str(found.read_data()["content"]), arrays.read(found.splits)[0]["test"].tobytes()


def _tested(name: str, one: Candidate, receipts: Receipts, results: Results) -> Tested | None:
    """Return the test scores of those runs of a candidate that have some, None where none has."""
    scored = [(seed, run) for seed, run in zip(one.seeds, one.runs, strict=True) if run in receipts and "test" in results.scores(run)]
    if not scored:
        return None
    seeds, runs = zip(*scored, strict=True)
    return Tested(name, seeds, runs, tuple(results.value(run, "test") for run in runs), tuple(int(receipts[run]["opening"]) for run in runs))


def _told(ladder: Ladder, opened: int, after: Sequence[int]) -> list[str]:
    """Return what there is to say of earlier openings, where something came after them or the ladder is not at its end."""
    if after and len(ladder.steps) > after[0]:
        return [f"The test part was opened when this ladder had {plural(after[0], 'step')}: what came after was chosen by people who may have seen it."]
    return [] if not opened or ladder.ended else [f"The test part of this ladder has been opened {plural(opened, 'time')} before."]
