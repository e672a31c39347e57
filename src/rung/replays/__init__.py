"""Known systems, replayed: every row that their authors tried, trained along their path, and their decisions judged."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rung.arguments import checked
from rung.errors import RecipeError, RunError
from rung.replays.known import SYSTEMS, system, systems
from rung.store.run import DEFAULT_ROOT

if TYPE_CHECKING:
    from rung.pipeline.prepare import Progress
    from rung.study.executor import Observe
    from rung.study.replay import AtSmall, Replay
    from rung.study.system import System

__all__ = ["SYSTEMS", "replay", "system", "systems"]


_MOST_SEEDS: Final = 100


@checked
def replay(
    name: str | Path,
    *,
    minutes: float | None = None,
    small: bool = False,
    seeds: int | None = None,
    own: bool = False,
    test: bool = False,
    out: str | Path = DEFAULT_ROOT,
    workers: int | None = None,
    page: str | Path | None = None,
    observe: Observe = lambda job, step, steps: None,
    progress: Progress | None = None,
) -> Replay:
    """Return what is known of a system's replay, and train what is missing of it if there are minutes for that: see docs/replay.md.

    name: of a system (`systems`), or a folder that holds system.toml. minutes: of this sitting; what trains when they are over is saved, and the next
    sitting goes on. small: the small budget. seeds: how many a row, in place of what the system says. own: leave out the records that rung brings.
    test: once every row has run, open the test part for the start of each ladder and for what is kept at its end, at the whole budget with the seeds of the
    system only. out: runs lie in OUT/replay-NAME/runs. workers: trainings at once; None: as many as processors. page: where the page is written, if at all.
    observe(job, step, steps) is called after each step, progress(done, total) while files are read.

    Raises: RecipeError for a name there is not, minutes that are none, `test` at another budget, or a row that cannot be trained; RunError where a training
    cannot go on, or for `test` before its time.
    """
    from rung.reports import place

    found = system(name)
    _check(minutes, seeds)
    if test:
        _check_test(found, small, seeds)
    if page is not None:
        place.check_place(Path(page))
    folder = _folder(found, small, Path(out))
    known, said = _known(found, small, seeds, folder, own), []
    if minutes is not None and known.missing:
        from rung.replays import follow, sitting

        follow.train(known, folder, time.monotonic() + 60 * minutes, workers=workers, progress=progress, observe=observe)
        before, known = known, _known(found, small, seeds, folder, own)
        said = sitting.told(before, known, folder)
    if test:
        from rung.replays import opened

        opened.open_ends(known, folder, progress)
        known = _known(found, small, seeds, folder, own)
    if not small and known.missing:
        known = replace(known, at_small=_at_small(name, found, seeds, Path(out), own))
    if page is not None:
        from rung.replays import mistakes
        from rung.reports import replay_page

        place.write_page(Path(page), replay_page.render(known, mistakes.told(found.name, small)))
    return replace(known, told=(*known.told, *said))


def _check(minutes: float | None, seeds: int | None) -> None:
    if minutes is not None and not 0 < minutes < math.inf:
        raise RecipeError(f"minutes = {minutes:g}: give how long this sitting may train, above 0, such as 60")
    if seeds is not None and seeds < 1:
        raise RecipeError(f"seeds = {seeds}: give how many seeds each row is to have, 1 or more; decisions are judged from 2")
    if seeds is not None and seeds > _MOST_SEEDS:
        raise RecipeError(f"seeds = {seeds}: at most {_MOST_SEEDS} seeds a row are planned; from 3 to 10 are the habit")


def _check_test(found: System, small: bool, seeds: int | None) -> None:
    """Refuse to open the test part for anything but the whole budget with the seeds of the system: it is opened once, for what was planned."""
    if small:
        raise RecipeError("the test part is not opened at the small budget: leave out --small (in Python: small), or --test")
    for name, plan in found.plans.items():
        if seeds is not None and plan.seeds != tuple(range(seeds)):
            raise RecipeError(
                f"the test part is opened only for the seeds that the system names, which are {len(plan.seeds)} for ladder {name}, not {seeds}: "
                "leave out --seeds, or --test"
            )


def _folder(found: System, small: bool, out: Path) -> Path:
    from rung.replays.records import file_name

    return out / f"replay-{file_name(found.name, small)}"


def _known(found: System, small: bool, seeds: int | None, folder: Path, own: bool) -> Replay:
    """Return the replay as far as records go, judged."""
    from rung.study.decisions import judged

    return judged(_recorded(found, small, seeds, folder, own))


def _at_small(name: str | Path, found: System, seeds: int | None, out: Path, own: bool) -> AtSmall | None:
    """Return what is there at the small budget; None where nothing is, or where it cannot be read: the small budget's own command says why."""
    from rung.reports.replay_text import called
    from rung.study.replay import AtSmall

    try:
        known = _recorded(found, True, seeds, _folder(found, True, out), own)
    except (RecipeError, RunError):
        return None
    there, command = len(known.trainings) - len(known.missing), f"rung replay {called(str(name), True, out, seeds, own)}"
    return AtSmall(there, len(known.trainings), command) if there else None


def _recorded(found: System, small: bool, seeds: int | None, folder: Path, own: bool) -> Replay:
    """Return the replay as far as records go: those of the folder, and those that rung brings. Nothing is judged yet."""
    from rung.replays import left_out, records
    from rung.study.ladder import RUNS
    from rung.study.replay import replayed
    from rung.study.system_rows import places

    wanted = places(found, small, seeds)
    brought = [] if own or found.name not in systems() else records.shipped(found.name, small)
    mine = records.found(folder / RUNS, wanted, [record.run for record in brought])
    kept, told = left_out.of_same_data(mine, brought, wanted)
    if told:  # a run of the folder whose record was brought, and is left out now, is read too
        mine = records.found(folder / RUNS, wanted, [record.run for record in brought if any(record is one for one in kept)])
        read = {record.run for record in mine}
        kept, told = left_out.of_same_data(mine, [record for record in brought if record.run not in read], wanted)
    made = replayed(found, "small" if small else "whole", wanted, kept, records.read_costs(folder))
    return replace(made, told=(*made.told, *told, *left_out.told_stale(folder / RUNS, wanted)))
