"""What the arguments of the public functions may be: one table, by which each call is checked before anything is done."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, ParamSpec, TypeVar

from rung.errors import DataError, RecipeError, RunError, RungError, one_line
from rung.recipe import Recipe
from rung.store.run import Run

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True)
class Expected:
    """What fits an argument, in words and as a test, and the error that anything else is."""

    words: str
    fits: Callable[[Any], bool]
    error: type[RungError]


def _path(value: Any) -> bool:
    return isinstance(value, str | Path)


def _paths(value: Any) -> bool:
    """One path, or several; of what can be gone through only once nothing is taken."""
    if _path(value) or not isinstance(value, Iterable) or isinstance(value, bytes | Mapping):
        return _path(value)
    return not isinstance(value, list | tuple | set) or all(map(_path, value))


def _images(value: Any) -> bool:
    from rung.data.imageset import ImageSet

    return isinstance(value, ImageSet)


def _data(value: Any) -> bool:
    return _path(value) or (isinstance(value, list | tuple) and all(map(_path, value))) or _images(value)


def _settings(value: Any) -> bool:
    return value is None or (isinstance(value, Mapping) and all(isinstance(name, str) for name in value))


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _several(value: Any) -> bool:
    return isinstance(value, list | tuple)


def _whole_or_several(value: Any) -> bool:
    return isinstance(value, int) or (_several(value) and all(isinstance(one, int) for one in value))


_IN_MEMORY: Final = "; images in memory become one by rung.from_arrays"
_RECIPE: Final = Expected("the name of a recipe, a recipe.toml, file.py:function or a Recipe", lambda v: _path(v) or isinstance(v, Recipe), RecipeError)
_RUNS: Final = Expected(
    "a list of runs, each a Run, its folder, its id, or the beginning of its id",
    lambda v: _several(v) and all(_path(one) or isinstance(one, Run) for one in v),
    RunError,
)
_OWN: Final = Expected("a list of your own functions or classes", _several, RecipeError)

_EXPECTED: Final[Mapping[str, Expected]] = {  # by argument, or by function.argument where one word means two things
    "data": Expected(f"the name or path of data, a list of them, or an ImageSet{_IN_MEMORY}", _data, DataError),
    "describe.data": Expected(f"the name or path of data, or an ImageSet{_IN_MEMORY}", lambda v: _path(v) or _images(v), DataError),
    "resume.data": Expected(f"the ImageSet that the run was trained on{_IN_MEMORY}", lambda v: v is None or _images(v), DataError),
    "test.data": Expected(f"the ImageSet that the run was trained on{_IN_MEMORY}", lambda v: v is None or _images(v), DataError),
    **{
        f"{name}.data": Expected(f"the ImageSet that the runs were trained on{_IN_MEMORY}", lambda v: v is None or _images(v), DataError)
        for name in ("ensemble", "robust")
    },
    "sources": Expected("names or paths of data, each an argument of its own", lambda v: all(map(_path, v)), DataError),
    "recipe": _RECIPE,
    "start": _RECIPE,
    "load_recipe.name": _RECIPE,
    "recipe_document.name": _RECIPE,
    "settings": Expected("a dictionary such as {'train.epochs': 5}", _settings, RecipeError),
    "run": Expected("a Run, its folder, its id, or the beginning of its id", lambda v: _path(v) or isinstance(v, Run), RunError),
    "runs": _RUNS,
    "ladder.steps": Expected("the path of a ladder file, or a list of steps, each a dictionary", lambda v: _path(v) or _several(v), RecipeError),
    "search.file": Expected("the path of a search file, or what it holds as a dictionary", lambda v: _path(v) or _settings(v), RecipeError),
    "workers": Expected("how many trainings at once, or None for as many as processors", lambda v: v is None or isinstance(v, int), RunError),
    "noise.data": Expected("the name or path of data, or a list of them", _paths, DataError),
    "noise.recipe": Expected("the name of a recipe, a recipe.toml, or file.py:function", _path, RecipeError),
    "seeds": Expected("how many seeds, or a list of them", _whole_or_several, RecipeError),
    "splits": Expected("how many other validation parts, or None", lambda v: v is None or isinstance(v, int), RecipeError),
    "difference": Expected("a difference to be seen, or None", lambda v: v is None or _number(v), RecipeError),
    "candidates": Expected("how many candidates a step has", lambda v: isinstance(v, int), RecipeError),
    "metric": Expected("the name of a metric, such as 'accuracy'", lambda v: isinstance(v, str), RecipeError),
    "replay.name": Expected("the name of a system, or a folder that holds system.toml", _path, RecipeError),
    "replay.seeds": Expected("how many seeds each row has, or None", lambda v: v is None or (isinstance(v, int) and not isinstance(v, bool)), RecipeError),
    "replay.minutes": Expected("a number of minutes, or None to train nothing", lambda v: v is None or _number(v), RecipeError),
    "average": Expected("'probabilities' or 'weights'", lambda v: v in ("probabilities", "weights"), RunError),
    "images": Expected("a number of images, 1 or more", lambda v: isinstance(v, int) and not isinstance(v, bool) and v > 0, RunError),
    "part": Expected("'train', 'validation' or 'test'", lambda v: v in ("train", "validation", "test"), RunError),
    "recipes": Expected("a list of recipes, each a name, a recipe.toml, file.py:function or a Recipe", _several, RecipeError),
    "peers": Expected("a list of paths of scripts", lambda v: _several(v) and all(map(_path, v)), RunError),
    "python": Expected("the path of a Python, or None", lambda v: v is None or _path(v), RunError),
    "seconds": Expected("a number of seconds", _number, RunError),
    "threads": Expected("a number of threads, or None for as many as processors", lambda v: v is None or isinstance(v, int), RunError),
    "name": Expected("a word for the run's folder", lambda v: v is None or isinstance(v, str), RunError),
    "out": Expected("the path of a folder of runs", _path, RunError),
    "files": Expected("the path of an image or of a folder, or a list of such paths", _paths, DataError),
    "path": Expected("the path of the file to write", _path, RunError),
    "page": Expected("the path of the file to write", lambda v: v is None or _path(v), RunError),
    "unused_days": Expected("a number of days", _number, RunError),
    "checkpoint_s": Expected("a number of seconds", _number, RunError),
    "metrics": _OWN,
    "augmentations": _OWN,
    "callbacks": _OWN,
    **{word: Expected("a function", lambda v: v is None or callable(v), RunError) for word in ("progress", "say", "staged", "observe", "scoring", "begun")},
}


def checked(function: Callable[P, T]) -> Callable[P, T]:
    """Return a public function that refuses arguments of a wrong type in one sentence; what an argument may be stands in this file's table."""
    signature = inspect.signature(function)

    @functools.wraps(function)
    def call(*positional: P.args, **named: P.kwargs) -> T:
        try:
            given = signature.bind(*positional, **named).arguments
        except TypeError:  # too few, too many, an unknown one: Python itself says which, and of what function
            given = {}
        for name, value in given.items():
            expected = _EXPECTED.get(f"{function.__name__}.{name}", _EXPECTED.get(name))
            if expected is not None and not expected.fits(value):
                found = f"{one_line(repr(value))} ({type(value).__name__})"
                raise expected.error(f"rung.{function.__name__}: {name} is {found}: expected {expected.words}")
        return function(*positional, **named)

    return call
