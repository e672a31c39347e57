"""Several runs as one: the mean it says it is, everything a run can do, and what is refused."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from PIL import Image
from torch import nn

import rung
from rung.errors import RecipeError, RunError
from rung.evaluate import predictions as answers
from rung.evaluate.ensemble import Ensemble, mean_weights
from rung.pipeline.predicting import trained_network
from rung.pipeline.ready import ready_again
from rung.pipeline.reporting import read_recipe
from rung.training.settle import settle_norms
from tests.command import Rung, caller
from tests.study.conftest import THIN

MEMBERS = ["thin-0", "thin-1", "wide-0"]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Rung:
    return caller(monkeypatch, capsys)


@pytest.fixture(scope="module")
def root(few_runs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The runs, an ensemble of three of them, and the mean of the weights of two."""
    folder = tmp_path_factory.mktemp("ensembles") / "runs"
    shutil.copytree(few_runs, folder)
    rung.ensemble(MEMBERS, name="together", out=folder)
    rung.ensemble(["thin-0", "thin-1"], average="weights", name="weights", out=folder)
    return folder


def probabilities(root: Path, name: str, part: str) -> np.ndarray:
    return answers.load(rung.Run(root / name).predictions(part)).probabilities()


@pytest.mark.parametrize("part", ["train", "validation"])
def test_its_answers_are_the_mean_of_the_probabilities(root: Path, part: str) -> None:
    mean = np.mean([probabilities(root, name, part) for name in MEMBERS], axis=0)
    assert probabilities(root, "together", part) == pytest.approx(mean, abs=1e-6)


def test_the_network_of_the_run_gives_the_answers_that_it_kept(root: Path) -> None:
    run = rung.Run(root / "together")
    prepared = ready_again(run, None, None)
    from rung.pipeline.execute import predict_part

    again = predict_part(prepared, trained_network(run, prepared.recipe), "validation")
    assert again.probabilities() == pytest.approx(probabilities(root, "together", "validation"), abs=2e-3)


def test_it_predicts_what_its_members_predict_on_the_mean(root: Path, tmp_path: Path) -> None:
    digits = rung.load("digits")
    Image.fromarray(digits.images[7, :, :, 0]).save(tmp_path / "digit.png")
    each = [rung.predict(name, tmp_path / "digit.png", out=root)[0].probabilities for name in MEMBERS]
    together = rung.predict("together", tmp_path / "digit.png", out=root)[0].probabilities
    assert together == pytest.approx({name: np.mean([one[name] for one in each]) for name in together}, abs=1e-6)


def test_it_is_listed_tested_reported_and_resumed_as_finished(root: Path) -> None:
    listed = {one.run.id: one for one in rung.runs(root)}
    assert (listed["together"].state, listed["together"].problem, listed["together"].epochs_planned) == ("finished", None, None)
    _, said = rung.resume("together", out=root)
    assert said == ["together is finished: nothing to do"]
    opening = rung.test("together", out=root)
    assert opening.scores.images > 0
    found = rung.findings("together", out=root)
    assert "the mean of the probabilities of 3 runs: “thin-0”, “thin-1” and “wide-0”" in found[0]
    page = rung.report("together", out=root).read_text()
    assert "rung ensemble thin-0 thin-1 wide-0" in page
    assert "epoch None" not in page


def test_the_report_can_be_made_from_the_folder_alone(root: Path, tmp_path: Path) -> None:
    shutil.copytree(root / "together", tmp_path / "moved")
    (tmp_path / "moved" / "network.json").unlink()
    assert rung.report(tmp_path / "moved").stat().st_size > 10_000


def test_nothing_trains_it(root: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="an ensemble is made of trained runs and is not trained itself"):
        rung.train(root / "together" / "recipe.toml", out=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()
    for name in ("together", "weights"):
        lost = tmp_path / name
        shutil.copytree(root / name, lost)
        (lost / "scores.json").unlink()
        shutil.rmtree(lost / "predictions")
        with pytest.raises(RunError, match=rf"{name} is the mean of the .* and is not trained.*make it again with `rung ensemble thin-0 thin-1"):
            rung.resume(lost)


def test_lost_scores_are_written_again_from_the_answers(root: Path, tmp_path: Path) -> None:
    shutil.copytree(root / "weights", tmp_path / "again")
    (tmp_path / "again" / "scores.json").unlink()
    rung.resume(tmp_path / "again")
    assert (tmp_path / "again" / "scores.json").read_bytes() == (root / "weights" / "scores.json").read_bytes()


def test_averaged_weights_are_the_mean(root: Path) -> None:
    files = [safetensors.torch.load_file(root / name / "weights.safetensors") for name in ("thin-0", "thin-1", "weights")]
    for name, mean in files[2].items():
        assert mean == pytest.approx(((files[0][name].double() + files[1][name].double()) / 2).float(), abs=1e-7)
    assert json.loads((root / "weights" / "members.json").read_text())["averaged"] == "weights"


def test_the_mean_of_one_network_with_itself_is_that_network(few_runs: Path) -> None:
    run = rung.Run(few_runs / "thin-0")
    state = trained_network(run, read_recipe(run)).state_dict()
    assert all(torch.equal(mean, state[name]) for name, mean in mean_weights([state, state]).items())


def test_batch_norm_is_measured_anew_as_the_images_are_seen() -> None:
    data = rung.load("digits", settings={"data.per_class": 10})
    from rung.pipeline.own_parts import gather
    from rung.pipeline.prepare import prepare
    from rung.recipe import change

    recipe, own = gather(change(rung.load_recipe("digits"), {"compute.threads": 1, "train.evaluation_batch_size": 20}), None)
    batches = prepare(recipe, data, own).part("train")
    norm = nn.BatchNorm2d(1, momentum=0.1)
    dropped = nn.Sequential(nn.Dropout(0.9), norm)
    assert settle_norms(dropped, batches, "float32") == 1
    seen = torch.cat([batch.images for batch in batches.evaluation()][: len(batches) // 20])
    assert norm.running_mean is not None
    assert norm.running_mean.item() == pytest.approx(seen.mean().item(), abs=1e-5)
    assert norm.momentum == 0.1
    assert dropped.training
    assert settle_norms(nn.Linear(2, 2), batches, "float32") == 0


@pytest.mark.parametrize(
    ("runs", "words", "message"),
    [
        (["thin-0", "other-rows"], {}, r"cannot be averaged: split.seed: 0 in thin-0, 5 in other-rows; train rows.*test rows"),
        (
            ["thin-0", "wide-0"],
            {"average": "weights"},
            r"weights of .*: network.filters: \(8,\) in thin-0, \(16, 16\) in wide-0.*leave --weights out",
        ),
        (["thin-0", "together"], {}, "together is an ensemble itself: name the runs that it is made of"),
        (["thin-0"], {}, "1 run was given: give 2 or more"),
        (["thin-0", "thin-1"], {"average": "answers"}, "average is 'answers' .*: expected 'probabilities' or 'weights'"),
        (["thin-0", "thin-1"], {"name": "wide-0"}, "^the name wide-0 is taken: .*/wide-0 is a finished run; choose another name$"),
    ],
)
def test_what_cannot_be_averaged_is_refused_and_leaves_nothing(root: Path, runs: list[str], words: dict[str, str], message: str) -> None:
    before = sorted(path.name for path in root.iterdir())
    with pytest.raises(RunError, match=message):
        rung.ensemble(runs, out=root, **words)
    assert sorted(path.name for path in root.iterdir()) == before


class Linear(nn.Module):
    def __init__(self, classes: int, channels: int, size: int) -> None:
        super().__init__()
        self.head = nn.Linear(channels * size * size, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.head(x.flatten(1))
        return out


def test_own_networks_crops_and_views_of_members_go_with_them(few_runs: Path, tmp_path: Path) -> None:
    shutil.copytree(few_runs / "thin-0", tmp_path / "thin-0")
    own = {"data.per_class": 30, "split.seed": 0, "compute.threads": 1, "train.epochs": 1, "augment.crop": 6, "train.evaluation_views": "shift"}
    rung.train("digits", "digits", settings=own, out=tmp_path, name="own", network=Linear)
    run = rung.ensemble(["thin-0", "own"], out=tmp_path, name="both")
    assert sorted(path.name for path in run.source.iterdir()) == ["ensemble.py", "member1_Linear.py"]
    shutil.rmtree(tmp_path / "own")
    shutil.rmtree(tmp_path / "thin-0")
    Image.fromarray(rung.load("digits").images[0, :, :, 0]).save(tmp_path / "0.png")
    assert rung.predict(run, tmp_path / "0.png")[0].probabilities
    mean = answers.load(run.predictions("validation")).probabilities()
    network, prepared = trained_network(run, read_recipe(run)), ready_again(run, None, None)
    from rung.pipeline.execute import predict_part

    assert predict_part(prepared, network, "validation").probabilities() == pytest.approx(mean, abs=2e-3)


def test_a_network_that_is_an_ensemble_refuses_to_be_trained() -> None:
    with pytest.raises(RecipeError, match="rung ensemble RUN RUN makes one"):
        Ensemble([nn.Flatten()], [None], ["one"])(torch.zeros(1, 1, 2, 2))


def test_the_command_makes_one_and_shows_it(command: Rung, root: Path) -> None:
    said = command("ensemble", "wide-0", "wide-1", "--out", root, "--name", "wide-both")
    assert said.code == 0, said.err
    assert "the mean of the probabilities of 2 runs" in said.out
    assert f"report: {root}/wide-both/report.html" in said.out
    assert "wide-both" in command("runs", "--out", root).out
    odd = command("ensemble", "wide-0", "wide-1", "--out", root, "--weights", "median")
    assert odd.code == 2
    assert "--weights median: the weights can only be averaged" in odd.err


def test_members_keep_their_recipes(root: Path) -> None:
    kept = json.loads((root / "together" / "members.json").read_text())
    assert [member["run"] for member in kept["members"]] == MEMBERS
    assert kept["members"][0]["recipe"]["network"]["filters"] == THIN["network.filters"]
