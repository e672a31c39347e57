"""Files from strangers: none runs, none leaves its place, each is refused in one sentence; nothing is unpickled but in one module."""

from __future__ import annotations

import ast
import contextlib
import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import rung
from benchmarks.torture import hostile

SOURCE = Path(rung.__file__).parent
PICKLES = SOURCE / "data" / "formats" / "pickles.py"
FILES = sorted(SOURCE.rglob("*.py"))
AT_LEAST = {"pickles": 200, "archives": 60, "arrays": 90, "tensors": 35}


@pytest.mark.parametrize("kind", hostile.KINDS)
def test_hostile_files_run_nothing_and_are_refused_in_one_sentence(kind: str, tmp_path: Path) -> None:
    tally = hostile.attacks(tmp_path, kind)
    assert tally.failures == []
    assert tally.total >= AT_LEAST[kind]


def test_a_file_that_is_read_or_does_something_is_not_taken_for_refused(tmp_path: Path) -> None:
    """The proof itself can fail."""
    mark, good = tmp_path / "mark", pickle.dumps({b"data": np.arange(4, dtype=np.uint8)}, 2)
    assert hostile.judge("pickles", "good", good, tmp_path / "a", mark) == "good, given to read_pickle: was read"

    def writes() -> None:
        mark.write_text("x")
        raise rung.errors.DataError(f"{tmp_path} is refused")

    def lives() -> None:
        raise rung.errors.DataError(f"{tmp_path} is refused")

    def talks() -> None:
        raise rung.errors.DataError(f"{tmp_path} is refused\nbut trust it")

    assert hostile.refused(lives, str(tmp_path), tmp_path, mark) is None
    assert "one sentence" in str(hostile.refused(talks, str(tmp_path), tmp_path, mark))
    assert "one sentence" in str(hostile.refused(lives, "another", tmp_path, mark))
    assert "did open" in str(hostile.refused(writes, str(tmp_path), tmp_path, mark))
    assert hostile.refused(lives, str(tmp_path), tmp_path, mark) == "left something behind"
    assert "ended with ZeroDivisionError" in str(hostile.refused(lambda: 1 / 0, str(tmp_path), tmp_path, mark))


def test_the_audit_hears_of_programs_files_and_imports(tmp_path: Path) -> None:
    acts = {
        "subprocess.Popen": lambda: subprocess.run([sys.executable, "-c", ""], check=True),
        "os.mkdir": lambda: (tmp_path / "x").mkdir(),
        "open": lambda: (tmp_path / "y").write_text("y"),
        "import": lambda: __import__("this_module_is_not_there"),
        "exec": lambda: exec("1"),
    }
    for event, act in acts.items():
        with hostile.watching() as heard, contextlib.suppress(ImportError):
            act()
        assert any(line.startswith(event) for line in heard), event
    with hostile.watching() as heard:
        os.listdir(tmp_path)
        (tmp_path / "y").read_text()
    assert heard == []


def unpickles(tree: ast.AST) -> Iterator[str]:
    """Give each way in which a module could unpickle: an import, a call that unpickles, an argument that lets it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or "", *(alias.name for alias in node.names)]
            yield from (f"import {name}" for name in names if name.split(".")[0] in {"pickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"})
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            called = ast.unparse(node.func)
            given = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
            if called in {"torch.load", "torch.jit.load", "torch.hub.load"} or node.func.attr in {
                "read_pickle",
                "load_from_checkpoint",
                "load_state_dict_from_url",
            }:
                yield called
            if called in {"np.load", "numpy.load", "np.lib.format.read_array", "format.read_array"} and given.get("allow_pickle") != "False":
                yield called
            yield from (f"{name}={value}" for name, value in given.items() if (name, value) in {("weights_only", "False"), ("allow_pickle", "True")})


@pytest.mark.parametrize("path", FILES, ids=[str(path.relative_to(SOURCE)) for path in FILES])
def test_nothing_is_unpickled_but_in_one_module(path: Path) -> None:
    found = list(unpickles(ast.parse(path.read_text())))
    if path == PICKLES:
        assert found == ["import pickle"]
        assert "pickle.load" not in path.read_text(), "only the restricted unpickler reads"
    else:
        assert found == []


@pytest.mark.parametrize(
    "code",
    [
        "import pickle", "import a, _pickle", "from pickle import loads", "from joblib import load", "torch.load(f)", "x.load(f, weights_only=False)",
        "np.load(f)", "np.load(f, allow_pickle=True)", "np.lib.format.read_array(f)", "pd.read_pickle(f)", "pandas.read_pickle(f)", "import cloudpickle.x",
        "import marshal", "torch.hub.load(a, b)",
    ],
)  # fmt: skip
def test_each_way_to_unpickle_is_seen(code: str) -> None:
    assert list(unpickles(ast.parse(code)))
    assert not list(unpickles(ast.parse("np.load(f, allow_pickle=False); json.load(f); safetensors.torch.load(f)")))
