"""What a check of the data found: the record that every check returns and every page of checks shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Severity = Literal["error", "warning", "note"]


@dataclass(frozen=True)
class Problem:
    """One thing that a check found: how bad it is, on what evidence, and what to do.

    check: name of the check, such as "near-duplicates". error: results would be wrong or mean nothing; warning: they may be; note: good to know.
    sentence: what was found, with its numbers. advice: what to do.
    groups: row numbers of the ImageSet that belong together (pairs of twins, or single rows), the clearest first, few enough to be shown.
    count: how many such groups there are in all. numbers: {name: value}, the figures that the sentence rests on, with units in their names.
    remarks: {row: a few words to stand below its picture}, such as what a wrongly labelled image looks like.
    """

    check: str
    severity: Severity
    sentence: str
    advice: str
    groups: tuple[tuple[int, ...], ...] = ()
    count: int = 0
    numbers: Mapping[str, float] = field(default_factory=dict)
    remarks: Mapping[int, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return plain values that JSON can hold."""
        remarks = {str(row): said for row, said in self.remarks.items()}
        return asdict(self) | {"groups": [list(group) for group in self.groups], "numbers": dict(self.numbers), "remarks": remarks}
