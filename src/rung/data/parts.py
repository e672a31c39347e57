"""Which part of the data a name means: of a folder, of a file, or of a cell in a table."""

from __future__ import annotations

import re

from rung.data.imageset import TEST, TRAIN, VALIDATION

_WORD = r"(?:(train(?:ing)?)|(val(?:id(?:ation)?)?)|(test(?:ing)?))"
_NAME = re.compile(rf"{_WORD}(?:[ _-]?(?:set|data|images|\d+))?", re.IGNORECASE)
_FILE_START = re.compile(rf"{_WORD}(?![a-z])", re.IGNORECASE)
_FILE_END = re.compile(rf"(?<![a-z]){_WORD}[\d_-]*", re.IGNORECASE)


def part_of(name: str) -> int | None:
    """Return TRAIN, VALIDATION or TEST for a folder or cell named train, train3, val, validation, test_set .., else None."""
    return _which(_NAME.fullmatch(name))


def part_of_file(stem: str) -> int | None:
    """Return the part that a file's name begins or ends with (test_batch1, train-00000-of-00002, mnist_train, x_test), else None."""
    ends = [match for match in _FILE_END.finditer(stem) if match.end() == len(stem)]
    return _which(_FILE_START.match(stem) or (ends[0] if ends else None))


def _which(match: re.Match[str] | None) -> int | None:
    if not match:
        return None
    return TRAIN if match[1] else VALIDATION if match[2] else TEST
