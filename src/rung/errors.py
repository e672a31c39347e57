"""The errors a user can meet. Each message says what was asked, what was found, and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class RungError(Exception):
    """Any error that is the user's to mend; the command line prints its message and ends with `exit_code`."""

    exit_code = 2


class RecipeError(RungError):
    """A recipe, a field or an option that does not exist, does not fit or contradicts another."""


class DataError(RungError):
    """Images or labels that cannot be used as they are; check: the check of the data that looks for this mistake, "" where none does."""

    def __init__(self, message: str = "", check: str = "") -> None:
        super().__init__(message)
        self.check = check


class RunError(RungError):
    """A run that cannot go on, be read or be found."""


class DivergedError(RunError):
    """A training whose loss or gradient is no finite number any more: its settings are at fault, and the same will happen again."""


class VerificationError(RungError):
    """Something stored does not hold what its record says."""

    exit_code = 1


class ResourceError(RungError):
    """The disk or the memory is full."""

    exit_code = 4


def did_you_mean(word: str, known: Iterable[str], then: str = "") -> str:
    """Return "did you mean 'x'?" for the nearest known word, else the list of known words; then: a sentence that follows."""
    known = list(known)
    close = difflib.get_close_matches(word.lower(), [k.lower() for k in known], n=1, cutoff=0.6)
    if close:
        return f"did you mean '{next(k for k in known if k.lower() == close[0])}'?{then and f' {then}'}"
    return f"known: {', '.join(known)}{then and f'. {then}'}"


def one_line(text: str, most: int = 80) -> str:
    """Return a stranger's text as a message can show it: what does not print is escaped, what is longer than `most` is cut."""
    shown = text if text.isprintable() else ascii(text)[1:-1]
    return shown if len(shown) <= most else f"{shown[:most]}.."
