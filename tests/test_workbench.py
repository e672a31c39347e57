"""The functions of Python that the command line does not reach: own objects, images in memory."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import rung
from rung.errors import RecipeError, RunError

QUICK = {"train.epochs": 2, "compute.threads": 1}


@pytest.fixture(scope="module")
def digits() -> Any:
    return rung.load("digits", settings={"data.per_class": 20})


class Linear(nn.Module):
    def __init__(self, classes: int, channels: int, size: int) -> None:
        super().__init__()
        self.head = nn.Linear(channels * size * size, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.head(x.flatten(1))
        return out


def share(probabilities: Any, labels: Any) -> float:
    return float((probabilities.argmax(1) == labels).mean())


def darker(images: torch.Tensor, keys: torch.Tensor) -> torch.Tensor:
    return images * 0.25


def test_own_objects_are_kept_and_found_again_by_test_predict_and_report(digits: Any, tmp_path: Path) -> None:
    run = rung.train(digits, "digits", settings=QUICK, out=tmp_path, network=Linear, metrics=[share], augmentations=[darker])
    assert "validation_share" in run.read_rows()[0]
    assert (run.source / "Linear.py").is_file()
    assert rung.test(run, data=digits).opening == 1
    assert rung.report(run).is_file()
    assert rung.findings(run)


def test_a_network_that_only_this_process_knows_is_trained_and_reported_and_missed_in_one_sentence(digits: Any, tmp_path: Path) -> None:
    run = rung.train(digits, "digits", settings=QUICK, out=tmp_path, network=nn.Sequential(nn.Flatten(), nn.Linear(64, 10)))
    assert run.report.is_file()
    before = run.report.read_bytes()
    assert rung.findings(run)
    assert rung.report(run).read_bytes() == before
    Image.fromarray(digits.images[0, :, :, 0]).save(tmp_path / "digit.png")
    missed = "'Sequential' cannot be read back from .*it was passed in Python as a made object, and no file says how Sequential was made; define it as"
    with pytest.raises(RunError, match=missed):
        rung.predict(run, [tmp_path / "digit.png"])
    with pytest.raises(RunError, match=missed):
        rung.test(run, data=digits)
    run.scores.unlink()
    with pytest.raises(RunError, match=missed):
        rung.resume(run, data=digits)
    with pytest.raises(RunError, match=missed):
        rung.train(digits, run.recipe, out=tmp_path)


def test_what_cannot_be_read_back_is_missed_only_where_it_is_needed(digits: Any, tmp_path: Path) -> None:
    ends: list[int] = []
    run = rung.train(digits, "digits", settings=QUICK, out=tmp_path, loss=nn.CrossEntropyLoss(reduction="none"), callbacks=[noting(ends)])
    assert ends == [1, 2]
    assert rung.test(run, data=digits).opening == 1
    run.scores.unlink()
    rung.resume(run, data=digits)  # the kept answers are scored again, without a loss
    for part in ("train", "validation"):
        run.predictions(part).unlink()
    run.scores.unlink()
    with pytest.raises(RunError, match="'CrossEntropyLoss' cannot be read back"):
        rung.resume(run, data=digits)


def test_a_metric_that_cannot_be_read_back_is_missed_before_the_test_set_is_opened(digits: Any, tmp_path: Path) -> None:
    run = rung.train(digits, "digits", settings=QUICK, out=tmp_path, metrics=[partial(share)])
    with pytest.raises(RunError, match="'partial' cannot be read back"):
        rung.test(run, data=digits)
    assert not (tmp_path / "ledger.jsonl").exists()


def noting(ends: list[int]) -> Callable[[Any], None]:
    def note(end: Any) -> None:
        ends.append(end.epoch)

    return note


def test_own_augmentations_make_the_offline_copies(digits: Any, tmp_path: Path) -> None:
    from rung import recipe as recipes
    from rung.pipeline.own_parts import gather
    from rung.pipeline.prepare import prepare

    wanted, own = gather(recipes.change(rung.Recipe(), {"augment.offline_copies": 1, **QUICK}), None, augmentations=[darker])
    training = prepare(wanted, digits, own).training()
    half = len(training) // 2
    assert torch.allclose(training.images[half:].float(), training.images[:half].float() * 0.25, atol=1)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"classes": "1; 2"}, r"data.classes would change how images are loaded.*rung.load"),
        ({"size": 16}, "pixels.size would change"),
        ({"settings": {"data.per_class": 3}}, "data.per_class would change"),
        ({"metrics": [lambda probabilities, labels: 0.0]}, "a lambda has no name"),
        ({"metrics": [share, share]}, "'share', which is taken"),
        ({"settings": {"train.momentum": 0.9, "train.optimizer": "adamw"}}, "momentum"),
        ({"settings": {"augment.crop": 30}}, "crop"),
        ({"settings": {"train.minimum_rate": 1.0, "train.schedule": "plateau"}}, "above the learning rate"),
        ({"settings": {"train.loss": "mes"}}, "did you mean 'mse'"),
    ],
)
def test_what_does_not_fit_is_refused_before_a_folder_is_made(digits: Any, words: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=message):
        rung.train(digits, "digits", out=tmp_path / "runs", **words)
    assert not (tmp_path / "runs").exists()


def test_arrays_become_an_image_set_and_a_run(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (60, 8, 8), dtype=np.uint8)
    made = rung.from_arrays(images, np.arange(60) % 3, classes=["a", "b", "c"])
    run = rung.train(made, "digits", settings=QUICK, out=tmp_path)
    assert run.read_data()["classes"] == ["a", "b", "c"]
    with pytest.raises(rung.RunError, match="pass them again, as data="):
        rung.test(run)
