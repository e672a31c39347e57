"""One ladder as one page that needs nothing but itself: the climb, each step, cost against score, every curve, what is known and what is not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rung.errors import RunError
from rung.reports.html import environment
from rung.reports.ladder_view import Rows, view
from rung.store import atomic
from rung.store.run import Run
from rung.study.ladder import PAGE, RUNS, Ladder, read_ladder


def render(ladder: Ladder, rows: Rows) -> str:
    """Return the page as HTML; equal input gives equal text. rows(id): a run's rows of metrics.jsonl. Everything that comes from a user is escaped."""
    return environment().get_template("ladder.html").render(view(ladder, rows))


def write_page(folder: Path) -> Path:
    """Write ladder.html in a ladder's folder from its files, and return where it lies.

    Raises: RunError if there is no ladder, or it is damaged.
    """

    def rows(run: str) -> Sequence[Mapping[str, Any]]:
        try:
            return Run(folder / RUNS / run).read_rows()
        except (RunError, OSError):
            return []  # a run that was deleted, or is damaged, takes its curves along, not the page

    page = folder / PAGE
    atomic.write_text(page, render(read_ladder(folder), rows))
    return page
