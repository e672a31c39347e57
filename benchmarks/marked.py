"""Writes a table into its place in benchmarks/README.md."""

from __future__ import annotations

from pathlib import Path

PAGE = Path(__file__).parent / "README.md"


def between(name: str, text: str) -> None:
    """Replace what stands between the marks `<!-- name -->` and `<!-- /name -->`."""
    start, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    before, found, rest = PAGE.read_text().partition(start)
    _, closed, after = rest.partition(end)
    if not (found and closed):
        raise SystemExit(f"{PAGE} has no place for this table: write {start} and {end} where it belongs")
    PAGE.write_text(f"{before}{start}\n{text}\n{end}{after}")
