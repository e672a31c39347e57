"""Arguments of a wrong type are refused in one sentence, before anything is done; one path stands for a list of one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rung
from rung import workbench

ANY: Any = rung  # what is called wrongly here, a type checker refuses


@pytest.mark.parametrize(
    ("call", "kind", "sentence"),
    [
        (lambda: ANY.train(3), rung.DataError, "rung.train: data is 3 (int): expected the name or path of data, a list of them, or an ImageSet"),
        (lambda: ANY.train(["digits", 3]), rung.DataError, "rung.train: data is ['digits', 3] (list): expected the name"),
        (lambda: ANY.train(np.zeros((2, 8, 8))), rung.DataError, "images in memory become one by rung.from_arrays"),
        (lambda: ANY.train("digits", 5), rung.RecipeError, "rung.train: recipe is 5 (int): expected the name of a recipe, a recipe.toml"),
        (
            lambda: ANY.train("digits", settings=["epochs"]),
            rung.RecipeError,
            "settings is ['epochs'] (list): expected a dictionary such as {'train.epochs': 5}",
        ),
        (lambda: ANY.train("digits", settings={5: 3}), rung.RecipeError, "settings is {5: 3} (dict): expected a dictionary"),
        (lambda: ANY.train("digits", name=5), rung.RunError, "rung.train: name is 5 (int): expected a word for the run's folder"),
        (lambda: ANY.train("digits", out=5), rung.RunError, "rung.train: out is 5 (int): expected the path of a folder of runs"),
        (lambda: ANY.train("digits", metrics="mine.py:f"), rung.RecipeError, "metrics is 'mine.py:f' (str): expected a list of your own functions"),
        (lambda: ANY.train("digits", observe=5), rung.RunError, "observe is 5 (int): expected a function"),
        (lambda: ANY.train("digits", checkpoint_s="x"), rung.RunError, "checkpoint_s is 'x' (str): expected a number of seconds"),
        (lambda: ANY.load("digits", 5), rung.DataError, "rung.load: sources is ('digits', 5) (tuple): expected names or paths of data"),
        (lambda: ANY.describe(5), rung.DataError, "rung.describe: data is 5 (int)"),
        (lambda: ANY.check(5), rung.DataError, "rung.check: data is 5 (int)"),
        (lambda: ANY.preflight(5), rung.DataError, "rung.preflight: data is 5 (int)"),
        (lambda: ANY.load_recipe(5), rung.RecipeError, "rung.load_recipe: name is 5 (int)"),
        (lambda: ANY.new(5), rung.RunError, "rung.new: path is 5 (int): expected the path of the file to write"),
        (lambda: ANY.resume("first", data="digits"), rung.DataError, "rung.resume: data is 'digits' (str): expected the ImageSet"),
        (lambda: ANY.cache(unused_days="x"), rung.RunError, "rung.cache: unused_days is 'x' (str): expected a number of days"),
        (lambda: ANY.runs(None), rung.RunError, "rung.runs: out is None (NoneType): expected the path of a folder of runs"),
        (lambda: ANY.verify_ledger(5), rung.RunError, "rung.verify_ledger: out is 5 (int)"),
        (lambda: ANY.predict("first", [5]), rung.DataError, "files is [5] (list): expected the path of an image or of a folder, or a list of such paths"),
        *[(lambda verb=verb: getattr(ANY, verb)(5), rung.RunError, f"rung.{verb}: run is 5 (int): expected a Run") for verb in ("test", "report", "findings")],
    ],
)
def test_a_wrong_type_is_one_sentence(
    call: Callable[[], object], kind: type[rung.RungError], sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(kind) as found:
        call()
    assert type(found.value) is kind
    assert sentence in str(found.value)
    assert not list(tmp_path.iterdir())


def test_python_itself_says_what_argument_is_missing_or_unknown() -> None:
    with pytest.raises(TypeError, match=r"train\(\) missing 1 required positional argument: 'data'"):
        ANY.train()
    with pytest.raises(TypeError, match=r"test\(\) got an unexpected keyword argument 'seed'"):
        ANY.test("first", seed=3)


@pytest.mark.parametrize("files", ["3.png", Path("3.png"), ["3.png"], (path for path in ["3.png"])], ids=lambda files: type(files).__name__)
def test_predict_takes_one_path_or_several(files: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from rung.pipeline import predicting

    monkeypatch.setattr(workbench, "_finished", lambda run, out: run)
    monkeypatch.setattr(predicting, "answer_files", lambda run, paths, progress: paths)
    assert ANY.predict("first", files) == [Path("3.png")]
