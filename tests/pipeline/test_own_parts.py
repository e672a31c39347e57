"""The user's own code where it fails: one error with the part, the line and what to do, and a run that goes on once it is mended."""

import json
from pathlib import Path
from typing import Any

import pytest

import rung
from benchmarks.torture.runs import small
from rung import recipe as recipes
from rung.errors import RecipeError, RunError
from rung.store.run import Run

MINE = """
import torch
from torch import nn


def late(images):
    return len(images) > 2  # the trial before a run gives two


def callback(end):
    if end.epoch == 2:
        raise ValueError("broke")  # here


def loss(logits, targets):
    if late(logits):
        raise ValueError("broke")  # here
    return nn.functional.cross_entropy(logits, targets, reduction="none")


def metric(probabilities, labels):
    metric.calls = getattr(metric, "calls", 0) + 1
    if metric.calls > 2:
        raise ValueError("broke")  # here
    return 0.5


def augmentation(images, keys):
    if late(images):
        raise ValueError("broke")  # here
    return images


class Network(nn.Module):
    def __init__(self, classes, channels, size):
        super().__init__()
        self.head = nn.Linear(channels * size * size, classes)

    def forward(self, images):
        if late(images):
            raise ValueError("broke")  # here
        return self.head(images.flatten(1))


def undefined(probabilities, labels):
    undefined.calls = getattr(undefined, "calls", 0) + 1
    return 0.5 if undefined.calls < 3 else float("nan")  # here


def number(end):
    return end.row["train_loss"]  # here
"""
PARTS: dict[str, dict[str, Any]] = {
    "callback": {"train.callbacks": ["mine.py:callback"]},
    "loss": {"train.loss": "mine.py:loss"},
    "metric": {"train.metrics": ["mine.py:metric"]},
    "augmentation": {"augment.own": ["mine.py:augmentation"]},
    "network": {"network.kind": "own", "network.source": "mine.py:Network"},
}
SPOILT = {
    "undefined": ({"train.metrics": ["mine.py:undefined"]}, "your metric 'undefined' returned nan, expected a finite number: return one where it is"),
    "number": ({"train.callbacks": ["mine.py:number"]}, r"your callback 'number' returned \d.*: return True to stop, False or nothing to go on"),
}


def train(folder: Path, settings: dict[str, Any]) -> Run:
    """Train in folder/r with the parts of folder/mine.py."""
    (folder / "mine.toml").write_text(recipes.to_toml(recipes.change(small(), settings)))
    return rung.train(folder / "mine.toml", out=folder, name="r")


@pytest.mark.parametrize("kind", PARTS)
def test_own_code_that_fails_in_a_run_is_named_and_mended_the_run_goes_on(kind: str, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(MINE)
    copy = tmp_path / "r" / "source" / "mine.py"
    what = rf"your {kind} '\w+' raised ValueError: broke, at {tmp_path}/mine.py:\d+"
    with pytest.raises(RunError, match=rf"^{what}\. Mend it in {copy}, the copy that the run reads, then: rung resume {tmp_path}/r$") as said:
        train(tmp_path, PARTS[kind])
    line = int(str(said.value).split("mine.py:")[1].split(".")[0])
    assert MINE.splitlines()[line - 1].endswith("# here")
    run = Run(tmp_path / "r")
    failure = json.loads(run.failure.read_text())
    assert (failure["message"], failure["exit_code"]) == (str(said.value), 2)
    assert run.state() == "failed"
    copy.write_text(MINE.replace('raise ValueError("broke")', "pass"))
    rung.resume(run)
    assert run.state() == "finished"


@pytest.mark.parametrize("name", SPOILT)
def test_own_code_that_returns_nonsense_in_a_run_is_named_and_mended_the_run_goes_on(name: str, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(MINE)
    settings, words = SPOILT[name]
    with pytest.raises(RunError, match=rf"^{words}.*\. Mend it below {tmp_path}/r/source, the copies that the run reads, then: rung resume {tmp_path}/r$"):
        train(tmp_path, settings)
    (tmp_path / "r" / "source" / "mine.py").write_text(MINE.replace('float("nan")', "0.5").replace('return end.row["train_loss"]', "return None"))
    rung.resume(tmp_path / "r")
    assert Run(tmp_path / "r").state() == "finished"


EARLY = {
    "def f(p, labels): return float('nan')": ("metric", RecipeError, "your metric 'f' returned nan, expected a finite number"),
    "def f(p, labels): return 'high'": ("metric", RecipeError, "your metric 'f' returned 'high', expected one number"),
    "def f(p, labels): return p.mean(0)": ("metric", RecipeError, r"your metric 'f' returned array\(\[.*, expected one number"),
    "def f(p, labels): return p[11, 11]": ("metric", RunError, r"your metric 'f' raised IndexError: .*, at .*mine.py:1\. Mend it, then try again$"),
    "def f(epoch, row): ...": ("callback", RecipeError, r"your callback 'f' must take one argument, the end of an epoch \(missing .*'row'\)"),
    "def f(images, keys): return images[3]": ("augmentation", RunError, r"your augmentation 'f' raised IndexError: .* at .*mine.py:1\. Mend it"),
    "def f(logits, labels): return logits + {}": ("loss", RunError, r"your loss 'f' raised TypeError: .* at .*mine.py:1\. Mend it, then try again$"),
    "def f(logits, labels): return logits.detach().sum(1)": ("loss", RunError, r"the backward pass through your loss 'f' raised RuntimeError: .*\. Mend"),
    "def f(logits, labels): return logits.mean()": ("weighted", RecipeError, r"'f' returned one number for 2 images.*return one loss a row, shape \(2,\)"),
}


@pytest.mark.parametrize("code", EARLY)
def test_own_code_that_fails_when_tried_is_refused_before_there_is_a_run(code: str, tmp_path: Path) -> None:
    kind, error, words = EARLY[code]
    (tmp_path / "mine.py").write_text(code)
    fields = {"metric": "train.metrics", "callback": "train.callbacks", "augmentation": "augment.own"}
    weights = {"train.class_weights": "balanced"} if kind == "weighted" else {}
    with pytest.raises(error, match=words):
        train(tmp_path, {fields[kind]: ["mine.py:f"]} if kind in fields else {"train.loss": "mine.py:f"} | weights)
    assert not (tmp_path / "r").exists()


def test_a_cost_table_is_looked_for_beside_its_recipe_and_kept_with_the_run(tmp_path: Path) -> None:
    names = [str(label) for label in range(10)]
    lines = [",".join(["true", *names]), *(",".join([true, *("0" if true == answered else "2" for answered in names)]) for true in names)]
    (tmp_path / "beside").mkdir()
    (tmp_path / "beside" / "costs.csv").write_text("\n".join(lines))
    (tmp_path / "beside" / "mine.toml").write_text(recipes.to_toml(recipes.change(small(), {"costs": "costs.csv"})))
    run = rung.train(tmp_path / "beside" / "mine.toml", out=tmp_path, name="first")
    cost = run.read_scores()["validation"]["cost"]["value"]
    assert cost == pytest.approx(2 * (1 - run.read_scores()["validation"]["accuracy"]["value"]))
    assert 'costs = "source/costs.csv"' in run.read_recipe()
    (tmp_path / "beside" / "costs.csv").unlink()
    again = rung.train(run.recipe, out=tmp_path, name="again")
    assert again.read_scores() == run.read_scores()
    assert rung.test(again).scores.cost is not None


def test_a_cost_table_that_is_not_there_is_said_with_both_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "beside").mkdir()
    (tmp_path / "beside" / "mine.toml").write_text(recipes.to_toml(recipes.change(small(), {"costs": "costs.csv"})))
    with pytest.raises(RecipeError, match=r"costs = 'costs.csv' asks for the file costs.csv, which is not in beside or " + str(tmp_path)):
        rung.train(Path("beside/mine.toml"), out=tmp_path)
