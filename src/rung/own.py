"""A user's own network, loss, metric, augmentation or callback: loaded from `file.py:name`, its source kept with the run."""

from __future__ import annotations

import importlib.util
import inspect
import math
import sys
import sysconfig
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Real
from pathlib import Path
from typing import Any, NoReturn

from rung.errors import RecipeError, did_you_mean

_LOST = "# cannot be read back: "  # begins what is kept in place of a source
_LIBRARIES = ("site-packages", "dist-packages")
_OUTSIDE = (str(Path(__file__).parent), *(sysconfig.get_paths()[name] for name in ("stdlib", "platstdlib")), "<frozen")
_reading: list[Path] = []  # own files that are being run now, the innermost last


class _BeginsTraining(BaseException):
    """Ends the reading of a file that begins a training itself; no `except Exception` of the file may hold it up."""


@dataclass(frozen=True)
class Own:
    """One object of the user's; to call it is to call the object.

    name: what it is called; source: the text of its file; origin: file.py:name; lost: why it could not be read back from a run, in a
    sentence: then calling it raises that.
    """

    name: str
    call: Callable[..., Any]
    source: str
    origin: str
    lost: str = ""

    @property
    def __name__(self) -> str:
        return self.name

    def __call__(self, *arguments: Any) -> Any:
        return self.call(*arguments)


def is_own(text: str) -> bool:
    """Tell whether a recipe's word means a user's object: file.py:name."""
    return ".py:" in text


def is_lost(source: str) -> bool:
    """Tell whether the text that is kept of an object only says why it cannot be read back."""
    return source.startswith(_LOST)


def find(file: str, base: Path | None, asked: str) -> Path:
    """Return the user's file: a relative one is looked for in `base` (the folder of the recipe that names it), then in the working folder.

    Raises: RecipeError if it is in neither; `asked` begins the sentence.
    """
    candidates = [folder / file for folder in (base, Path.cwd()) if folder is not None]
    path = next((candidate for candidate in candidates if candidate.is_file()), None)
    if path is None:
        folders = " or ".join(dict.fromkeys(str(candidate.parent) for candidate in candidates))
        raise RecipeError(f"{asked} asks for the file {file}, which is not in {folders}")
    return path


def load(spec: str, base: Path | None = None) -> Own:
    """Load `file.py:name`; a relative file is looked for in `base` (the recipe's folder), then in the working folder.

    This runs the file: it is the user's own code. A script that begins a training itself, without `if __name__ == "__main__"`, is run up to
    there only: what it gave to that training it has defined by then.

    Raises: RecipeError if the file or the name is not there, or the object cannot be called.
    """
    file_text, _, name = spec.rpartition(":")
    path = find(file_text, base, f"'{spec}'")
    if path.resolve() in _reading:
        raise _BeginsTraining  # the file asks for itself, for what it has defined by now
    source = path.read_text(encoding="utf-8")
    if is_lost(source):
        lost = f"'{name}' cannot be read back from {path}: {source.partition(chr(10))[0].removeprefix(_LOST)}"
        return Own(name, _raising(lost), source, spec, lost)
    module_spec = importlib.util.spec_from_file_location(f"rung_own_{path.stem}", path)
    if module_spec is None or module_spec.loader is None:
        raise RecipeError(f"'{spec}': {path} is not a Python file")
    module = importlib.util.module_from_spec(module_spec)
    sys.modules[module_spec.name] = module  # so that inspect and dataclasses find the module of what it defines
    _reading.append(path.resolve())
    try:
        module_spec.loader.exec_module(module)
    except _BeginsTraining:
        pass
    except Exception as error:
        raise RecipeError(f"'{spec}': running {path} failed with {type(error).__name__}: {error}{line(error)}") from error
    finally:
        _reading.pop()
    if not hasattr(module, name):
        raise RecipeError(f"{path} defines no '{name}': {did_you_mean(name, [n for n in vars(module) if not n.startswith('_')])}")
    call = getattr(module, name)
    if not callable(call):
        raise RecipeError(f"'{spec}' is {type(call).__name__}, not something to call")
    return Own(name, call, source, spec)


def _raising(sentence: str) -> Callable[..., NoReturn]:
    def refuse(*_: Any, **__: Any) -> NoReturn:
        raise RecipeError(sentence)

    return refuse


def stop_if_read() -> None:
    """End the reading of an own file, if one is being read: called by whatever begins a training, which would else begin itself again and again."""
    if _reading:
        raise _BeginsTraining


def wrap(call: Callable[..., Any]) -> Own:
    """Take an object passed in Python, with the source from which a run can read it back, or the reason why there is none.

    Raises: RecipeError for a lambda, which no file could name.
    """
    stop_if_read()
    name = getattr(call, "__name__", type(call).__name__)
    if name == "<lambda>":
        raise RecipeError("a lambda has no name by which the run could keep it: write it as def name(..): ..")
    return Own(name, call, _source(call, name), f"{name}.py:{name}")


def _source(call: Callable[..., Any], name: str) -> str:
    """Return the text of a file that defines `call` under its name, or a line that says why there is none."""
    again = "define it as a function or class of its own in a .py file, and train again"
    if not (inspect.isroutine(call) or inspect.isclass(call)):
        return f"{_LOST}it was passed in Python as a made object, and no file says how {type(call).__name__} was made; {again}\n"
    module = inspect.getmodule(call)
    if module is None or getattr(module, name, None) is not call:
        return f"{_LOST}it was passed in Python, and no file has it under its name ({getattr(call, '__qualname__', name)}); {again}\n"
    if module.__name__ != "__main__" and _is_library(getattr(module, "__file__", None) or ""):
        return f"from {module.__name__} import {name}\n"
    try:
        return inspect.getsource(module)
    except (OSError, TypeError):
        return f"{_LOST}it was passed in Python, typed at a prompt or in a notebook; {again}\n"


def number(name: str, found: Any) -> float:
    """Return what an own metric gave, as a number.

    Raises: RecipeError if it is not one, or not finite.
    """
    if callable(getattr(found, "item", None)) and getattr(found, "ndim", 1) == 0:
        found = found.item()  # a NumPy or torch number
    if isinstance(found, bool) or not isinstance(found, Real):
        raise RecipeError(f"your metric '{name}' returned {_shown(found)}, expected one number")
    if not math.isfinite(found):
        raise RecipeError(f"your metric '{name}' returned {found}, expected a finite number: return one where it is not defined, such as 0.0")
    return float(found)


def wants_to_stop(name: str, found: Any) -> bool:
    """Return whether an own callback asked to stop.

    Raises: RecipeError if it gave anything but true, false or nothing.
    """
    if callable(getattr(found, "item", None)) and getattr(found, "ndim", 1) == 0:
        found = found.item()
    if found is not None and not isinstance(found, bool):
        raise RecipeError(f"your callback '{name}' returned {_shown(found)}: return True to stop, False or nothing to go on")
    return bool(found)


def _shown(found: Any) -> str:
    return f"{' '.join(repr(found).split()):.80}"


def line(error: BaseException) -> str:
    """Return ", at file.py:12", the innermost line of the user's on the way to an error; empty where there is none."""
    places = [f"{frame.f_code.co_filename}:{number}" for frame, number in traceback.walk_tb(error.__traceback__) if not _is_library(frame.f_code.co_filename)]
    return f", at {places[-1]}" if places else ""


def _is_library(file: str) -> bool:
    """Return whether a file is rung's, Python's or an installed package's."""
    return not file or file.startswith(_OUTSIDE) or any(folder in Path(file).parts for folder in _LIBRARIES)
