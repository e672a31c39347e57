"""To begin from the kept weights of another run: what comes along, what is refused, what is said."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

import rung
from rung import workbench
from rung.errors import RecipeError, RunError
from rung.pipeline.candidates import Candidates
from rung.pipeline.ready import ready
from rung.store.run import Run

TINY = {
    "data.per_class": 12,
    "train.batch_size": 64,
    "train.epochs": 1,
    "network.filters": [4],
    "network.convolutions": 1,
    "network.flatten": "flatten",
    "network.batch_norm": "after_activation",
    "compute.threads": 1,
}
LATER = {"train.learning_rate": 0.0002}


class Death(BaseException):
    """The process is gone: nothing catches it."""


def train(out: Path, name: str, settings: dict[str, Any] | None = None, **more: Any) -> Run:
    return rung.train("digits", "digits", settings=TINY | (settings or {}), out=out, name=name, **more)


def weights(run: Run) -> bytes:
    return run.weights.read_bytes()


def prepared(out: Path, **settings: Any) -> Any:
    return ready("digits", "digits", TINY | settings, {}, None, lambda sentence: None, classes=None, size=None, grey=False, root=out)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of runs: first, and second that began from it; not to be changed."""
    out = tmp_path_factory.mktemp("runs")
    train(out, "first")
    train(out, "second", {"network.start": "first", **LATER})
    return out


def test_the_network_begins_with_the_kept_weights_and_statistics(root: Path) -> None:
    kept = safetensors.torch.load(weights(Run(root / "first")))
    begun = prepared(root, **{"network.start": "first"}).network().state_dict()
    assert begun.keys() == kept.keys()
    assert all(torch.equal(begun[name], kept[name]) for name in kept)
    assert any("running_mean" in name for name in kept)
    assert not all(torch.equal(tensor, kept[name]) for name, tensor in prepared(root).network().state_dict().items())


def test_the_report_and_data_json_say_where_it_began(root: Path) -> None:
    second = Run(root / "second")
    start = second.read_data()["start"]
    assert start == {"run": "first", "weights_sha256": json.loads(Run(root / "first").kept.read_text())["weights_sha256"]}
    assert "began from the kept weights of “first”" in second.report.read_text()
    assert rung.load_recipe(second.recipe).network.start == f"start/{start['weights_sha256'][:16]}"


def test_the_same_recipe_gives_the_same_bits_without_the_first_run(root: Path, tmp_path: Path) -> None:
    shutil.copytree(root / "second", tmp_path / "second")
    again = rung.train(tmp_path / "second" / "recipe.toml", out=tmp_path / "elsewhere", name="again")
    assert weights(again) == weights(Run(root / "second"))


def test_a_stopped_run_goes_on_to_the_same_bits_when_the_first_is_gone(root: Path, tmp_path: Path) -> None:
    shutil.copytree(root / "first", tmp_path / "first")

    def die(step: Any) -> None:
        raise Death

    with pytest.raises(Death):
        train(tmp_path, "second", {"network.start": "first", **LATER}, observe=die)
    shutil.rmtree(tmp_path / "first")
    workbench.resume("second", out=tmp_path)
    assert weights(Run(tmp_path / "second")) == weights(Run(root / "second"))


def test_a_damaged_copy_is_refused(root: Path, tmp_path: Path) -> None:
    shutil.copytree(root / "second", tmp_path / "second")
    (place,) = (tmp_path / "second" / "start").iterdir()
    content = bytearray((place / "weights.safetensors").read_bytes())
    content[-1] ^= 1
    (place / "weights.safetensors").write_bytes(content)
    with pytest.raises(RunError, match=r"weights.safetensors is damaged: its SHA-256 is not [0-9a-f]{16}\.\.: train again from first$"):
        rung.train(tmp_path / "second" / "recipe.toml", out=tmp_path)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (
            {"network.filters": [8]},
            r"^network.start: the weights of first are of another network: network.filters is \[4\], and here \[8\]; begin",
        ),
        ({"pixels.size": 12}, r"^network.start: the weights of first are of another network: \S+ is \(10, \d+\), and here \(10, \d+\); begin from"),
        ({"data.classes": "1; 2"}, r"^network.start: first was trained on other classes: 0, 1, .*, 9; here they are 1, 2: give the same classes"),
        ({"network.start": "firs9"}, r"^network.start = 'firs9': there is no run 'firs9' in .*: did you mean 'first'\?$"),
        ({"network.start": "stopped"}, r"^network.start = 'stopped': .*stopped is unfinished, and a training begins from the kept weights of a finished run$"),
    ],
)
def test_what_does_not_fit_is_refused_with_what_differs(root: Path, tmp_path: Path, settings: dict[str, Any], sentence: str) -> None:
    for name in ("first", "second"):
        (tmp_path / name).symlink_to(root / name)
    shutil.copytree(root / "first", tmp_path / "stopped")
    (tmp_path / "stopped" / "scores.json").unlink()
    with pytest.raises(RecipeError, match=sentence):
        prepared(tmp_path, **{"network.start": "first"} | settings)


def test_weights_that_fit_and_mean_something_else_are_warned_of(root: Path) -> None:
    said = prepared(root, **{"network.start": "first", "network.activation": "tanh", "pixels.normalise": "none"}).warnings
    (sentence,) = [text for text in said if "network.start" in text]
    assert sentence.startswith(
        "network.start: the weights of first fit, but were trained otherwise: network.activation is 'relu', and here 'tanh'; pixels.normal"
    )


def test_images_that_the_first_run_was_fitted_on_are_counted(root: Path) -> None:
    assert not [text for text in prepared(root, **{"network.start": "second"}).warnings if "fitted on" in text]
    said = [text for text in prepared(root, **{"network.start": "second", "seed": 1}).warnings if "was fitted on" in text]
    assert len(said) == 2
    assert "validation images: scores on them say nothing of new images; give both trainings the same parts by split.seed" in said[0]


def test_a_candidate_is_known_by_the_weights_it_begins_from(root: Path, tmp_path: Path) -> None:
    candidates = Candidates(("digits",), "digits")
    shutil.copytree(root / "first", tmp_path / "copy")
    places = (None, root / "first", tmp_path / "copy", root / "second")
    fresh, first, copy, second = (candidates.resolve(TINY | ({"network.start": str(place)} if place else {})).identity for place in places)
    assert first == copy
    assert len({fresh, first, second}) == 3


@pytest.mark.parametrize("average", ["probabilities", "weights"])
def test_runs_that_began_from_others_can_be_averaged_and_tested(root: Path, tmp_path: Path, average: Any) -> None:
    runs = [shutil.copytree(root / name, tmp_path / name) for name in ("first", "second")]
    made = rung.ensemble(runs, average=average, out=tmp_path, name="mean")
    assert rung.load_recipe(made.recipe).network.start == ""
    assert workbench.test(made, out=tmp_path).scores.images > 0
