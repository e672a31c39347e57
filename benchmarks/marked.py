"""Writes a table into its place in a page, benchmarks/README.md unless another is named."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rung.store import atomic

PAGE = Path(__file__).parent / "README.md"


def between(name: str, text: str, *pages: Path) -> None:
    """Replace what stands between the marks `<!-- name -->` and `<!-- /name -->`. Raises: SystemExit where they are missing."""
    start, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    for page in pages or (PAGE,):
        before, found, rest = page.read_text().partition(start)
        _, closed, after = rest.partition(end)
        if not (found and closed):
            raise SystemExit(f"{page} has no place for this table: write {start} and {end} where it belongs")
        page.write_text(f"{before}{start}\n{text}\n{end}{after}")


def keep(name: str, path: Path, made: Sequence[dict[str, Any]], table: Callable[[list[dict[str, Any]]], str]) -> None:
    """Add rows to those of a file, and put the table of all of them into its place."""
    for row in made:
        atomic.append_line(path, row)
    between(name, table(atomic.read_lines(path).rows))
