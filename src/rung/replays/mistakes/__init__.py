"""The mistakes of known systems, made again: each really makes the error on real images, measures what it gives, and hears what rung says to it.

Nothing here can be reached from a recipe or from `rung train`. What was measured is kept in ../records/mistakes.json and shown without training.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from rung.errors import RunError, did_you_mean
from rung.recipe import read_toml
from rung.replays.mistakes import backprop, cnn_ladder, model_s, omnivores
from rung.replays.mistakes import cnn_ladder_choices as choices
from rung.replays.mistakes.shown import Found, MistakeShown, Size, keep_records, read_records
from rung.replays.mistakes.trial import Trial
from rung.training.environment import environment

__all__ = ["MISTAKES", "Mistake", "MistakeShown", "Size", "keep_records", "known", "order", "read_records", "run", "shown"]

SYSTEMS: Final = Path(__file__).parents[1] / "systems"
_FACTS: Final = ("processor", "torch", "rung", "threads")


@dataclass(frozen=True)
class Mistake:
    """One mistake: its key, what makes it again, and how much that trains (small) or may train (whole, the author's own size)."""

    system: str
    name: str
    make: Callable[[Trial], Found]
    small: Size
    whole: Size


def _of(system: str, whole: Size, *several: tuple[Callable[[Trial], Found], Size]) -> list[Mistake]:
    return [Mistake(system, make.__name__.replace("_", "-"), make, small, whole) for make, small in several]


MISTAKES: Final[tuple[Mistake, ...]] = (
    *_of(
        "model_s",
        Size(40_000, 30, 1, author=True),
        (model_s.text_against_code, Size(1_000, 3, 1)),
        (model_s.best_weights_not_restored, Size(2_000, 16, 3)),
    ),
    *_of(
        "backprop",
        Size(40_000, 50, 1, author=True),
        (backprop.one_step_epochs, Size(2_000, 16, 3)),
        (backprop.test_as_validation, Size(2_000, 20, 3)),
        (backprop.augmentation_not_there, Size(2_000, 20, 3)),
    ),
    *_of(
        "omnivores",
        Size(1_500, 300, 3, author=True),
        (omnivores.species_not_categories, Size(1_500, 20, 3)),
        (omnivores.best_of_900_on_test, Size(1_500, 60, 3)),
        (omnivores.rate_ignored, Size(1_500, 40, 3)),
        (omnivores.clipping_lost, Size(1_500, 40, 3)),
        (omnivores.validation_split_ignored, Size(1_500, 1, 1)),
        (omnivores.pixels_out_of_range, Size(1_500, 20, 3)),
    ),
    *_of(
        "cnn_ladder",
        Size(40_000, 50, 1, author=True),
        (choices.same_network_twice, Size(2_000, 10, 5)),
        (cnn_ladder.augmentation_not_used, Size(2_000, 30, 3)),
        (cnn_ladder.scrambled_colour, Size(4_000, 12, 3)),
        (cnn_ladder.losses_on_integers, Size(2_000, 10, 2)),
        (choices.chosen_on_test, Size(2_000, 8, 3)),
        (cnn_ladder.colour_not_scaled, Size(2_000, 12, 3)),
        (cnn_ladder.shift_of_one_pixel, Size(2_000, 30, 3)),
        (cnn_ladder.last_epoch_scored, Size(2_000, 40, 3)),
        (choices.score_from_nowhere, Size(2_000, 10, 3)),
        (choices.two_changes_in_one_step, Size(2_000, 15, 3)),
        (choices.winner_not_carried_on, Size(2_000, 12, 2)),
        (choices.over_fit_called_under_fit, Size(2_000, 40, 2)),
    ),
)


def text_of(mistake: Mistake) -> str:
    """Return what the author's code did, as the file of the system says it. Raises: RecipeError or RunError where the file does not."""
    for table in read_toml(SYSTEMS / mistake.system / "system.toml", "system").get("mistake", []):
        if table["name"] == mistake.name:
            return str(table["text"])
    raise RunError(f"system.toml of {mistake.system} has no [[mistake]] of the name {mistake.name}")


def known() -> dict[str, tuple[str, ...]]:
    """Return the names of the mistakes of each system."""
    return {system: tuple(one.name for one in MISTAKES if one.system == system) for system in dict.fromkeys(one.system for one in MISTAKES)}


def order() -> list[tuple[str, str]]:
    """Return (system, name) of all mistakes, as they are to stand."""
    return [(one.system, one.name) for one in MISTAKES]


def shown(system: str | None = None) -> tuple[MistakeShown, ...]:
    """Return what is known without training: the replays that ship with the package, of one system or of all, the small ones of a mistake first."""
    return tuple(one for one in read_records() if system in (None, one.system))


def chosen(system: str | None, names: Sequence[str] | None = None) -> list[Mistake]:
    """Return the mistakes of a system (None: of all) with these names, all of them for None. Raises: RunError for one that there is not."""
    if system is not None and system not in known():
        raise RunError(f"there is no system '{system}' with mistakes: {did_you_mean(system, known())}")
    there = [one for one in MISTAKES if system in (None, one.system)]
    for name in names or ():
        if name not in [one.name for one in there]:
            raise RunError(f"there is no mistake '{name}': {did_you_mean(name, [one.name for one in there])}")
    return [one for one in there if names is None or one.name in names]


def run(
    system: str | None,
    names: Sequence[str] | None = None,
    *,
    whole: bool = False,
    changes: Mapping[str, Any] | None = None,
    say: Callable[[str], None] = lambda sentence: None,
    done: Callable[[MistakeShown], None] = lambda shown: None,
) -> tuple[MistakeShown, ...]:
    """Make mistakes again, and return what they show.

    system, names: which, None for all. whole: with the author's network, images and epochs, hours for some. changes: other numbers of images, epochs or
    seeds, {"epochs": 10}. say(sentence) hears what is done, done(shown) of each that is ready.

    Raises: RunError for one that there is not; DataError where its images are not there.
    """
    made = []
    for mistake in chosen(system, names):
        size = replace(mistake.whole if whole else mistake.small, **(changes or {}))
        say(f"{mistake.system}, {mistake.name}: {size.words}")
        made.append(make(mistake, size, say))
        done(made[-1])
    return tuple(made)


def make(mistake: Mistake, size: Size, say: Callable[[str], None] = lambda sentence: None) -> MistakeShown:
    """Make one mistake at a size."""
    found = mistake.make(Trial(size, say))
    facts = {name: value for name, value in environment("cpu").items() if name in _FACTS}
    return MistakeShown(mistake.system, mistake.name, text_of(mistake), found.wrong, found.right, found.said, size, size.words, facts)
