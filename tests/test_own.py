from pathlib import Path

import pytest

from rung import own
from rung.errors import RecipeError


def test_a_name_in_a_file_is_loaded_with_its_source(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("def twice(x):\n    return 2 * x\n")
    part = own.load("mine.py:twice", tmp_path)
    assert part.call(21) == 42
    assert part.source.startswith("def twice")
    assert part.name == "twice"


@pytest.mark.parametrize("begins", ["own.wrap(twice)", "ImageClassifier().fit([], [])"])
def test_a_script_that_begins_a_training_is_read_up_to_there(tmp_path: Path, begins: str) -> None:
    script = f"from rung import ImageClassifier, own\ndef twice(x):\n    return 2 * x\ntry:\n    {begins}\nexcept Exception:\n    pass\n1 / 0\n"
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


def test_what_was_passed_in_python_keeps_its_source() -> None:
    part = own.wrap(test_what_was_passed_in_python_keeps_its_source)
    assert "def test_what_was_passed_in_python_keeps_its_source" in part.source
    assert part.origin == "test_what_was_passed_in_python_keeps_its_source.py:test_what_was_passed_in_python_keeps_its_source"


def test_a_source_that_python_lost_is_said_to_be_lost() -> None:
    namespace: dict[str, object] = {}
    exec("def made(x): return x", namespace)
    assert "could not be read" in own.wrap(namespace["made"]).source  # type: ignore[arg-type]
