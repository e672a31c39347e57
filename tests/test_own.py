import json
import re
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from torch import nn
from torch.nn import functional

from rung import own
from rung.errors import RecipeError


def a_function() -> int:
    return 42


def test_a_name_in_a_file_is_loaded_with_its_source(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("def twice(x):\n    return 2 * x\n")
    part = own.load("mine.py:twice", tmp_path)
    assert part.call(21) == 42
    assert part.source.startswith("def twice")
    assert part.name == "twice"


@pytest.mark.parametrize("begins", ["own.wrap(twice)", "ImageClassifier().fit([], [])", "train('digits')", "resume('r')", "test('r')"])
def test_a_script_that_begins_a_training_is_read_up_to_there(tmp_path: Path, begins: str) -> None:
    script = (
        f"from rung import ImageClassifier, own, resume, test, train\ndef twice(x):\n    return 2 * x\ntry:\n    {begins}\nexcept Exception:\n    pass\n1 / 0\n"
    )
    (tmp_path / "mine.py").write_text(script)
    assert own.load("mine.py:twice", tmp_path).call(21) == 42
    own.stop_if_read()  # nothing is being read any more


@pytest.mark.parametrize(
    ("content", "spec", "words"),
    [
        (None, "mine.py:twice", r"asks for the file mine.py, which is not in"),
        ("def twise(x): ...", "mine.py:twice", "defines no 'twice': did you mean 'twise'"),
        ("twice = 3", "mine.py:twice", "'mine.py:twice' is int, not something to call"),
        ("1 / 0", "mine.py:twice", "failed with ZeroDivisionError: division by zero"),
        ("def twice(:", "mine.py:twice", "failed with SyntaxError"),
    ],
)
def test_what_cannot_be_loaded_is_said(tmp_path: Path, content: str | None, spec: str, words: str) -> None:
    if content is not None:
        (tmp_path / "mine.py").write_text(content)
    with pytest.raises(RecipeError, match=words):
        own.load(spec, tmp_path)


def test_what_was_passed_in_python_keeps_its_source(tmp_path: Path) -> None:
    part = own.wrap(a_function)
    assert "def a_function" in part.source
    assert part.origin == "a_function.py:a_function"
    (tmp_path / "a_function.py").write_text(part.source)
    assert own.load(part.origin, tmp_path).call() == 42


def test_what_a_library_defines_is_read_back_from_it(tmp_path: Path) -> None:
    part = own.wrap(functional.cross_entropy)
    (tmp_path / "cross_entropy.py").write_text(part.source)
    assert own.load(part.origin, tmp_path).call is functional.cross_entropy


def inside() -> Callable[..., Any]:
    def inner() -> None: ...

    return inner


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (
            nn.Sequential(nn.Flatten()),
            "'Sequential' cannot be read back from .*: it was passed in Python as a made object, and no file says how Sequential was",
        ),
        (partial(a_function), "as a made object, and no file says how partial was made"),
        (inside(), r"'inner' cannot be read back from .*no file has it under its name \(inside.<locals>.inner\); define it as a function"),
        ([].append, r"no file has it under its name \(list.append\)"),
    ],
    ids=["made", "partial", "inside", "method"],
)
def test_what_no_file_can_give_back_is_used_and_said_when_it_is_missed(made: Callable[..., Any], words: str, tmp_path: Path) -> None:
    part = own.wrap(made)
    assert (part.call, part.lost) == (made, "")
    (tmp_path / "lost.py").write_text(part.source)
    found = own.load(f"lost.py:{part.name}", tmp_path)
    assert re.search(words, found.lost)
    with pytest.raises(RecipeError, match=words):
        found()


def test_what_was_typed_at_a_prompt_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    main = ModuleType("__main__")
    monkeypatch.setitem(sys.modules, "__main__", main)
    exec("def typed(): ...", main.__dict__)
    (tmp_path / "typed.py").write_text(own.wrap(main.typed).source)
    assert "it was passed in Python, typed at a prompt or in a notebook; define it" in own.load("typed.py:typed", tmp_path).lost


def test_a_file_that_asks_for_itself_is_read_up_to_there(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("from rung import own\ndef twice(x):\n    return 2 * x\nown.load('mine.py:twice', own.Path(__file__).parent)\n1 / 0\n")
    assert own.load("mine.py:twice", tmp_path).call(21) == 42


def test_an_error_names_the_users_innermost_line() -> None:
    def broken(value: str) -> None:
        json.loads(value)

    with pytest.raises(ValueError, match="Expecting value") as error:
        broken("?")
    assert own.line(error.value) == f", at {__file__}:{broken.__code__.co_firstlineno + 1}"
    assert own.line(ValueError()) == ""
