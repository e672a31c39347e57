"""A notebook as plain cells: words and tables in Markdown, and code that needs nothing but Python, numpy, matplotlib and the data it brings along."""

from __future__ import annotations

import ast
import base64
import json
import re
import textwrap
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from rung.reports.copies import Table, markdown
from rung.words import visible

_BROUGHT: Final = tuple(Path(__file__).with_name(name) for name in ("notebook_figures.py", "notebook_backpropagation.py"))
_WIDTH: Final = 110  # letters of a line of the data cell
_IMPORTS: Final = """\
import base64
import itertools
import json
import math
import warnings
import zlib
from collections.abc import Callable

import matplotlib.pyplot as plt
import numpy as np

plt.rcParams["text.parse_math"] = False  # a name with two dollar signs is a name
warnings.filterwarnings("ignore", message="Glyph .* missing from font")"""


@dataclass(frozen=True)
class Cell:
    """One cell. hidden: its source is folded away when the notebook opens."""

    kind: Literal["markdown", "code"]
    text: str
    hidden: bool = False


def words(*blocks: str) -> Cell:
    """Return a cell of Markdown from its blocks; empty ones are left out."""
    return Cell("markdown", "\n\n".join(block for block in blocks if block))


def escaped(text: str) -> str:
    """Return a plain text as Markdown that shows just that; what stands between backticks stays code."""
    pieces = visible(text).split("`")
    if len(pieces) % 2 == 0:
        return _escaped(visible(text).replace("`", "'"))
    return "".join(f"`{piece}`" if number % 2 else _escaped(piece) for number, piece in enumerate(pieces))


def _escaped(text: str) -> str:
    return re.sub(r"([\\*_\[\]$~#|])", r"\\\1", text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;"))


def bullets(sentences: Sequence[str]) -> str:
    """Return sentences as a list."""
    return "\n".join(f"- {escaped(sentence)}" for sentence in sentences)


def table_text(headings: Sequence[str], rows: Sequence[Sequence[str]], numbers: Sequence[str] = ()) -> str:
    """Return a table as Markdown, "" without rows; numbers: the headings of columns that are set to the right."""
    if not rows:
        return ""
    safe = [tuple(_in_table(cell) for cell in row) for row in rows]
    return markdown(Table(tuple(headings), tuple(safe), frozenset(numbers))).replace("\\\\", "\\")


def _in_table(cell: str) -> str:
    """Escape a cell; the bar is left to the table."""
    return escaped(cell).replace("\\|", "|")


def fence(text: str, language: str = "") -> str:
    """Return a text as a block of code, whatever backticks it holds."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    marks = "`" * max(3, longest + 1)
    return f"{marks}{language}\n{visible(text).strip()}\n{marks}"


def packed(values: npt.NDArray[np.integer[Any]]) -> str:
    """Return whole numbers 0..65,535 as a short text; `unpacked` of the figures gives them back as a row."""
    return base64.b64encode(zlib.compress(np.asarray(values).astype("<u2").tobytes(), 9)).decode()


def data_cell(values: Mapping[str, Any], said: str, *drawing: str) -> Cell:
    """Return the first code cell: imports, all data of the notebook as DATA, the functions that draw them, and a line that says what they are."""
    text = json.dumps(values, ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    lines = "\n".join(f"    {piece!r}" for piece in _pieces(text))
    functions = "\n\n\n".join(map(source, ("unpacked", *drawing)))
    return Cell("code", f"{_IMPORTS}\n\nDATA = json.loads(\n{lines}\n)\n\n\n{functions}\n\n\nprint({said!r})", hidden=True)


def _pieces(text: str) -> list[str]:
    return [text[at : at + _WIDTH] for at in range(0, len(text), _WIDTH)]


def code(*functions: str, then: str) -> Cell:
    """Return a cell that defines functions that notebooks bring along, and then runs some lines."""
    return Cell("code", "\n\n\n".join([*map(source, functions), textwrap.dedent(then).strip()]))


def source(function: str) -> str:
    """Return the text of a function that notebooks bring along; raises KeyError for one there is not."""
    return _sources()[function]


@cache
def _sources() -> dict[str, str]:
    """Read the functions as text: they are never called here, for matplotlib need not be installed."""
    found: dict[str, str] = {}
    for path in _BROUGHT:
        text = path.read_text(encoding="utf-8")
        nodes = [node for node in ast.parse(text).body if isinstance(node, ast.FunctionDef)]
        found |= {node.name: ast.get_source_segment(text, node) or "" for node in nodes}
    return found
