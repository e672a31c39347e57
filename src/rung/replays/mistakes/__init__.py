"""The mistakes of known systems, made again: each really makes the error on real images, measures what it gives, and hears what rung says to it.

Nothing here can be reached from a recipe or from `rung train`. What was measured is kept in ../records/mistakes.json and shown without training.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from rung.replays.mistakes.record import MistakeShown, Size, read_records

__all__ = ["BRACKETS", "MistakeShown", "Size", "known", "run", "shown", "told", "without"]

BRACKETS: Final = "in brackets the lowest and the highest of the seeds"
_WITHOUT: Final = {
    ("backprop", "comparisons-not-run"): "It has no replay of its own, for what was not run has no wrong number: the system's ladders are its replay.",
}


def shown(system: str | None = None) -> tuple[MistakeShown, ...]:
    """Return what is known without training: the replays that ship with the package, of one system or of all, the small ones of a mistake first."""
    return tuple(one for one in read_records() if system in (None, one.system))


def told(system: str, small: bool = False) -> dict[str, list[str]]:
    """Return what the shipped replays of a system's mistakes found, in lines, by the name of the mistake; small: without what their author reported."""
    found: dict[str, list[str]] = {}
    for one in shown(system):
        found.setdefault(one.name, []).extend((one.alone() if small else one).lines()[1:])
    return found | {name: [why] for name, why in without(system).items()}


def without(system: str) -> dict[str, str]:
    """Return the mistakes of a system that have no replay of their own, by name, each with why."""
    return {name: why for (of, name), why in _WITHOUT.items() if of == system}


def known() -> dict[str, tuple[str, ...]]:
    """Return the names of the mistakes of each system that can be made again."""
    from rung.replays.mistakes import making

    return making.known()


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

    system, names: which, None for all. whole: with the author's network, images and epochs, hours for some. changes: fields of the Size that differ,
    {"epochs": 10}. say(sentence) hears what is done, done(shown) of each that is ready.

    Raises: RunError for one that there is not; DataError where its images are not there.
    """
    from rung.replays.mistakes import making

    return making.run(system, names, whole=whole, changes=changes, say=say, done=done)
