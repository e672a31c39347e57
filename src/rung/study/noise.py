"""A pilot: from a few seeds of one recipe, what differences a study of it can see, and what seeing a given one takes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from rung.study.amounts import name_text, size_text, value_text
from rung.study.measured import Measured
from rung.study.power import Estimate, Noise, images_needed, noise_of, seeds_needed, smallest_difference
from rung.words import PERCENT, count, decimal, plural

SEEDS: Final = (2, 3, 5, 10, 20)  # for which the smallest difference is foretold
FEW_IMAGES: Final = 1_000  # validation images, below which other parts are tried too: there the choice of images weighs more than the seeds
_USUAL: Final = 0.005  # the difference that is asked about unless one is given: half a point


@dataclass(frozen=True)
class Forecast:
    """What telling one true difference takes: seeds a candidate, and test images for one network against another; None where no image has a score."""

    difference: float
    seeds: Estimate
    images: Estimate | None


@dataclass(frozen=True)
class Pilot:
    """What the runs of one recipe say about noise; see `rung.study.power` for the numbers.

    values: the score of each of `seeds`, higher is better; runs: their folders. smallest: {seeds: the smallest difference that so many show}.
    forecast: None where no difference was given of a score that is no share. parts: the noise over other validation parts of the same data, each with a
    seed of its own; part_runs: their folders. parts is None where none were tried.
    """

    data: str
    recipe: str
    metric: str
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


def pilot(
    measured: Measured,
    runs: Sequence[str],
    *,
    data: str,
    recipe: str,
    metric: str,
    difference: float | None = None,
    parts: Measured | None = None,
    part_runs: Sequence[str] = (),
) -> Pilot:
    """Return what the runs of one recipe foretell.

    measured: the seeds on the same parts. difference: in the unit of the score (a share: 0.005 is half a point); None: half a point of a share.
    parts: one run on each of several validation parts, without images, for these differ.

    Raises: RunError with fewer than two seeds.
    """
    noise = noise_of(measured)
    wanted = difference if difference is not None else _USUAL if measured.share else None
    forecast = None
    if wanted is not None:
        forecast = Forecast(wanted, seeds_needed(noise, wanted), images_needed(noise, wanted) if noise.images else None)
    smallest = {seeds: smallest_difference(noise, seeds) for seeds in sorted({*SEEDS, len(measured.seeds)})}
    return Pilot(
        data,
        recipe,
        metric,
        measured.seeds,
        tuple(map(float, measured.values)),
        tuple(runs),
        noise,
        smallest,
        forecast,
        noise_of(parts) if parts is not None else None,
        tuple(map(float, parts.values)) if parts is not None else (),
        tuple(part_runs),
    )


def sentences(found: Pilot) -> Iterator[str]:
    """Yield what the pilot says, each number with its interval."""
    noise, share = found.noise, found.noise.share
    about = "another training of the same recipe falls about so far from the mean"
    yield (
        f"{plural(noise.seeds, 'seed')} of {found.recipe} on {found.data}: {name_text(found.metric)} {value_text(noise.mean, share)} in the mean; "
        f"it varies by {estimate_text(noise.deviation, share)} from seed to seed (standard deviation): {about}."
    )
    if noise.discordant is not None and found.metric == "accuracy":
        low, high = noise.discordant.low * 100, noise.discordant.high * 100
        yield (
            f"Two seeds differ on {noise.discordant.value * 100:.1f}{PERCENT} ({low:.1f} to {high:.1f}) of the {count(noise.images)} validation images: "
            "one is right there and the other wrong."
        )
    have = found.smallest[noise.seeds]
    yield (
        f"With {noise.seeds} seeds a candidate the smallest difference that is seen is {estimate_text(have, share)}: a true difference of this size is "
        "called better in 80 of 100 studies, at an error rate of 5 in 100."
    )
    yield from _needed(found)
    yield from _other_parts(found)


def _needed(found: Pilot) -> Iterator[str]:
    forecast, share = found.forecast, found.noise.share
    if forecast is None:
        return
    size = size_text(forecast.difference, share)
    yield f"To see a difference of {size} takes {number_text(forecast.seeds)} seeds a candidate."
    if forecast.images is not None:
        yield f"To see it between two single networks, on a test part, takes {number_text(forecast.images)} images."


def _other_parts(found: Pilot) -> Iterator[str]:
    if found.parts is None:
        return
    yield (
        f"On {found.parts.seeds} other validation parts of these data the mean is {value_text(found.parts.mean, found.noise.share)}, and the score varies by "
        f"{estimate_text(found.parts.deviation, found.noise.share)} from part to part (seeds among it). More seeds on one part do not lessen that: a score "
        "is known no better, and a ladder on one part may choose what suits its images."
    )


def estimate_text(found: Estimate, share: bool) -> str:
    """Write a foretold difference with its interval: "0.31 points (0.19 to 0.90)"."""

    def bound(value: float) -> str:
        return "no limit" if math.isinf(value) else f"{value * 100:.2f}" if share else decimal(value, 3)

    return f"{size_text(found.value, share) if math.isfinite(found.value) else 'more than any'} ({bound(found.low)} to {bound(found.high)})"


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
