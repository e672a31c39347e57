"""A system: somebody's finished project as data. What was tried, what was carried on, what was reported, and what went wrong; read from TOML.

A folder holds system.toml and, beside it, ordinary ladder files whose steps say which candidate the author carried on (`keep`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, Literal, TypeVar

from pydantic import Field

from rung.errors import RecipeError, did_you_mean, one_line
from rung.recipe import read_toml
from rung.recipe.fields import Count, Part
from rung.study.plan import START, Plan, Settings, Step, fields_of, read_plan, word

FILE: Final = "system.toml"
_NAME: Final = r"^[a-z0-9][a-z0-9_-]{0,63}$"
_LISTS: Final = ("ladder", "reported", "decision", "stage", "mistake", "question")
_ALONE: Final = ("title", "task", "images", "data", "small")

Points = Annotated[float, Field(ge=0, le=100)]
Share = Annotated[float, Field(ge=0, le=1)]
P = TypeVar("P", bound=Part)


class Small(Part):
    """The small budget: settings that make the same networks learn from fewer images for fewer epochs, and how many seeds each row has."""

    place: ClassVar[str] = "small"

    seeds: Annotated[int, Field(ge=1)] = Field(3, description="how many seeds each row has at the small budget")
    settings: Settings = Field({}, description="fields that make the small budget, over those of every row")


class SystemLadder(Part):
    """One ladder file of a system, by its path beside system.toml."""

    place: ClassVar[str] = "ladder"

    file: str = Field(description="the ladder file, beside system.toml")
    title: str = Field("", description="what this ladder is, in a few words")
    seeds: Count | None = Field(None, description="how many seeds each row has at the whole budget; if not set, as the ladder file says")
    small: Settings = Field({}, description="fields of this ladder at the small budget, over those of [small]")

    @property
    def name(self) -> str:
        """By which everything else names it: the file without its ending."""
        return word(Path(self.file).stem)


class Reported(Part):
    """What the author reported of one row, on his test part; what he did not report is None. accuracy: in points, 73.48; macro_f1: a share, 0.734."""

    place: ClassVar[str] = "reported"

    ladder: str
    step: str
    candidate: str = START
    parameters: Count | None = None
    accuracy: Points | None = None
    macro_f1: Share | None = None
    note: str = ""


class Decision(Part):
    """That the kept candidate of a step is carried on. over: those that it was preferred to; empty: all others of the step. said: his reason.

    by: "author" where he ran it and went on with it; "text" where only his text says so: kept here, and judged as what would have been right.
    """

    place: ClassVar[str] = "decision"

    ladder: str
    step: str
    over: tuple[str, ...] = ()
    said: str = ""
    by: Literal["author", "text"] = "author"

    @property
    def word(self) -> str:
        """What was done with the kept one, in a table's words."""
        return "carried on" if self.by == "author" else "kept here"


class Stage(Part):
    """A training that begins from the kept weights of the same seed of another row.

    after: "start" (of the ladder), the name of a step, of which it is what is kept, or the name of an earlier stage. settings: over those of that row.
    """

    place: ClassVar[str] = "stage"

    ladder: str
    name: str
    after: str = START
    settings: Settings = Field({}, description="fields that differ from the row before")


class Mistake(Part):
    """One mistake of the author. name: the key of its replay; text: what his code did; lesson: what rung says to it, or refuses."""

    place: ClassVar[str] = "mistake"

    name: str = Field(pattern=_NAME, description="a word for it, such as scrambled-colour")
    text: str
    lesson: str = ""


@dataclass(frozen=True)
class System:
    """A system as its files say it. images: how many there are at the whole budget, in words; plans: its ladders by name, in their
    order; questions: those of the author's own sheet, as the file has them.
    """

    name: str
    title: str
    task: str
    data: tuple[str, ...]
    small: Small
    ladders: tuple[SystemLadder, ...]
    plans: Mapping[str, Plan]
    reported: tuple[Reported, ...] = ()
    decisions: tuple[Decision, ...] = ()
    stages: tuple[Stage, ...] = ()
    mistakes: tuple[Mistake, ...] = ()
    questions: tuple[Mapping[str, Any], ...] = ()
    images: str = ""

    def step(self, ladder: str, name: str) -> Step:
        """Return a step of a ladder; both must be there."""
        return next(step for step in self.plans[ladder].steps if step.name == name)

    def stages_of(self, ladder: str) -> list[Stage]:
        """Return the stages of a ladder, in their order."""
        return [stage for stage in self.stages if stage.ladder == ladder]


def read_system(folder: Path) -> System:
    """Read the system of a folder, named after it.

    Raises: RecipeError naming the file and what is wrong in it, such as a figure reported of a candidate that no ladder has.
    """
    path = folder / FILE
    values = read_toml(path, "system")
    try:
        return _system(folder, values)
    except RecipeError as error:
        said = str(error)
        raise RecipeError(said if f"{folder}" in said else f"{said} (in {path})") from None


def kept_of(step: Step) -> str:
    """Return which candidate of a step the author carried on."""
    return step.keep or START


def _system(folder: Path, values: Mapping[str, Any]) -> System:
    for name in values:
        if name not in (*_ALONE, *_LISTS):
            raise RecipeError(f"there is no field '{one_line(str(name))}' in a system: {did_you_mean(str(name), (*_ALONE, *_LISTS))}")
    ladders = _parts(values, "ladder", SystemLadder)
    if not ladders:
        raise RecipeError('a system needs at least one ladder: write [[ladder]] with file = "..toml"')
    _no_twice([ladder.name for ladder in ladders], "ladders")
    small = dict(values.get("small", {}))
    small["settings"] = fields_of(small.get("settings", {}), "small.settings")
    data = values.get("data", ())
    made = System(
        name=folder.name,
        title=str(values.get("title", folder.name)),
        task=str(values.get("task", "")),
        images=str(values.get("images", "")),
        data=(data,) if isinstance(data, str) else tuple(map(str, data)),
        small=Small(**small),
        ladders=ladders,
        plans={ladder.name: _plan(folder, ladder) for ladder in ladders},
        reported=_parts(values, "reported", Reported),
        decisions=_parts(values, "decision", Decision),
        stages=_parts(values, "stage", Stage),
        mistakes=_parts(values, "mistake", Mistake),
        questions=tuple(_tables(values, "question")),
    )
    for check in (_check_kept, _check_stages, _check_reported, _check_decisions):
        check(made)
    _no_twice([mistake.name for mistake in made.mistakes], "mistakes")
    return made


def _plan(folder: Path, ladder: SystemLadder) -> Plan:
    plan = read_plan(folder / ladder.file)
    return plan if ladder.seeds is None else plan.model_copy(update={"seeds": tuple(range(ladder.seeds))})


def _tables(values: Mapping[str, Any], name: str) -> Iterator[Mapping[str, Any]]:
    """Yield the tables of a list of a system's file; raises RecipeError where it is none."""
    given = values.get(name, [])
    if not isinstance(given, list) or not all(isinstance(table, Mapping) for table in given):
        raise RecipeError(f"{name} = {one_line(repr(given))}: expected tables, each [[{name}]]")
    yield from given


def _parts(values: Mapping[str, Any], name: str, kind: type[P]) -> tuple[P, ...]:
    """Return the tables of a list as records; raises RecipeError with the number of the one that does not fit."""
    made = []
    for number, table in enumerate(_tables(values, name), 1):
        settings = {key: fields_of(table[key], f"[[{name}]] {number}, {key}") for key in ("settings", "small") if key in table}
        try:
            made.append(kind(**{**table, **settings}))
        except RecipeError as error:
            raise RecipeError(f"[[{name}]] {number}: {error}") from None
    return tuple(made)


def _check_kept(system: System) -> None:
    """Check that every step of every ladder says what the author carried on: else it is no path."""
    for name, plan in system.plans.items():
        for step in plan.steps:
            if not step.keep:
                raise RecipeError(f'ladder {name}, step \'{step.name}\' does not say what the author carried on: write keep = "..", or keep = "start"')


def _check_stages(system: System) -> None:
    for number, stage in enumerate(system.stages, 1):
        place = f"[[stage]] {number} '{stage.name}'"
        _known_ladder(system, stage.ladder, place)
        steps = [step.name for step in system.plans[stage.ladder].steps]
        earlier = [one.name for one in system.stages[: number - 1] if one.ladder == stage.ladder]
        if stage.name in (*steps, *earlier):
            raise RecipeError(f"{place}: ladder {stage.ladder} has a step or stage of this name already: give it another")
        check_known(stage.after, (START, *steps, *earlier), f"{place} comes after '{stage.after}', which ladder {stage.ladder} has not")


def _check_reported(system: System) -> None:
    places = []
    for number, figure in enumerate(system.reported, 1):
        place = f"[[reported]] {number}"
        _known_ladder(system, figure.ladder, place)
        stages = [stage.name for stage in system.stages_of(figure.ladder)]
        steps = {step.name: [START, *(choice.name for choice in step.choices)] for step in system.plans[figure.ladder].steps}
        steps |= {name: [START] for name in stages}
        check_known(figure.step, list(steps), f"{place}: ladder {figure.ladder} has no step '{figure.step}'")
        check_known(figure.candidate, steps[figure.step], f"{place}: step '{figure.step}' of ladder {figure.ladder} has no candidate '{figure.candidate}'")
        places.append(f"{figure.ladder}, {figure.step}, {figure.candidate}")
    _no_twice(places, "reported figures")


def _check_decisions(system: System) -> None:
    for number, decision in enumerate(system.decisions, 1):
        place = f"[[decision]] {number}"
        _known_ladder(system, decision.ladder, place)
        steps = [step.name for step in system.plans[decision.ladder].steps]
        check_known(decision.step, steps, f"{place}: ladder {decision.ladder} has no step '{decision.step}'")
        step = system.step(decision.ladder, decision.step)
        names = [START, *(choice.name for choice in step.choices)]
        for name in decision.over:
            check_known(name, names, f"{place}: step '{step.name}' of ladder {decision.ladder} has no candidate '{name}'")
            if name == kept_of(step):
                raise RecipeError(f"{place}: '{name}' is what step '{step.name}' keeps, and cannot be preferred to itself")


def _known_ladder(system: System, name: str, place: str) -> None:
    check_known(name, list(system.plans), f"{place}: there is no ladder '{name}'")


def check_known(name: str, known: Sequence[str], message: str) -> None:
    """Check that a name is known; raises RecipeError with the message, and which may be meant."""
    if name not in known:
        raise RecipeError(f"{message}: {did_you_mean(name, known)}")


def _no_twice(names: Sequence[str], what: str) -> None:
    for name in names:
        if names.count(name) > 1:
            raise RecipeError(f"two {what} are called '{name}': each is there once")
