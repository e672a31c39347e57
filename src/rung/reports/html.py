"""One run as one page that needs nothing but itself: no network, no fonts, readable without its few lines of script."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup, escape

from rung import words
from rung.reports import view_answers, view_run
from rung.reports.inputs import ReportInput

if TYPE_CHECKING:
    from jinja2 import Environment

_TEMPLATES = Path(__file__).parent / "templates"
_CONTENTS = {
    "findings": "Findings",
    "scores": "Scores",
    "training": "Training",
    "confusions": "Confusions",
    "classes": "Classes",
    "confidence": "Confidence",
    "data": "Data",
    "samples": "Samples",
    "mistakes": "Mistakes",
    "network": "Network",
    "settings": "Settings",
    "notes": "Notes",
    "record": "Times and versions",
}


def render(report: ReportInput) -> str:
    """Return the report as HTML; equal input gives equal text. Everything that comes from a user is escaped."""
    view = view_answers.view(report) | view_run.view(report)
    view["contents"] = [(anchor, name) for anchor, name in _CONTENTS.items() if _is_there(anchor, view)]
    return environment().get_template("page.html").render(view)


def environment() -> Environment:
    """Return what makes pages of the templates: it escapes every text, and refuses a name that a template misspells."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    made = Environment(loader=FileSystemLoader(_TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True, finalize=_seen)
    made.globals |= {"percent": words.percent, "plural": words.plural, "number": words.count, "thin": "\u202f", "breakable": _breakable, "coded": _coded}
    return made


def _seen(value: Any) -> Any:
    """Make odd characters of plain texts visible; pictures and templates, which are markup, stay as they are."""
    return words.visible(value) if type(value) is str else value


def _breakable(name: str) -> Markup:
    """Return a path or name that may be broken into lines after its separators, but not a number at its point."""
    return Markup(re.sub(r"([/\\_]|\.(?!\d)|(?<!\d)\.)(?=.)", r"\1<wbr>", str(escape(words.visible(name)))))


def _coded(text: str) -> Markup:
    """Return a text with what stands between backticks as code."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(words.visible(text)))))


def _is_there(anchor: str, view: dict[str, Any]) -> bool:
    return bool({"training": view["panels"], "samples": view["samples"], "notes": view["recipe"].notes}.get(anchor, True))
