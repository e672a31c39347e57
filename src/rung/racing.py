"""The function behind `rung bench`: recipes and peers, trained in turn for the same seconds on the same rows."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from rung.arguments import checked
from rung.errors import DivergedError, RunError
from rung.recipe import Recipe, flat
from rung.store import atomic
from rung.store.values import now

if TYPE_CHECKING:
    from rung.data.imageset import ImageSet
    from rung.data.split import Splits
    from rung.pipeline.prepare import Progress
    from rung.study.bench import Bench, Trial

FILE: Final = "bench.json"
PAGE: Final = "bench.html"
ARRAYS: Final = "data.npz"
RECIPES: Final = ("fast", "default")

# Trains one system with a seed.
Race = Callable[[int], "Trial"]


@checked
def bench(
    data: str | Path | Sequence[str | Path] | ImageSet = "digits",
    *,
    seconds: float = 30.0,
    seeds: int | Sequence[int] = 2,
    recipes: Sequence[str | Path | Recipe] = RECIPES,
    peers: Sequence[str | Path] = (),
    python: str | Path | None = None,
    threads: int | None = None,
    classes: str | None = None,
    size: int | None = None,
    grey: bool = False,
    out: str | Path = "bench",
    progress: Progress | None = None,
    staged: Callable[[int, int], None] = lambda done, total: None,
    say: Callable[[str], None] = lambda sentence: None,
) -> Bench:
    """Train recipes and peers in turn, each for so many seconds on the same rows, and write bench.html and bench.json into the folder `out`.

    seconds: of training that each is given. seeds: how many, or which. peers: paths of scripts as docs/bench.md describes them, "FILE --option VALUE" for
    one with options; what one fails with is its trial's problem. python: that runs them; None: this one. threads: None: as many as processors.
    progress(done, total) is called while files are read, staged(done, total) before each training. The test part is not looked at.

    Raises: RunError, RecipeError or DataError before anything is trained.
    """
    from rung.reports import bench_page
    from rung.study.bench import Bench
    from rung.study.peers import peer_of, python_of
    from rung.training.environment import environment
    from rung.training.process import usable_processors

    folder, wanted = Path(out), list(range(seeds)) if isinstance(seeds, int) else list(seeds)
    _check(folder, seconds, wanted, threads, recipes)
    racing = [peer_of(peer) for peer in peers]
    interpreter = python_of(python if python is not None else sys.executable)
    threads = threads or usable_processors()
    images, splits, settings = _parted(data, progress, say, classes=classes, size=size, grey=grey, threads=threads)
    races: dict[str, Race] = {}
    for recipe in recipes:
        name, race = _recipe_race(images, recipe, settings, seconds, folder, wanted[0])
        races[_unlike(name, races)] = race
    for peer in racing:
        races[_unlike(peer.name, races)] = partial(_peer_race, peer, interpreter, folder, seconds, threads)
    atomic.make_folder(folder / "peers")
    if racing:
        _write_arrays(folder / ARRAYS, images, splits)
    trials = _raced(races, wanted, staged)
    facts = {"date": now()[:10], "processor": str(environment("cpu")["processor"])}
    rows = {"train": len(splits.train), "validation": len(splits.validation)}
    done = Bench(images.name, rows, float(seconds), threads, tuple(peer.name for peer in racing), tuple(trials), facts)
    atomic.write_json(folder / FILE, done.to_json())
    atomic.write_text(folder / PAGE, bench_page.render(done))
    return done


def _check(folder: Path, seconds: float, seeds: Sequence[int], threads: int | None, recipes: Sequence[Any]) -> None:
    if not 0 < seconds < math.inf:
        raise RunError(f"seconds = {seconds:g}: expected the seconds of training that each is given, above 0")
    if not seeds:
        raise RunError("seeds = 0: expected how many seeds each is trained with, 1 or more")
    if threads is not None and threads < 1:
        raise RunError(f"threads = {threads}: expected the threads of each training, 1 or more")
    if not recipes:
        raise RunError("recipes is empty: name at least one, for it is what the others are measured by")
    if atomic.exists(folder / FILE):
        raise RunError(f"{folder} holds a race already: name another folder with --out, or delete it first")


def _unlike(name: str, races: Mapping[str, Race]) -> str:
    if name in races:
        raise RunError(f"two of those that race are called {name}: give one of them another name")
    return name


def _parted(
    data: Any, progress: Progress | None, say: Callable[[str], None], *, classes: str | None, size: int | None, grey: bool, threads: int
) -> tuple[ImageSet, Splits, dict[str, Any]]:
    """Return the images, their parts, which are the same for all that race and all seeds, and the settings by which each recipe has them so."""
    from rung.data.imageset import ImageSet
    from rung.data.twins_kept import kept_twins
    from rung.pipeline.prepare import divided, load_images
    from rung.pipeline.ready import data_recipe, say_troubles, sources_of

    recipe = data_recipe(Recipe(), sources_of(data), classes=classes, size=size, grey=grey, settings={"split.seed": 0})
    images = data if isinstance(data, ImageSet) else load_images(recipe, progress)
    say_troubles(images, say)
    alike = {name: value for name, value in flat(recipe).items() if name.startswith("split.")}
    return images, divided(recipe, images, kept_twins(images, say)), {**alike, "compute.threads": threads}


def _write_arrays(path: Path, images: ImageSet, splits: Splits) -> None:
    """Write what peers read: uint8 (N,H,W,C) and int64 (N,) to fit on (train), and the validation part to be asked about (test)."""
    train, validation = splits.train, splits.validation
    np.savez(path, x_train=images.images[train], y_train=images.labels[train], x_test=images.images[validation], y_test=images.labels[validation])


def _raced(races: Mapping[str, Race], seeds: Sequence[int], staged: Callable[[int, int], None]) -> list[Trial]:
    """Let all race with the first seed, then with the next; who has failed once is not asked again."""
    trials: list[Trial] = []
    for seed in seeds:
        for name, race in races.items():
            staged(len(trials), len(races) * len(seeds))
            if not any(trial.problem for trial in trials if trial.system == name):
                trials.append(race(seed))
    return trials


def _peer_race(peer: Any, python: str, folder: Path, seconds: float, threads: int, seed: int) -> Trial:
    from rung.study.peers import run_peer

    return run_peer(peer, python, folder / ARRAYS, folder / "peers", seconds=seconds, seed=seed, threads=threads)


def _recipe_race(images: ImageSet, recipe: Any, settings: Mapping[str, Any], seconds: float, folder: Path, seed: int) -> tuple[str, Race]:
    """Return a recipe's name and what trains it, for as many steps as fit into the seconds.

    Raises: RecipeError or DataError where it does not fit the images, or no step fits the seconds.
    """
    from rung import workbench
    from rung.pipeline.ready import ready
    from rung.study.bench import Trial, of_run

    fitted = {**settings, "seed": seed}
    prepared = ready(images, recipe, fitted, {}, None, lambda sentence: None, classes=None, size=None, grey=False, minutes=seconds / 60)
    name, train = prepared.recipe.name, prepared.recipe.train
    steps = {"train.steps": train.steps, "train.epochs": train.epochs}
    start = recipe if prepared.own.all() else prepared.recipe  # what follows the data and the time is found once, for all seeds

    def race(seed: int) -> Trial:
        try:
            run = workbench.train(images, start, settings={**settings, **steps}, seed=seed, out=folder / "runs")
        except DivergedError as error:
            return Trial(name, seed, (), problem=f"{name}: {error}")
        return of_run(run, name, seed)

    return name, race
