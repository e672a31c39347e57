"""A pilot: from a few seeds of one recipe, what differences a study of it can see, and what seeing a given one takes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from rung.errors import RecipeError, RunError
from rung.recipe import Recipe
from rung.store import arrays
from rung.store.run import Run
from rung.study.amounts import name_text, size_text, value_text
from rung.study.entrants import Entrant, Results
from rung.study.executor import Executor
from rung.study.measured import Measured
from rung.study.metrics import metric_named
from rung.study.plan import Plan
from rung.study.power import Estimate, Noise, images_needed, noise_of, seeds_needed, smallest_difference
from rung.study.resolved import Resolve
from rung.study.trained import entrant, train_all
from rung.words import PERCENT, count, decimal, plural

Settings = dict[str, Any]

FOLDER: Final = "noise"  # of all pilots, below the folder of runs
SEEDS: Final = (2, 3, 5, 10, 20)  # for which the smallest difference is foretold
FEW_IMAGES: Final = 1_000  # validation images, below which other parts are tried too: there the choice of images weighs more than the seeds
_USUAL: Final = 0.005  # the difference that is asked about unless one is given: half a point


@dataclass(frozen=True)
class Question:
    """What a pilot is asked: about which score of which recipe on which data, in words, and for what.

    difference: in the unit of the score (a share: 0.005 is half a point); None: half a point of a share. candidates: of a step, for they share its error.
    """

    data: str
    recipe: str
    metric: str
    difference: float | None = None
    candidates: int = 1


@dataclass(frozen=True)
class Forecast:
    """What telling one true difference takes: seeds a candidate, and test images for one network against another; None where no image has a score."""

    difference: float
    seeds: Estimate
    images: Estimate | None


@dataclass(frozen=True)
class Pilot:
    """What the runs of one recipe say about noise; see `rung.study.power` for the numbers.

    values: the score of each of `seeds`, as in scores.json; runs: the ids of their runs. smallest: {seeds: the smallest difference that so many show}.
    forecast: None where no difference was given of a score that is no share. parts: the noise over other validation parts of the same data, each with a
    seed of its own; part_runs: their ids. parts is None where none were tried.
    """

    question: Question
    seeds: tuple[int, ...]
    values: tuple[float, ...]
    runs: tuple[str, ...]
    noise: Noise
    smallest: Mapping[int, Estimate]
    forecast: Forecast | None
    parts: Noise | None = None
    part_values: tuple[float, ...] = ()
    part_runs: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return plain values; what cannot be bounded is None."""
        return {**_finite(asdict(self)), "sentences": list(sentences(self))}


def pilot(question: Question, measured: Measured, runs: Sequence[str], parts: Measured | None = None, part_runs: Sequence[str] = ()) -> Pilot:
    """Return what the runs of one recipe foretell.

    measured: the seeds on the same parts. parts: one run on each of several validation parts, without images, for these differ.

    Raises: RunError with fewer than two seeds, or where all scores are the same.
    """
    noise, sign = noise_of(measured), metric_named(question.metric).sign
    wanted = question.difference if question.difference is not None else _USUAL if measured.share else None
    forecast = None
    if wanted is not None:
        needed = seeds_needed(noise, wanted, candidates=question.candidates)
        forecast = Forecast(wanted, needed, images_needed(noise, wanted) if noise.images else None)
    return Pilot(
        question=question,
        seeds=measured.seeds,
        values=tuple(map(float, sign * measured.values)),
        runs=tuple(runs),
        noise=_as_read(noise, sign),
        smallest={seeds: smallest_difference(noise, seeds, candidates=question.candidates) for seeds in sorted({*SEEDS, len(measured.seeds)})},
        forecast=forecast,
        parts=_as_read(noise_of(parts), sign) if parts is not None else None,
        part_values=tuple(map(float, sign * parts.values)) if parts is not None else (),
        part_runs=tuple(part_runs),
    )


def _as_read(noise: Noise, sign: float) -> Noise:
    """Return the noise with its mean as scores.json has it."""
    return replace(noise, mean=sign * noise.mean)


def plan(
    data: tuple[str, ...],
    recipe: str,
    metric: str,
    seeds: int | Sequence[int],
    splits: int | None,
    candidates: int,
    difference: float | None,
    settings: Mapping[str, Any],
) -> Plan:
    """Return a plan without steps, whose name is the folder of all pilots; raises RecipeError for values that no pilot can have."""
    if "seed" in settings:
        raise RecipeError("seed is what noise is measured by, and cannot be set: give how many, --seeds 5, or in Python a list of them, seeds=[3, 4]")
    chosen = tuple(range(seeds)) if isinstance(seeds, int) else tuple(seeds)
    if len(set(chosen)) < max(2, len(chosen)):
        raise RecipeError(f"seeds = {seeds}: noise is measured between seeds, so a pilot needs two different ones at least (five are the habit)")
    if splits is not None and (splits == 1 or splits < 0):
        raise RecipeError(f"splits = {splits}: one part has nothing to vary with; give 2 or more, or 0 for none")
    if candidates < 1:
        raise RecipeError(f"candidates = {candidates}: expected how many a step has, 1 or more")
    if difference is not None and not difference > 0:
        raise RecipeError(f"difference = {difference:g}: expected a difference to be seen, above 0, such as 0.5")
    return Plan(name=FOLDER, data=data, recipe=recipe, metric=metric, seeds=chosen, settings=dict(settings))


def in_unit(difference: float | None, metric: str) -> float | None:
    """Return a difference in the unit of the score: of a share it is given in points."""
    return difference / 100 if difference is not None and metric_named(metric).share else difference


def run(
    question: Question,
    seeds: Sequence[int],
    splits: int | None,
    *,
    start: Recipe,
    base: Settings,
    resolve: Resolve,
    executor: Executor,
    runs: Path,
    observe: Callable[[int, int], None] = lambda done, total: None,
) -> Pilot:
    """Train one recipe with some seeds, and on other validation parts where these say more, and return what its runs foretell.

    splits: how many other parts, one run each; None: as many as seeds where the images are few. base: settings of all runs; start: the recipe with them.
    runs: the folder of the run folders; what is finished there is not trained again. observe(done, total) is called with trainings done.

    Raises: RunError where a training diverges, or two seeds have no noise; what `Executor.run` and `resolve` raise.
    """
    results = Results(runs, metric_named(question.metric))
    one = entrant(question.recipe, {}, base, resolve)
    train_all([(one, seed) for seed in seeds], executor, results, "noise,", observe)
    measured = _measured(one, results)
    if splits is None:
        splits = len(seeds) if worth_other_parts(start, Run(runs / one.resolved.key(seeds[0]))) else 0
    parts = [entrant(f"part {k + 1}", change, base, resolve) for k, change in enumerate(other_parts(start, splits))]
    train_all([(part, seeds[k % len(seeds)]) for k, part in enumerate(parts)], executor, results, "noise, other parts,", observe)
    drawn = None
    if parts:
        values = np.array([_measured(part, results).mean for part in parts])
        drawn = Measured("other parts", 0, 0, tuple(range(len(parts))), values, share=measured.share)
    return pilot(question, measured, _ids([one]), drawn, _ids(parts))


def _measured(one: Entrant, results: Results) -> Measured:
    """Return what was measured of a recipe; raises RunError where a training of it diverged."""
    if one.failed:
        raise RunError(f"the noise of {one.name} cannot be measured: {one.failed}")
    return results.measured(one)


def _ids(entrants: Sequence[Entrant]) -> list[str]:
    return [one.resolved.key(seed) for one in entrants for seed in one.seeds]


def other_parts(start: Recipe, number: int) -> list[Settings]:
    """Return settings that make `number` other validation parts, each a fold of all rows that are not sealed; the test part stays the same.

    As many folds as make parts of about the size that the recipe asks for.
    """
    folds = max(number, 2, round(1 / start.split.validation_fraction) if start.split.validation_fraction else 0)
    return [{"split.folds": folds, "split.fold": fold} for fold in range(number)]


def worth_other_parts(start: Recipe, run: Run) -> bool:
    """Return whether other validation parts say more than seeds: where a run's validation part is small, and was drawn by rung."""
    images = len(arrays.read(run.splits)[0]["validation"])
    drawn = "validation" not in run.read_data()["counts"] and not start.split.validation_roots and start.split.folds is None
    return drawn and images < FEW_IMAGES


def sentences(found: Pilot) -> Iterator[str]:
    """Yield what the pilot says, each number with its interval."""
    noise, share, asked = found.noise, found.noise.share, found.question
    yield (
        f"{plural(noise.seeds, 'seed')} of {asked.recipe} on {asked.data}: {name_text(asked.metric)} {value_text(noise.mean, share)} in the mean. "
        f"From seed to seed it varies by {estimate_text(noise.deviation, share)}, the standard deviation."
    )
    if noise.discordant is not None and asked.metric == "accuracy":
        low, high = noise.discordant.low * 100, noise.discordant.high * 100
        yield (
            f"Two seeds differ on {noise.discordant.value * 100:.1f}{PERCENT} ({low:.1f} to {high:.1f}) of the {count(noise.images)} validation images: "
            "one is right there and the other wrong."
        )
    yield (
        f"With {noise.seeds} seeds a candidate the smallest difference that shows is {estimate_text(found.smallest[noise.seeds], share)}: where the true one "
        f"is as large, the referee calls it better in 80 of 100 first steps {_with(asked.candidates)}, at an error of 5{PERCENT} for the whole ladder."
    )
    yield from _needed(found)
    yield from _other_parts(found)


def _with(candidates: int) -> str:
    return "with one candidate" if candidates == 1 else f"with {candidates} candidates, which share the error"


def _needed(found: Pilot) -> Iterator[str]:
    forecast, share = found.forecast, found.noise.share
    if forecast is None:
        return
    yield f"A difference of {size_text(forecast.difference, share)} takes {number_text(forecast.seeds)} seeds a candidate to show."
    if forecast.images is not None:
        yield f"Between two single networks, scored once, it takes {number_text(forecast.images)} test images."


def _other_parts(found: Pilot) -> Iterator[str]:
    if found.parts is None:
        return
    yield (
        f"On {found.parts.seeds} other validation parts of these data the mean is {value_text(found.parts.mean, found.parts.share)}, and from part to "
        f"part it varies by {estimate_text(found.parts.deviation, found.parts.share)}, seeds among it. More seeds on one part do not lessen that: small data "
        "are few images to train on and few to judge by."
    )


def estimate_text(found: Estimate, share: bool) -> str:
    """Write a foretold difference with its interval: "0.31 points (0.19 to 0.90)"."""

    def bound(value: float) -> str:
        if math.isinf(value):
            return "no limit"
        return decimal(value, 3) if not share else f"{value * 100:.2f}" if value < 1 else "more than 100"

    value = size_text(found.value, share) if math.isfinite(found.value) and not (share and found.value >= 1) else "more than there can be"
    return f"{value} ({bound(found.low)} to {bound(found.high)})"


def number_text(found: Estimate) -> str:
    """Write a foretold number, rounded up, with its interval: "14 (6 to 110)"."""

    def whole(value: float) -> str:
        return "no limit" if math.isinf(value) else count(math.ceil(value - 1e-9))

    return f"{whole(found.value)} ({whole(found.low)} to {whole(found.high)})"


def _finite(value: Any) -> Any:
    """Return plain values without infinities, which JSON has none of."""
    if isinstance(value, Mapping):
        return {str(key): _finite(inner) for key, inner in value.items()}
    if isinstance(value, tuple | list):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
