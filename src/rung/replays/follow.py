"""Trains what a replay lacks: seed by seed, the cheapest first, until the time is over.

Each training has an ordinary run folder, named by what it trains. So whatever stops a sitting, the next one goes on where it was.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rung.errors import RecipeError
from rung.pipeline.candidates import Candidates
from rung.replays.records import COSTS, read_costs
from rung.store import atomic
from rung.store.run import Run
from rung.studies import Task, held, train_job
from rung.study import ended
from rung.study.executor import Executor, Job, Observe
from rung.study.replay import Replay, row_name
from rung.study.system_rows import Place

if TYPE_CHECKING:
    from rung.pipeline.prepare import Progress

Wanted = tuple[Place, int]
EPOCHS: Final = 50  # longer trainings mostly stop early, and those of one system that do not are equally long


def train(
    replay: Replay,
    folder: Path,
    until: float,
    *,
    workers: int | None = None,
    progress: Progress | None = None,
    observe: Observe = lambda job, step, steps: None,
) -> None:
    """Train what is missing in the folder of a replay until a time of the monotonic clock; then what trains is saved and stops.

    Raises: RecipeError or DataError for a row that cannot be trained, before anything is; RunError where a training cannot go on; Interrupted after a stop
    signal, when all has been saved.
    """
    with held(folder) as runs:
        missing = list(_needed([(row.place, seed) for row, seed in replay.missing], runs))
        costs = _costs({place.identity: place for place, _ in missing}.values(), progress)
        atomic.write_json(folder / COSTS, read_costs(folder) | costs)
        tasks = {place.key(seed): Task(place.data, place.recipe, runs) for place, seed in missing}
        with Executor(partial(train_row, tasks), workers) as executor:
            for batch in _batches(missing, costs):
                executor.run([job for place, seed in batch if (job := _job(place, seed, runs))], observe, until)
                if time.monotonic() >= until:
                    return


def train_row(tasks: Mapping[str, Task], job: Job, tell: Callable[[int, int], None]) -> None:
    """Train the row of a job in its run folder; tasks: what it trains on and from, by the names of the folders. Raises as `studies.train_job`."""
    train_job(tasks[job.key], job, tell)


def _needed(missing: Sequence[Wanted], runs: Path) -> Iterator[Wanted]:
    """Yield what is missing, and before it what it begins from where its weights are not here, each once."""
    given: set[str] = set()
    for place, seed in missing:
        chain = [place]
        while (before := chain[-1].after) is not None:
            chain.append(before)
        for one in reversed(chain):
            key = one.key(seed)
            if key not in given and (one is place or not (ended.finished(Run(runs / key)) or ended.diverged(Run(runs / key)))):
                given.add(key)
                yield one, seed


def _costs(places: Iterable[Place], progress: Progress | None) -> dict[str, float]:
    """Return about what the training of each row costs beside others, by its identity: operations of an image and epochs. Raises where it cannot be trained."""
    studies: dict[tuple[str, tuple[str, ...]], Candidates] = {}
    costs = {}
    for place in places:
        candidates = studies.setdefault((place.recipe, place.data), Candidates(place.data, place.recipe, progress))
        try:
            found = candidates.resolve(place.settings)
        except RecipeError as error:
            raise RecipeError(f"{row_name(place.name)}: {error}") from None
        costs[place.identity] = float(found.flops * min(found.epochs, EPOCHS))
    return costs


def _batches(missing: Sequence[Wanted], costs: Mapping[str, float]) -> Iterator[list[Wanted]]:
    """Yield what may be trained side by side: the seeds one after the other, of each what begins from nothing first, the cheapest first."""

    def turn(wanted: Wanted) -> tuple[int, int]:
        return wanted[1], wanted[0].depth

    ordered = sorted(missing, key=lambda wanted: (*turn(wanted), costs[wanted[0].identity]))
    for _, batch in groupby(ordered, key=turn):
        yield list(batch)


def _job(place: Place, seed: int, runs: Path) -> Job | None:
    """Return the training of a row; None where what it begins from has no weights, because it diverged."""
    settings = dict(place.settings)
    if place.after is not None:
        before = Run(runs / place.after.key(seed))
        if not ended.finished(before):
            return None
        settings["network.start"] = str(before.folder)
    return Job(place.key(seed), settings, seed, f"{row_name(place.name)}, with seed {seed}")
