"""The functions behind the commands: the public Python API is these and the records they return."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rung import own as own_module
from rung import recipe as recipe_module
from rung.arguments import checked
from rung.errors import DataError, RunError, RungError
from rung.recipe import Recipe
from rung.store import atomic, ledger, lock
from rung.store import run as run_store
from rung.store.run import DEFAULT_ROOT, Run, RunSummary

if TYPE_CHECKING:
    from rung.audit.check import CheckReport
    from rung.audit.preflight.outcome import Preflight
    from rung.data.cache import Kept
    from rung.data.describe import DataReport
    from rung.data.imageset import ImageSet
    from rung.evaluate.metrics import Scores
    from rung.pipeline.execute import Observe, Scoring
    from rung.pipeline.predicting import Answer
    from rung.pipeline.prepare import Prepared, Progress


@dataclass(frozen=True)
class Opening:
    """A test set opened for a run: the scores, and the how-manieth opening of this test set it was; opened_before: by this run."""

    run: Run
    scores: Scores
    opening: int
    opened_before: bool


@checked
def load(
    *sources: str | Path,
    classes: str | None = None,
    size: int | None = None,
    grey: bool = False,
    settings: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
    cache: bool = True,
) -> ImageSet:
    """Load labelled images from names or paths: load("digits"), load("photos/", size=64).

    cache: whether decoded images may be kept, and taken, where rung.data.cache says ($RUNG_CACHE).
    Raises: DataError or RecipeError saying what is wrong with them.
    """
    from rung.data import load as loading
    from rung.data.cache import place
    from rung.pipeline.ready import data_recipe

    recipe = data_recipe(Recipe(), sources, classes=classes, size=size, grey=grey, settings=settings or {})
    return loading.load(recipe.data, recipe.pixels, progress=progress, cache=place() if cache else None)


@checked
def describe(data: ImageSet | str | Path) -> DataReport:
    """Describe a data set: counts by part and class, size, what was left out or repaired, duplicates."""
    from rung.data.describe import describe as describe_images

    return describe_images(load(data) if isinstance(data, str | Path) else data)


@checked
def check(
    data: str | Path | Sequence[str | Path] | ImageSet,
    *,
    classes: str | None = None,
    size: int | None = None,
    grey: bool = False,
    settings: Mapping[str, Any] | None = None,
    seed: int | None = None,
    page: str | Path | None = None,
    progress: Progress | None = None,
    say: Callable[[str], None] = lambda sentence: None,
    staged: Callable[[int, int], None] = lambda done, total: None,
) -> CheckReport:
    """Look for mistakes in a data set, split as `train` would split it, and change nothing; with `page`, write what was found there as HTML with pictures.

    progress(done, total) is called while files are read, staged(done, total) before each check; say(sentence) hears of trouble with the cache.

    Raises: RunError before any work where the page cannot be written; RecipeError; DataError where the data are not there. Data that cannot be used
    for a reason that a check looks for are no error: see `CheckReport.errors`.
    """
    from rung.audit import check as checks
    from rung.data.imageset import ImageSet
    from rung.data.twins_kept import kept_twins
    from rung.pipeline.prepare import divided, load_images
    from rung.pipeline.ready import data_recipe, say_troubles, sources_of
    from rung.reports import check_page, place

    if page is not None:
        place.check_place(Path(page))
    sources = sources_of(data)
    images, splits = data if isinstance(data, ImageSet) else None, None
    words = {} if seed is None else {"seed": seed}
    recipe = data_recipe(Recipe(), sources, classes=classes, size=size, grey=grey, settings={**words, **(settings or {})})
    try:
        if images is None:
            images = load_images(recipe, progress)
        say_troubles(images, say)
        twins = kept_twins(images, say)
        splits = divided(recipe, images, twins)
        found = checks.check(images, splits, twins, seed=recipe.seed, progress=staged)
    except DataError as error:
        found = checks.refused("+".join(map(str, sources)) or "arrays", error)
    if page is not None:
        place.write_page(Path(page), check_page.render(found, images, splits))
    return found


@checked
def load_recipe(name: str | Path | Recipe = "default") -> Recipe:
    """Return a recipe by name, from a recipe.toml, or from file.py:function.

    Raises: RecipeError if there is none.
    """
    from rung.pipeline.ready import recipe_named

    return recipe_named(name)


@checked
def train(
    data: str | Path | Sequence[str | Path] | ImageSet,
    recipe: str | Path | Recipe = "default",
    *,
    settings: Mapping[str, Any] | None = None,
    seed: int | None = None,
    classes: str | None = None,
    size: int | None = None,
    grey: bool = False,
    why: str = "",
    notes: str = "",
    minutes: float | None = None,
    out: str | Path = DEFAULT_ROOT,
    name: str | None = None,
    network: Any = None,
    loss: Any = None,
    metrics: Sequence[Any] = (),
    augmentations: Sequence[Any] = (),
    callbacks: Sequence[Any] = (),
    observe: Observe | None = None,
    progress: Progress | None = None,
    scoring: Scoring | None = None,
    begun: Callable[[Run], None] | None = None,
    say: Callable[[str], None] = lambda sentence: None,
    checkpoint_s: float = 30.0,
) -> Run:
    """Train a classifier in a new run folder, score it on train and validation, and write its report.

    data: names or paths, an ImageSet, or a recipe.toml that names its data. settings: {"train.epochs": 5}. seed: of every draw.
    minutes: that training and its validations may take on this machine; turned into steps before the first one, and written into the run's recipe.
    out: the folder of runs; name: of this run's folder, which must not exist. network, loss, metrics, augmentations, callbacks: your own objects.
    observe(step) is called after each step, progress(done, total) while files are read, scoring(part, done, total) while the trained network answers
    a part, begun(run) when there is a run that could be resumed.
    say(sentence) hears the warnings about the recipe before the first step; they are kept in data.json and shown in the report.
    checkpoint_s: seconds between checkpoints.

    Raises: RecipeError, DataError before anything is written; RunError where the training cannot go on.
    """
    from rung.pipeline import execute, own_parts
    from rung.pipeline.ready import ready

    own_module.stop_if_read()
    started = time.perf_counter()
    run_store.check_new(Path(out), name)
    words = {key: value for key, value in (("seed", seed), ("why", why), ("notes", notes)) if value not in (None, "")}
    own = {"network": network, "loss": loss, "metrics": metrics, "augmentations": augmentations, "callbacks": callbacks}
    wanted = {**words, **(settings or {})}
    prepared = ready(data, recipe, wanted, own, progress, say, classes=classes, size=size, grey=grey, minutes=minutes, root=Path(out))
    run = run_store.create(Path(out), prepared.recipe.name, prepared.recipe.seed, name)
    try:
        with lock.hold(run.folder), _failure_written(run), own_parts.explained(prepared.own, run.folder):
            execute.begin(run, prepared)
            if begun:
                begun(run)
            _fit_and_report(run, prepared, time.perf_counter() - started, observe, checkpoint_s, scoring=scoring)
    except RungError:
        run.discard()
        raise
    return run


@checked
def preflight(
    data: str | Path | Sequence[str | Path] | ImageSet,
    recipe: str | Path | Recipe = "default",
    *,
    settings: Mapping[str, Any] | None = None,
    seed: int | None = None,
    classes: str | None = None,
    size: int | None = None,
    grey: bool = False,
    network: Any = None,
    loss: Any = None,
    metrics: Sequence[Any] = (),
    augmentations: Sequence[Any] = (),
    callbacks: Sequence[Any] = (),
    progress: Progress | None = None,
    say: Callable[[str], None] = lambda sentence: None,
    staged: Callable[[int, int], None] = lambda done, total: None,
) -> Preflight:
    """Try out what `train` with the same arguments would do, in under a minute, and say which of its parts do what they should.

    Nothing is written, and test images are not looked at. Arguments and say(sentence) are those of `train`; progress(done, total) is called while
    files are read, staged(done, total) before each stage.

    Raises: RecipeError, DataError where training would refuse as well. A check that fails is no error: see `Preflight.failed`.
    """
    from rung.pipeline.preflight.stages import preflight as fly
    from rung.pipeline.ready import ready

    own_module.stop_if_read()
    own = {"network": network, "loss": loss, "metrics": metrics, "augmentations": augmentations, "callbacks": callbacks}
    words = {} if seed is None else {"seed": seed}
    return fly(ready(data, recipe, {**words, **(settings or {})}, own, progress, say, classes=classes, size=size, grey=grey), staged)


@contextmanager
def _failure_written(run: Run) -> Iterator[None]:
    """Write down in the run why it stopped; an interruption that was asked for is no failure."""
    from rung.training.journal import Interrupted

    try:
        yield
    except Interrupted:
        raise
    except RungError as error:
        run.write_failure(error)
        raise


def _fit_and_report(
    run: Run,
    prepared: Prepared,
    setup_s: float,
    observe: Observe | None,
    checkpoint_s: float,
    say: Callable[[str], None] = lambda sentence: None,
    scoring: Scoring | None = None,
) -> list[str]:
    """Do what is left to do, for a run may have been stopped anywhere: the scores end the training, then come pictures and report."""
    from rung.evaluate import predictions as answers
    from rung.pipeline import execute, pictures, reporting

    ended = run.scored() or execute.scored_again(run, prepared)
    notes = [] if ended else execute.fit_run(run, prepared, setup_s, observe, checkpoint_s, say, scoring)
    if not pictures.kept(run):
        part = "validation" if len(prepared.splits.validation) else "train"
        pictures.save(run, prepared, answers.load(run.predictions(part)))
    reporting.write_report(run, prepared.network())
    return notes


@checked
def resume(
    run: str | Path | Run,
    *,
    data: ImageSet | None = None,
    out: str | Path = DEFAULT_ROOT,
    observe: Observe | None = None,
    progress: Progress | None = None,
    scoring: Scoring | None = None,
    begun: Callable[[Run], None] | None = None,
    say: Callable[[str], None] = lambda sentence: None,
    checkpoint_s: float = 30.0,
) -> tuple[Run, list[str]]:
    """Go on with a run that was interrupted, to the same bits as if it had not been; returns it and what there is to say.

    data: the ImageSet, for a run whose data were passed in Python. say(sentence) hears what there is to say before the first step;
    observe, progress, scoring, begun and checkpoint_s as in train().

    Raises: DataError if the data have changed, RunError if the run is running, broken or not there.
    """
    from rung.pipeline import own_parts
    from rung.pipeline.ready import ready_again

    own_module.stop_if_read()
    found = run if isinstance(run, Run) else run_store.open_run(run, Path(out))
    if begun:
        begun(found)
    if found.state() == "finished" and atomic.exists(found.report):
        done = f"{found.id} is finished: nothing to do"
        say(done)
        return found, [done]
    with lock.hold(found.folder) as dead, _failure_written(found):
        atomic.sweep(found.folder)
        said = [f"its last process died ({dead}): taken over"] if dead else []
        for sentence in said:
            say(sentence)
        started = time.perf_counter()
        prepared = ready_again(found, data, progress, say)
        found.clear_failure()
        with own_parts.explained(prepared.own, found.folder):
            said += _fit_and_report(found, prepared, time.perf_counter() - started, observe, checkpoint_s, say, scoring)
    return found, said


@checked
def test(
    run: str | Path | Run,
    *,
    data: ImageSet | None = None,
    out: str | Path = DEFAULT_ROOT,
    progress: Progress | None = None,
    scoring: Scoring | None = None,
) -> Opening:
    """Open the sealed test part for a finished run, write that into the ledger, score it, and put it into the report.

    A run opens its test part once: asked again, it gives the same scores.

    Raises: RunError if the run is not finished, DataError if there is no test part or the data have changed.
    """
    from rung.evaluate.metrics import Scores
    from rung.pipeline import own_parts, testing
    from rung.pipeline.ready import ready_again

    own_module.stop_if_read()
    found = _finished(run, out)
    stored = found.read_scores()
    if "test" in stored:
        return Opening(found, Scores.from_json(stored["test"]), found.read_opening(), True)
    with lock.hold(found.folder):
        prepared = ready_again(found, data, progress)
        with own_parts.explained(prepared.own, found.folder, "test"):
            opening = testing.open_and_score(found, prepared, scoring)
    return Opening(found, Scores.from_json(found.read_scores()["test"]), opening, False)


@checked
def report(run: str | Path | Run, *, out: str | Path = DEFAULT_ROOT) -> Path:
    """Write a finished run's report.html again from its files, and return where it lies.

    Raises: RunError if the run is not finished or a file is damaged.
    """
    from rung.pipeline import reporting

    found = _finished(run, out)
    reporting.write_report(found)
    return found.report


@checked
def findings(run: str | Path | Run, *, out: str | Path = DEFAULT_ROOT) -> list[str]:
    """Return what a finished run shows, in sentences made from its numbers."""
    from rung.pipeline import reporting
    from rung.reports.findings import findings as find

    return [finding.sentence for finding in find(reporting.report_input(_finished(run, out)))]


def _finished(run: str | Path | Run, out: str | Path) -> Run:
    found = run if isinstance(run, Run) else run_store.open_run(run, Path(out))
    if not atomic.exists(found.scores):
        raise RunError(f"{found.id} has no scores yet (it is {found.state()}): `rung resume {found.folder}` goes on with it")
    return found


@checked
def runs(out: str | Path = DEFAULT_ROOT) -> list[RunSummary]:
    """List the runs of a root, oldest first; a broken one is listed with its problem."""
    return run_store.list_runs(Path(out))


@checked
def verify_ledger(out: str | Path = DEFAULT_ROOT) -> int:
    """Verify the ledger of a folder of runs, line by line and against what each run keeps of it; returns how many openings it holds.

    Raises: VerificationError naming the line that was changed or the opening that is missing.
    """
    return ledger.verify(Path(out))


@checked
def predict(
    run: str | Path | Run, files: str | Path | Iterable[str | Path], *, out: str | Path = DEFAULT_ROOT, progress: Progress | None = None
) -> list[Answer]:
    """Answer image files, one path or several, with a run's kept weights and the preprocessing it was trained with; folders stand for the images below them.

    It computes on the processor in float32, wherever the run was trained, so that the answers are the same everywhere.
    progress(done, total) is called with files answered.

    Raises: RunError if the run is not finished, DataError if there is no file.
    """
    from rung.pipeline import predicting

    paths = [files] if isinstance(files, str | Path) else files
    return predicting.answer_files(_finished(run, out), [Path(file) for file in paths], progress)


@checked
def new(path: str | Path, start: str | Path | Recipe = "default") -> Path:
    """Write a commented recipe.toml to begin from; a file that exists stays.

    Raises: RunError if it exists or cannot be written.
    """
    target = Path(path)
    if target.exists():
        raise RunError(f"{target} exists already: name another file, or delete it first")
    if not target.parent.is_dir():
        raise RunError(f"the folder {target.parent} of {target} does not exist: make it first")
    atomic.write_text(target, recipe_module.to_toml(load_recipe(start), comments=True))
    return target


@checked
def cache(*, clear: bool = False, unused_days: float = 0.0) -> list[Kept]:
    """List the decoded images that are kept between runs, the longest unused first; or remove those not used for so many days, and return them.

    Raises: RunError if some cannot be removed.
    """
    from rung.data import cache as caching

    place = caching.place()
    if place is None:
        return []
    if clear:
        return caching.clear(place, unused_days * 86_400)
    return [one for one in caching.kept(place) if one.unused_s >= unused_days * 86_400]


def recipes() -> dict[str, str]:
    """Return the recipes that rung brings: {name: what it is, in a sentence}."""
    from rung.recipes import RECIPES

    return {name: (make.__doc__ or "").strip() for name, make in RECIPES.items()}


@checked
def recipe_document(name: str | Path | Recipe) -> str:
    """Return the text a recipe opens with, and every field of it as commented TOML."""
    import sys

    from rung.recipes import RECIPES

    opening = ""
    if str(name) in RECIPES:
        opening = (sys.modules[RECIPES[str(name)].__module__].__doc__ or "").strip() + "\n\n"
    return opening + recipe_module.to_toml(load_recipe(name), comments=True)
