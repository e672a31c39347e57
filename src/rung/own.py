"""A user's own network, loss, metric, augmentation or callback: loaded from `file.py:name`, its source kept with the run."""

from __future__ import annotations

import importlib.util
import inspect
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rung.errors import RecipeError, did_you_mean

_reading: list[Path] = []  # own files that are being run now, the innermost last


class _BeginsTraining(BaseException):
    """Ends the reading of a file that begins a training itself; no `except Exception` of the file may hold it up."""


@dataclass(frozen=True)
class Own:
    """One object of the user's: what it is called, the object, and the source text it came from."""

    name: str
    call: Callable[..., Any]
    source: str
    origin: str


def is_own(text: str) -> bool:
    """Tell whether a recipe's word means a user's object: file.py:name."""
    return ".py:" in text


def load(spec: str, base: Path | None = None) -> Own:
    """Load `file.py:name`; a relative file is looked for in `base` (the recipe's folder), then in the working folder.

    This runs the file: it is the user's own code. A script that begins a training itself, without `if __name__ == "__main__"`, is run up to
    there only: what it gave to that training it has defined by then.

    Raises: RecipeError if the file or the name is not there, or the object cannot be called.
    """
    file_text, _, name = spec.rpartition(":")
    candidates = [folder / file_text for folder in (base, Path.cwd()) if folder is not None]
    path = next((c for c in candidates if c.is_file()), None)
    if path is None:
        raise RecipeError(f"'{spec}' asks for the file {file_text}, which is not in {' or '.join(str(c.parent) for c in candidates)}")
    module_spec = importlib.util.spec_from_file_location(f"rung_own_{path.stem}", path)
    if module_spec is None or module_spec.loader is None:
        raise RecipeError(f"'{spec}': {path} is not a Python file")
    module = importlib.util.module_from_spec(module_spec)
    sys.modules[module_spec.name] = module  # so that inspect and dataclasses find the module of what it defines
    _reading.append(path)
    try:
        module_spec.loader.exec_module(module)
    except _BeginsTraining:
        pass
    except Exception as error:
        raise RecipeError(f"'{spec}': running {path} failed with {type(error).__name__}: {error}") from error
    finally:
        _reading.pop()
    if not hasattr(module, name):
        raise RecipeError(f"{path} defines no '{name}': {did_you_mean(name, [n for n in vars(module) if not n.startswith('_')])}")
    call = getattr(module, name)
    if not callable(call):
        raise RecipeError(f"'{spec}' is {type(call).__name__}, not something to call")
    return Own(name, call, path.read_text(encoding="utf-8"), spec)


def stop_if_read() -> None:
    """End the reading of an own file, if one is being read: called by whatever begins a training, which would else begin itself again and again."""
    if _reading:
        raise _BeginsTraining


def wrap(call: Callable[..., Any]) -> Own:
    """Take an object passed in Python; its source is read back where Python can (not for what was typed at a prompt).

    Raises: RecipeError for a lambda, which no file could name.
    """
    stop_if_read()
    name = getattr(call, "__name__", type(call).__name__)
    if name == "<lambda>":
        raise RecipeError("a lambda has no name by which the run could keep it: write it as def name(..): ..")
    kind = call if inspect.isroutine(call) or inspect.isclass(call) else type(call)
    try:
        source = inspect.getsource(inspect.getmodule(kind) or kind)
    except (OSError, TypeError):
        source = f"# {name}: its source could not be read; it was made at a prompt or by exec.\n"
    return Own(name, call, source, f"{name}.py:{name}")
