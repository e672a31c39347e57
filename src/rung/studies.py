"""The functions behind the commands that study several runs at once: with `rung.workbench`, the public Python API."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rung.arguments import checked
from rung.errors import RunError, RungError
from rung.store import atomic, lock
from rung.store import run as run_store
from rung.store.run import DEFAULT_ROOT, Run
from rung.study.resolved import alike

if TYPE_CHECKING:
    from rung.data.imageset import ImageSet
    from rung.evaluate.ensemble import Averaged
    from rung.pipeline.candidates import Candidates
    from rung.pipeline.execute import Scoring
    from rung.pipeline.prepare import Progress
    from rung.study.climb import Watch
    from rung.study.compare import Comparison
    from rung.study.curse import Fall
    from rung.study.executor import Executor, Job, Train
    from rung.study.ladder import Ladder, LadderStep
    from rung.study.noise import Pilot
    from rung.study.plan import Plan
    from rung.study.robust import RobustReport
    from rung.study.search import Searched, Trial

_FREED_S: Final = 10.0  # that the process of a killed study may take to be gone


@checked
def ladder(
    steps: str | Path | Sequence[Mapping[str, Any]],
    *,
    settings: Mapping[str, Any] | None = None,
    out: str | Path = DEFAULT_ROOT,
    workers: int | None = None,
    test: bool = False,
    watch: Watch | None = None,
    progress: Progress | None = None,
    before_test: Callable[[Fall | None], None] = lambda fall: None,
    **fields: Any,
) -> Ladder:
    """Climb a ladder in the folder out/NAME, or go on with one: see docs/ladder.md.

    steps: a ladder file, or a list of steps as such a file holds them: [{"name": "dropout", "field": "network.dense_dropout", "candidates": [0.2, 0.4]}].
    fields: the other fields of a ladder file (data, recipe, metric, seeds, ..), which go over those of the file. settings: fields of the recipe that differ
    for all candidates. workers: trainings at once; None: as many as processors. test: once the ladder is climbed to its end, open the test part for the
    last winner and the start; before_test(fall) is told before by how much the score is expected to fall.

    Raises: RecipeError for a ladder that cannot be climbed, before anything is trained; RunError where a training cannot go on, or for `test` before the end.
    """
    from rung.pipeline.candidates import Candidates
    from rung.study.climb import Watch
    from rung.study.executor import Executor
    from rung.study.plan import fitted, plan_of, read_plan

    is_file = isinstance(steps, str | Path)
    plan = read_plan(Path(steps), settings, fields) if is_file else plan_of({**fields, "step": list(steps)}, settings=settings)  # type: ignore[arg-type]
    candidates = Candidates(plan.data, plan.recipe, progress)
    plan = fitted(plan, candidates.start(), str(steps) if is_file else "", settings)
    folder = Path(out) / plan.name
    _check_folder(folder)
    with _training(plan, folder) as train:
        with Executor(train, workers) as executor:
            base = Path(steps).parent if is_file else None  # type: ignore[arg-type]
            climbed = _climbed(plan, candidates, executor, folder, base, watch or Watch())
        return _ended(climbed, folder, test, before_test, progress)


def _climbed(plan: Plan, candidates: Candidates, executor: Executor, folder: Path, base: Path | None, watch: Watch) -> Ladder:
    """Climb a plan in its folder, or go on with it; its page is written after each step. base: the folder of its file."""
    from rung.reports import ladder_page
    from rung.study.climb import Climb

    before = _climbed_before(folder, plan, watch.say)

    def decided(step: LadderStep) -> None:
        ladder_page.write_page(folder)
        watch.decided(step)

    return Climb(plan, alike(candidates.start()), candidates.resolve, executor, folder, base, replace(watch, decided=decided)).climb(before)


def _ended(climbed: Ladder, folder: Path, test: bool, before_test: Callable[[Fall | None], None], progress: Progress | None) -> Ladder:
    """Open the test part of a climbed ladder, if that is wanted, and write its page."""
    from rung.reports import ladder_page

    if test:
        if climbed.ended and not climbed.tested:
            before_test(climbed.fall)
        climbed = _tested(climbed, folder, progress)
    ladder_page.write_page(folder)
    return climbed


@dataclass(frozen=True)
class Task:
    """What all trainings of a study have in common. runs: the folder of their run folders."""

    data: tuple[str, ...]
    recipe: str
    runs: Path


def train_job(task: Task, job: Job, tell: Callable[[int, int], None]) -> None:
    """Train a job in its run folder, or go on with what is there; tell(step, steps) is called after each step.

    Raises: DivergedError if the training diverged, now or when it was tried before.
    """
    from rung import workbench

    run = Run(task.runs / job.key)
    until = time.monotonic() + _FREED_S
    while lock.holder(run.folder) and time.monotonic() < until:
        time.sleep(0.05)

    def observe(step: Any) -> None:
        tell(step.step, step.steps)

    if run.recipe.is_file():
        workbench.resume(run, observe=observe)
        return
    shutil.rmtree(run.folder, ignore_errors=True)  # it was stopped before it had a recipe: there is nothing to go on with
    workbench.train(task.data, task.recipe, settings=job.settings, seed=job.seed, why=job.label, out=task.runs, name=job.key, observe=observe)


@contextlib.contextmanager
def _training(plan: Plan, folder: Path) -> Iterator[Train]:
    """Hold the folder of a study, and give what trains its jobs there."""
    with held(folder) as runs:
        yield partial(train_job, Task(plan.data, plan.recipe, runs))


@contextlib.contextmanager
def held(folder: Path) -> Iterator[Path]:
    """Hold the folder of a study, made where it is missing, and give the folder of its runs; what was refused before anything was trained leaves none."""
    from rung.study.ladder import RUNS

    runs = folder / RUNS
    new = [place for place in (runs, folder, *folder.parents) if not atomic.exists(place)]
    atomic.make_folder(runs)
    try:
        with lock.hold(runs):
            yield runs
    except RungError:
        if runs in new and os.listdir(runs) == [lock.NAME]:
            (runs / lock.NAME).unlink()
            with contextlib.suppress(OSError):  # what holds something else stays
                for place in new:
                    place.rmdir()
        raise


def _check_folder(folder: Path) -> None:
    if Run(folder).recipe.is_file():
        raise RunError(f"{folder} is the folder of a run: give the ladder another name, or --out another root")


def _climbed_before(folder: Path, plan: Plan, say: Callable[[str], None]) -> Ladder | None:
    """Return the ladder as it was climbed last, None where it was not; what has changed since is said."""
    from rung.study.ladder import FILE, read_ladder
    from rung.study.plan import changes

    if not atomic.exists(folder / FILE):
        return None
    before = read_ladder(folder)
    for sentence in changes(before.plan, plan):
        say(sentence)
    return before


def _tested(climbed: Ladder, folder: Path, progress: Progress | None) -> Ladder:
    """Open the test part for the last winner and the start of a ladder, or read what was opened before; raises RunError before its end."""
    from rung import workbench
    from rung.study import opened
    from rung.study.entrants import Results
    from rung.study.ladder import RUNS, write_ladder
    from rung.study.metrics import metric_named

    if not climbed.ended:
        raise RunError(f"the ladder {climbed.plan.name} is not climbed to its end: its test part stays sealed until then")
    runs = [run for _, one in opened.ends(climbed) for run in one.runs]
    again = [workbench.test(folder / RUNS / run, progress=progress).opened_before for run in runs]
    results = Results(folder / RUNS, metric_named(climbed.plan.metric))
    climbed = opened.with_openings(climbed, results, climbed if all(again) else opened.noted(climbed, results))
    write_ladder(folder, climbed)
    return climbed


@checked
def compare(
    runs: Sequence[str | Path | Run],
    *,
    metric: str = "accuracy",
    part: str = "validation",
    anyway: bool = False,
    page: str | Path | None = None,
    out: str | Path = DEFAULT_ROOT,
) -> Comparison:
    """Set finished runs beside each other: scores with intervals, paired differences, logs, errors; with `page`, write it there as HTML.

    Runs of one recipe with several seeds are one group, whose interval is over seeds. metric: accuracy, balanced_accuracy, macro_f1, loss, or one's own.
    part: "validation", or "test" once each of the runs has opened it. anyway: compare runs whose rows, preprocessing or metric differ, without ranking them.

    Raises: RunError for fewer than two runs, one that is not finished, or one that differs in what must be the same; RecipeError for a metric there is not.
    """
    from rung.reports import compare_page, place
    from rung.study import compare as comparing
    from rung.study import entry

    if page is not None:
        place.check_place(Path(page))
    entries = entry.read_all([_found(run, out) for run in runs], least=2)
    found = comparing.compare(entries, metric=metric, part=part, anyway=anyway)
    if page is not None:
        place.write_page(Path(page), compare_page.render(found, comparing.missed(entries, found)))
    return found


@checked
def ensemble(
    runs: Sequence[str | Path | Run],
    *,
    average: Averaged = "probabilities",
    name: str | None = None,
    data: ImageSet | None = None,
    out: str | Path = DEFAULT_ROOT,
    progress: Progress | None = None,
    scoring: Scoring | None = None,
) -> Run:
    """Make one run of several finished ones: the mean of their probabilities, or of their weights; it can be tested, reported and predicted with.

    average: "probabilities", or "weights" of runs of one network, whose batch norm is then measured anew on the training images. name: of the new run's
    folder. data: the ImageSet, for runs whose data were passed in Python.

    Raises: RunError naming what differs, where the runs have not the same classes, rows, preprocessing or, for weights, network.
    """
    from rung.pipeline import ensembling
    from rung.pipeline.ready import ready_again
    from rung.study import entry

    run_store.check_new(Path(out), name)
    entries = entry.read_all([_found(run, out) for run in runs], least=2)
    ensembling.check(entries, average)
    prepared = ready_again(entries[0].run, data, progress)
    prepared = replace(prepared, recipe=ensembling.recipe_of(entries, prepared, average))
    made = run_store.create(Path(out), prepared.recipe.name, prepared.recipe.seed, name)
    try:
        with lock.hold(made.folder):
            ensembling.make(made, entries, prepared, average, scoring)
    except RungError:
        made.discard()
        raise
    return made


@checked
def robust(
    runs: Sequence[str | Path | Run],
    *,
    part: str = "validation",
    images: int = 2_000,
    data: ImageSet | None = None,
    page: str | Path | None = None,
    out: str | Path = DEFAULT_ROOT,
    progress: Progress | None = None,
    scoring: Scoring | None = None,
) -> RobustReport:
    """Ask finished runs about corrupted images, seven kinds at five strengths, and keep the answers in robust.json of each run; with `page`, write it as HTML.

    part: "validation"; "test" only for runs that have opened it. images: at most so many, the same of every run. data: the ImageSet, for runs whose data were
    passed in Python. What a run has answered before is not asked again.

    Raises: RunError for a run without the part, or for runs that do not answer the same images.
    """
    from rung.pipeline import corrupting
    from rung.reports import place, robust_page
    from rung.study import entry
    from rung.study import robust as robustness

    if page is not None:
        place.check_place(Path(page))
    entries = entry.read_all([_found(run, out) for run in runs], least=1)
    corrupting.check(entries, part)
    found = robustness.report(corrupting.measured(entries, part, images, data, progress, scoring))
    if page is not None:
        place.write_page(Path(page), robust_page.render(found, corrupting.sample(entries[0])))
    return found


def _found(run: str | Path | Run, out: str | Path) -> Run:
    return run if isinstance(run, Run) else run_store.open_run(run, Path(out))


@checked
def search(
    file: str | Path | Mapping[str, Any],
    *,
    settings: Mapping[str, Any] | None = None,
    out: str | Path = DEFAULT_ROOT,
    workers: int | None = None,
    test: bool = False,
    watch: Watch | None = None,
    progress: Progress | None = None,
    tried: Callable[[Trial, int], None] = lambda trial, trials: None,
    before_test: Callable[[Fall | None], None] = lambda fall: None,
) -> Searched:
    """Search combinations of fields in the folder out/NAME, or go on with it, and let the referee judge the best against the start: see docs/search.md.

    file: a search file, or what it holds as a dictionary. settings: fields of the recipe that differ for all trials. workers: trainings at once of the
    referee's seeds; trials run one after the other. tried(trial, trials) is called after each trial; the rest is as in `ladder`.

    Raises: RecipeError for a search that cannot be run, before anything is trained; RunError without optuna, for other trials of the same name, or where no
    trial was finished.
    """
    from rung.pipeline.candidates import Candidates
    from rung.study import search as searching
    from rung.study.climb import Watch
    from rung.study.entrants import Results
    from rung.study.executor import Executor
    from rung.study.ladder import RUNS
    from rung.study.metrics import metric_named
    from rung.study.search_plan import fitted_search, read_search, search_of

    is_file, watch = isinstance(file, str | Path), watch or Watch()
    wanted = read_search(Path(file), settings) if is_file else search_of(file, settings=settings)  # type: ignore[arg-type]
    candidates = Candidates(wanted.plan.data, wanted.plan.recipe, progress)
    wanted = fitted_search(wanted, candidates.start())
    plan = wanted.plan
    folder = Path(out) / plan.name
    _check_folder(folder)
    with _training(plan, folder) as train:
        base = {**alike(candidates.start()), **plan.settings}
        results = Results(folder / RUNS, metric_named(plan.metric))
        trials = searching.Search(wanted, base, candidates.resolve, Executor(train, 1), results, folder, tried, watch.job).run()
        with Executor(train, workers) as executor:
            climbed = _climbed(searching.last_step(trials, results), candidates, executor, folder, Path(file).parent if is_file else None, watch)  # type: ignore[arg-type]
        return searching.Searched(trials, _ended(climbed, folder, test, before_test, progress))


@checked
def noise(
    data: str | Path | Sequence[str | Path],
    recipe: str | Path = "default",
    *,
    seeds: int | Sequence[int] = 5,
    splits: int | None = None,
    difference: float | None = None,
    candidates: int = 1,
    metric: str = "accuracy",
    settings: Mapping[str, Any] | None = None,
    out: str | Path = DEFAULT_ROOT,
    workers: int | None = None,
    progress: Progress | None = None,
    staged: Callable[[int, int], None] = lambda done, total: None,
) -> Pilot:
    """Train one recipe with a few seeds, and say what differences a study of it can see, and what seeing a given one takes: see docs/noise.md.

    splits: on how many other validation parts it is trained besides, one run each; None: as many as seeds where rung draws a part of under 1,000 images,
    else none. difference: in points of a share (0.5), in its own unit of another metric. candidates: of a step that is planned. settings: as in `train`.
    workers: trainings at once; None: as many as processors. staged(done, total) is called with trainings done. The runs lie in out/noise/runs: what was
    trained before is read, not trained again.

    Raises: RecipeError or DataError before anything is trained; RunError where a training diverges or all seeds score the same.
    """
    from rung.pipeline.candidates import Candidates
    from rung.recipe import change
    from rung.study import noise as pilots
    from rung.study.executor import Executor
    from rung.study.ladder import RUNS
    from rung.study.plan import fitted

    sources = (data,) if isinstance(data, str | Path) else data
    plan = pilots.plan(tuple(map(str, sources)), str(recipe), metric, seeds, splits, candidates, difference, settings or {})
    made = Candidates(plan.data, plan.recipe, progress)
    plan = fitted(plan, made.start())
    folder = Path(out) / plan.name
    with _training(plan, folder) as train, Executor(train, workers) as executor:
        return pilots.run(
            pilots.Question(" + ".join(plan.data), plan.recipe, metric, pilots.in_unit(difference, metric), candidates),
            plan.seeds,
            splits,
            start=change(made.start(), plan.settings),
            base={**alike(made.start()), **plan.settings},
            resolve=made.resolve,
            executor=executor,
            runs=folder / RUNS,
            observe=staged,
        )
