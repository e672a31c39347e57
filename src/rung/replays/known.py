"""The systems that rung brings, by name."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from rung.errors import RecipeError, did_you_mean, one_line
from rung.study.system import FILE, System, read_system

SYSTEMS: Final = Path(__file__).parent / "systems"


def systems() -> tuple[str, ...]:
    """Return the names of the systems that rung brings."""
    return tuple(sorted(folder.name for folder in SYSTEMS.iterdir() if (folder / FILE).is_file()))


def system(name: str | Path) -> System:
    """Return a system by its name, or of a folder of your own that holds system.toml.

    Raises: RecipeError if there is none, or something in its files does not fit.
    """
    word = str(name)
    if word in systems():
        return read_system(SYSTEMS / word)
    folder = Path(word)
    if word and (folder / FILE).is_file():
        return read_system(folder.resolve() if folder.name in ("", "..") else folder)
    if folder.is_dir() and ("/" in word or word in (".", "..")):
        raise RecipeError(f"{word} is no system: it holds no {FILE}; docs/replay.md says what one is")
    raise RecipeError(f"there is no system '{one_line(word)}': {did_you_mean(word, [*systems(), 'all'])}")
