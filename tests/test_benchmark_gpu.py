"""The benchmark of a GPU on the processor, at tiny size; airbench is stood in for by a script with the same two names."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks import gpu, gpu_airbench, gpu_runs, spreads

STAND_IN = """
import sys
import torch

with open(sys.argv[0]) as file:
    code = file.read()


class CifarNet(torch.nn.Linear):
    def __init__(self):
        super().__init__(2, 2)


def main(run, model):
    for part in ("train", "test"):
        held = torch.load(f"cifar10/{part}.pt")
        assert held["images"].dtype == torch.uint8 and held["images"].ndim == 4 and len(held["labels"]) == len(held["images"])
    print("|       1  |      0  |     0.5000  |   0.5000  |               |        1.0000  |")
    print("|          |   eval  |     0.5000  |   0.5000  |       0.9400  |        2.5900  |")
    return 0.94
"""


@pytest.fixture
def stand_in(tmp_path: Path) -> Path:
    path = tmp_path / "airbench94_muon.py"
    path.write_text(STAND_IN)
    return path


@pytest.mark.timeout(600)  # three processes that import torch
def test_the_whole_way_at_tiny_size(stand_in: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu, "between", None)  # nothing is written
    assert gpu.main(["--tiny", "--runs", "2", "--airbench", str(stand_in)]) == 0
    out = capfd.readouterr().out.splitlines()
    ours, theirs = (json.loads(line) for line in out[:2])
    assert (ours["system"], theirs["system"]) == ("rung", "airbench94_muon")
    assert [len(ours["test"]), len(ours["seconds"])] == [2, 2]
    assert 0 < ours["seconds"][0] < ours["cold_s"]
    assert set(ours["models_an_hour"]) == {"1", "2"}
    assert (theirs["test"], theirs["seconds"]) == ([94.0, 94.0], [2.59, 2.59])
    assert ours["device"] == "processor"
    assert [line.split(" | ")[1] for line in out[4:]] == ["rung", "airbench94_muon"]


def test_without_a_gpu_it_says_so_and_ends_with_2(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert gpu.main([]) == 2
    assert capsys.readouterr().err == "this needs an NVIDIA GPU, and torch sees none here; --tiny goes the same way on the processor, without figures\n"


def test_a_file_that_is_not_there_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        gpu.main(["--tiny", "--airbench", str(tmp_path / "none.py")])
    assert ended.value.code == 2
    assert "none.py is no file" in capsys.readouterr().err


@pytest.mark.parametrize("name", gpu.TARGETS)
def test_the_settings_of_each_target_make_a_recipe(name: str) -> None:
    from rung import recipe
    from rung.models.build import build
    from rung.recipes.fast import fast

    target = gpu.TARGETS[name]
    made = recipe.change(fast(), target.settings)
    network = build(made.network, classes=100 if target.data == "cifar100" else 10, channels=3, size=32, seed=0)
    for side in made.augment.rising_sizes:
        assert network.eval()(torch.zeros(2, 3, side, side)).shape[0] == 2
    assert made.augment.rising_sizes[-1] == 32


def row(**changes: Any) -> dict[str, Any]:
    figures = {"test": [94.1, 94.3], "seconds": [1.0, 1.2], "models_an_hour": {"1": 3000}}
    facts = {"device": "NVIDIA X", "torch": "2.15.0", "cold_s": 12.5, "notes": [], "date": "2026-11-21"}
    return {"target": "CIFAR-10 94 %", "wanted": 94.0, "system": "rung"} | figures | facts | changes


def test_the_table_says_what_was_not_reached_and_what_was_not_captured() -> None:
    assert gpu.table([]) == "Not measured: no GPU was at hand."
    lines = gpu.table([row(), row(test=[93.0, 93.2], notes=["each step is slow"], models_an_hour={"1": 3000, "4": 6500})]).splitlines()
    assert lines[2] == "| CIFAR-10 94 % | rung | 2 | 94.20 | 92.93..95.47 | 1.100 | -0.171..2.371 | 12.5 | 1: 3,000 | NVIDIA X | 2.15.0 | 2026-11-21 |"
    assert "| rung (each step is slow) | 2 | 93.10, not reached |" in lines[3]
    assert "1: 3,000, 4: 6,500" in lines[3]
    assert spreads.interval([1.0]) == ""


def test_a_script_that_is_not_airbench_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["x"])
    other = tmp_path / "other.py"
    other.write_text("CifarNet = None\n")
    with pytest.raises(SystemExit, match=r"other\.py has no main: give the path of airbench94_muon\.py"):
        gpu_airbench.load(other)
    with pytest.raises(SystemExit, match="is no Python file"):
        gpu_airbench.load(tmp_path / "none.py")
    with pytest.raises(SystemExit, match="the script printed no row `eval`"):
        gpu_airbench.seconds("|  1  |  0.5  |")


def test_the_same_seed_gives_the_same_accuracy() -> None:
    target = gpu.TINY["digits, tiny"]
    begun = gpu_runs.prepared(target.data, "cpu", target.settings | {"train.epochs": 3})
    training, test = begun.training(), begun.part("test")
    with gpu_runs.borrowed(begun):
        first, other, again = (gpu_runs.run(begun, training, test, seed) for seed in (1, 2, 1))
    assert first["accuracy"] == again["accuracy"] > 15
    assert first["seconds"] > 0
    assert other["notes"] == []


def test_models_an_hour_counts_all_of_those_that_train_together() -> None:
    class Quick:
        sent = 0

        def send(self, seed: float) -> None:
            self.sent += 1

        def receive(self) -> dict[str, Any]:
            return {}

    both: list[Any] = [Quick(), Quick()]
    assert gpu.models_an_hour(both, 5) > 3600
    assert [one.sent for one in both] == [3, 3]


def test_nothing_asked_for_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        gpu.main(["--tiny", "--runs", "0"])
    assert "--runs must be 1 or more" in capsys.readouterr().err
