"""All mistakes that are made again: what makes each, how much it trains, and how what it shows becomes a record."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Final

from rung.errors import RunError, did_you_mean
from rung.recipe import read_toml
from rung.replays import SYSTEMS
from rung.replays.mistakes import backprop, cnn_ladder, model_s, omnivores
from rung.replays.mistakes import cnn_ladder_choices as choices
from rung.replays.mistakes.record import Found, MistakeShown, Size
from rung.replays.mistakes.trial import Trial


@dataclass(frozen=True)
class Remake:
    """What makes one mistake again: its key, the function that does, and how much that trains (small) or may train (whole, the author's own size)."""

    system: str
    name: str
    make: Callable[[Trial], Found]
    small: Size
    whole: Size


def _of(system: str, whole: Size, *several: tuple[Callable[[Trial], Found], Size]) -> list[Remake]:
    return [Remake(system, make.__name__.replace("_", "-"), make, small, whole) for make, small in several]


_CIFAR: Final = Size(40_000, 50, 1, author=True)
_CUT: Final = Size(30_000, 50, 1, author=True)  # other training images play the author's test set

MISTAKES: Final[tuple[Remake, ...]] = (
    *_of(
        "model_s",
        Size(40_000, 30, 1, author=True),
        (model_s.text_against_code, Size(500, 2, 1)),
        (model_s.best_weights_not_restored, Size(500, 12, 2)),
    ),
    *_of("backprop", _CIFAR, (backprop.one_step_epochs, Size(2_000, 16, 3))),
    *_of("backprop", _CUT, (backprop.test_as_validation, Size(500, 12, 2))),
    *_of("backprop", _CIFAR, (backprop.augmentation_not_there, Size(500, 15, 2))),
    *_of(
        "omnivores",
        Size(1_500, 300, 3, author=True),
        (omnivores.species_not_categories, Size(1_000, 15, 2)),
        (omnivores.best_of_900_on_test, Size(1_000, 30, 3)),
        (omnivores.rate_ignored, Size(500, 16, 2)),
        (omnivores.clipping_lost, Size(500, 12, 2)),
        (omnivores.validation_split_ignored, Size(1_000, 1, 1)),
        (omnivores.pixels_out_of_range, Size(500, 10, 2)),
    ),
    *_of(
        "cnn_ladder",
        _CIFAR,
        (choices.same_network_twice, Size(500, 8, 3)),
        (cnn_ladder.augmentation_not_used, Size(1_000, 15, 2)),
        (cnn_ladder.scrambled_colour, Size(3_000, 8, 3)),
        (cnn_ladder.losses_on_integers, Size(1_000, 10, 2)),
    ),
    *_of("cnn_ladder", _CUT, (choices.chosen_on_test, Size(500, 8, 2))),
    *_of(
        "cnn_ladder",
        _CIFAR,
        (cnn_ladder.colour_not_scaled, Size(1_000, 10, 2)),
        (cnn_ladder.shift_of_one_pixel, Size(500, 15, 2)),
        (cnn_ladder.last_epoch_scored, Size(1_000, 40, 2)),
    ),
    *_of("cnn_ladder", _CUT, (choices.score_from_nowhere, Size(1_000, 8, 2))),
    *_of(
        "cnn_ladder",
        _CIFAR,
        (choices.two_changes_in_one_step, Size(1_000, 10, 2)),
        (choices.winner_not_carried_on, Size(1_000, 8, 2)),
        (choices.over_fit_called_under_fit, Size(500, 30, 2, author=True)),
    ),
)


def text_of(system: str, name: str) -> str:
    """Return what the author's code did, as the file of the system says it. Raises: RecipeError or RunError where the file does not."""
    for table in read_toml(SYSTEMS / system / "system.toml", "system").get("mistake", []):
        if table["name"] == name:
            return str(table["text"])
    raise RunError(f"system.toml of {system} has no [[mistake]] of the name {name}")


def known() -> dict[str, tuple[str, ...]]:
    """Return the names of the mistakes of each system that can be made again."""
    return {system: tuple(one.name for one in MISTAKES if one.system == system) for system in dict.fromkeys(one.system for one in MISTAKES)}


def order() -> list[tuple[str, str]]:
    """Return (system, name) of all mistakes, as they are to stand."""
    return [(one.system, one.name) for one in MISTAKES]


def chosen(system: str | None, names: Sequence[str] | None = None) -> list[Remake]:
    """Return the mistakes of a system (None: of all), those of these names in their order, or all. Raises: RunError for one that there is not."""
    if system is not None and system not in known():
        raise RunError(f"there is no system '{system}' with mistakes: {did_you_mean(system, known())}")
    there = {one.name: one for one in MISTAKES if system in (None, one.system)}
    for name in names or ():
        if name not in there:
            raise RunError(f"there is no mistake '{name}': {did_you_mean(name, there)}")
    return [there[name] for name in (there if names is None else names)]


def run(
    system: str | None,
    names: Sequence[str] | None = None,
    *,
    whole: bool = False,
    changes: Mapping[str, Any] | None = None,
    say: Callable[[str], None] = lambda sentence: None,
    done: Callable[[MistakeShown], None] = lambda shown: None,
) -> tuple[MistakeShown, ...]:
    """Make mistakes again: see `rung.replays.mistakes.run`."""
    made = []
    for mistake in chosen(system, names):
        size = replace(mistake.whole if whole else mistake.small, **(changes or {}))
        say(f"{mistake.system}, {mistake.name}: {size.words}")
        made.append(make(mistake, size, say))
        done(made[-1])
    return tuple(made)


def make(mistake: Remake, size: Size, say: Callable[[str], None] = lambda sentence: None) -> MistakeShown:
    """Make one mistake at a size."""
    trial = Trial(size, say)
    found = mistake.make(trial)
    known: dict[str, Any] = {"text": text_of(mistake.system, mistake.name), "size": size, "budget": size.words, "environment": trial.environment()}
    return MistakeShown(mistake.system, mistake.name, **{one.name: getattr(found, one.name) for one in fields(found)}, **known)
