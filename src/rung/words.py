"""Numbers as words: one way of writing percentages, intervals, counts and durations in sentences and tables."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Sequence

PERCENT = "\u202f%"  # narrow no-break space


def percent(value: float, decimals: int = 1) -> str:
    """Write a share 0..1 as "97.8 %".

    One decimal everywhere, whatever was measured on however many images: parts stand side by side, and of 10,000 images noise swallows the second.
    """
    return f"{value * 100:.{decimals}f}{PERCENT}"


def points(value: float, decimals: int = 1) -> str:
    """Write a difference of shares as "1.9 points"."""
    text = f"{value * 100:.{decimals}f}"
    text = text.lstrip("-") if float(text) == 0 else text
    return f"{text} point" if text in ("1.0", "1.00") else f"{text} points"


def points_range(low: float, high: float) -> str:
    """Write the interval of a size in points, to stand behind it: "7.23 to 12.83"; without signs but that of a negative end."""
    return " to ".join(f"{end * 100:.2f}".replace("-0.00", "0.00").replace("-", "−") for end in (low, high))


def percent_range(low: float, high: float) -> str:
    """Write an interval of shares as "95.0 to 98.6 %"."""
    return f"{low * 100:.1f} to {high * 100:.1f}{PERCENT}"


def count(value: float) -> str:
    """Write a whole number with thousands marked: "10,000"."""
    return f"{int(value):,}"


def plural(value: int, one: str, many: str = "") -> str:
    """Write "1 image", "2,000 images"."""
    return f"{value:,} {one if value == 1 else many or one + 's'}"


def decimal(value: float, digits: int = 4) -> str:
    """Write a loss or a rate with so many significant digits, without an exponent where it reads well."""
    if not math.isfinite(value):
        return str(value)
    if value == 0:
        return "0"
    if 1e-3 <= abs(value) < 1e5:
        places = max(0, digits - 1 - math.floor(math.log10(abs(value))))
        return f"{value:,.{min(places, digits)}f}"
    return f"{value:.{digits}g}"


def size(number: float) -> str:
    """Write bytes as "13.4 kB", "2.5 MB", "1,204.0 MB"; kB are 1,000 bytes."""
    return f"{number / 1e6:,.1f} MB" if number >= 1e6 else f"{number / 1e3:,.1f} kB"


def duration(seconds: float) -> str:
    """Write seconds as "0.8 s", "43 s", "2 min 13 s", "1 h 04 min"."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def listing(words: Sequence[str], last: str = "and") -> str:
    """Join words as "a", "a and b", "a, b and c"."""
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} {last} {words[-1]}"


def visible(text: str) -> str:
    """Return a text in which what could not be seen or would turn the line around is written as its escape; line ends and tabs stay.

    So are the bytes of a file name that is not UTF-8 (Python's surrogates), which no page could hold.
    """
    return "".join(c if c in _KEPT or unicodedata.category(c) not in ("Cc", "Cf", "Cs") else _escaped(c) for c in text)


_KEPT = "\n\t\u200c\u200d"  # the last two join letters and emoji


def _escaped(character: str) -> str:
    if 0xDC80 <= ord(character) <= 0xDCFF:
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape").decode()


def quoted(name: str) -> str:
    """Write a name in a sentence: in quotes, long ones shortened."""
    return f"“{visible(shorten(name, 40))}”"


def shorten(text: str, length: int) -> str:
    """Cut a text to at most `length` characters, with an ellipsis in the middle, so that numbered names stay apart."""
    if len(text) <= length:
        return text
    tail = (length - 1) // 3
    return f"{text[: length - 1 - tail]}…{text[len(text) - tail :]}" if tail else text[: length - 1] + "…"
