"""The questions of an author's own sheet, in its order: which rows answer each, and what is shown beside them; read from a system's file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final

from pydantic import Field

from rung.errors import RecipeError, one_line
from rung.recipe.fields import Part
from rung.study.plan import START
from rung.study.system import System, check_known

BLOCKS: Final = ("network", "settings", "curves", "classes", "groups", "backpropagation", "decisions", "rows", "mistakes", "better")
_OF_ROWS: Final = ("network", "settings", "curves", "classes", "groups")  # blocks that show rows, so that some must be named


class Question(Part):
    """One question. asks: what the sheet asks, in our words; text: what holds whatever was measured, a paragraph each.

    steps: [ladder, step] of the comparisons that answer it; rows: [ladder, step, candidate] that `show` shows; groups: names of classes by group.
    """

    place: ClassVar[str] = "question"

    title: str
    asks: str = ""
    text: tuple[str, ...] = ()
    steps: tuple[tuple[str, str], ...] = ()
    rows: tuple[tuple[str, str, str], ...] = ()
    show: tuple[str, ...] = Field((), description="what is shown beside the comparisons")
    groups: Mapping[str, tuple[str, ...]] = Field({}, description="classes that are compared as groups")


def questions_of(system: System) -> tuple[Question, ...]:
    """Return the questions of a system, in the order of its file.

    Raises: RecipeError naming the question whose steps or rows there are not, or which shows rows and names none.
    """
    return tuple(_question(system, number, values) for number, values in enumerate(system.questions, 1))


def _question(system: System, number: int, values: Mapping[str, Any]) -> Question:
    _check_names(system, number, values)
    try:
        question = Question(**values)
    except RecipeError as error:
        raise RecipeError(f"[[question]] {number}: {error} (in the system {system.name})") from None
    place = f"[[question]] {number} '{question.title}' of {system.name}"
    for ladder, step in question.steps:
        _candidates(system, ladder, step, place)
    for ladder, step, candidate in question.rows:
        check_known(candidate, _candidates(system, ladder, step, place), f"{place}: step '{step}' of ladder {ladder} has no candidate '{candidate}'")
    for block in question.show:
        check_known(block, list(BLOCKS), f"{place} shows '{block}', which there is not")
    needing = [block for block in question.show if block in _OF_ROWS]
    if needing and not question.rows:
        raise RecipeError(f"{place} shows {needing[0]}, but names no row: write rows = [[ladder, step, candidate]]")
    if "groups" in question.show and len(question.groups) < 2:
        raise RecipeError(f"{place} shows groups, but names {len(question.groups)}: two at least are compared")
    return question


def _check_names(system: System, number: int, values: Mapping[str, Any]) -> None:
    """Check that steps and rows are lists of as many names as they need; raises RecipeError."""
    for field, parts in (("steps", ("ladder", "step")), ("rows", ("ladder", "step", "candidate"))):
        given = values.get(field, [])
        if not isinstance(given, list) or not all(isinstance(one, list) and len(one) == len(parts) and all(isinstance(n, str) for n in one) for one in given):
            raise RecipeError(f"[[question]] {number} of {system.name}: {field} = {one_line(repr(given))}: expected [[{', '.join(parts)}], ..], all names")


def _candidates(system: System, ladder: str, step: str, place: str) -> list[str]:
    """Return the candidates of a step, or of a stage its only row."""
    check_known(ladder, list(system.plans), f"{place}: there is no ladder '{ladder}'")
    stages = [stage.name for stage in system.stages_of(ladder)]
    check_known(step, [*(one.name for one in system.plans[ladder].steps), *stages], f"{place}: ladder {ladder} has no step '{step}'")
    return [START] if step in stages else [START, *(choice.name for choice in system.step(ladder, step).choices)]
