"""Tables to take along, read back by what reads such tables."""

import csv
import io

from rung.reports.copies import Table, copies

TABLE = Table(("name", "score"), (("a|b", "97.8\u202f%"), ("50 % & more_{x}", 'say "no", twice'), ("two\nlines", "−0.3")), frozenset({"score"}))


def test_csv_is_read_back_as_it_was() -> None:
    rows = list(csv.reader(io.StringIO(copies(TABLE)["CSV"])))
    assert rows == [["name", "score"], ["a|b", "97.8\u202f%"], ["50 % & more_{x}", 'say "no", twice'], ["two lines", "-0.3"]]


def test_markdown_has_one_line_a_row_and_no_bar_within_a_cell() -> None:
    lines = copies(TABLE)["Markdown"].split("\n")
    assert lines[:3] == ["| name | score |", "| --- | ---: |", "| a\\|b | 97.8\u202f% |"]
    assert len(lines) == 5


def test_latex_escapes_what_it_would_read_as_orders() -> None:
    lines = copies(TABLE)["LaTeX"].split("\n")
    assert lines[0] == r"\begin{tabular}{lr}"
    assert r"50 \% \& more\_\{x\} & say" in lines[5]
    assert lines[4] == r"a|b & 97.8\,\% \\"
    assert lines[6] == r"two lines & $-$0.3 \\"
    assert lines[-1] == r"\end{tabular}"
