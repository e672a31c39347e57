"""A table as text to take along: Markdown, CSV, LaTeX."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from rung.words import visible

_LATEX: Final = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "\u202f": r"\,",
    "−": "$-$",
    "±": r"$\pm$",
    "×": r"$\times$",
    "…": r"\ldots{}",
}


@dataclass(frozen=True)
class Table:
    """Texts in rows below headings; numbers: the headings of columns that are set to the right."""

    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numbers: frozenset[str] = frozenset()


def copies(table: Table) -> dict[str, str]:
    """Return the table as {"Markdown": .., "CSV": .., "LaTeX": ..}."""
    return {"Markdown": markdown(table), "CSV": comma_separated(table), "LaTeX": latex(table)}


def markdown(table: Table) -> str:
    """Return the table in GitHub's Markdown; a bar within a cell is escaped."""
    ruler = ["---:" if heading in table.numbers else "---" for heading in table.headings]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [_flat(table.headings, _for_markdown), ruler, *(_flat(row, _for_markdown) for row in table.rows)])


def comma_separated(table: Table) -> str:
    """Return the table as CSV (RFC 4180, with plain line ends); a minus before a number is the sign that programs read."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows(_flat(row, _for_programs) for row in (table.headings, *table.rows))
    return out.getvalue().rstrip("\n")


def latex(table: Table) -> str:
    """Return the table as a LaTeX tabular with lines of the package booktabs."""
    columns = "".join("r" if heading in table.numbers else "l" for heading in table.headings)
    body = [" & ".join(_flat(row, _for_latex)) + r" \\" for row in (table.headings, *table.rows)]
    return "\n".join([rf"\begin{{tabular}}{{{columns}}}", r"\toprule", body[0], r"\midrule", *body[1:], r"\bottomrule", r"\end{tabular}"])


def _flat(cells: Sequence[str], write: Callable[[str], str]) -> list[str]:
    """Return cells without line ends, each written for its format."""
    return [write(" ".join(visible(cell).split("\n"))) for cell in cells]


def _for_programs(cell: str) -> str:
    return re.sub(r"−(?=[\d.])", "-", cell)


def _for_markdown(cell: str) -> str:
    return cell.replace("\\", "\\\\").replace("|", "\\|")


def _for_latex(cell: str) -> str:
    return "".join(_LATEX.get(character, character) for character in cell)
