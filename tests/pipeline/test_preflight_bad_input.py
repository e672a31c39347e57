"""Bad input of `rung preflight`: what training would refuse is one sentence and exit code 2; what a training shows to be wrong is a failed check, 1."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.command import Rung, caller

QUICK = ["--recipe", "digits", "--set", "data.per_class=6", "--set", "compute.threads=1"]
OWN = """
import torch
from torch import nn


def failing_loss(logits, targets):
    raise ValueError("no such table")


def failing_augmentation(images, image_keys):
    raise ValueError("no such table")


def narrower(images, image_keys):
    return images[:, :, :4]


def not_a_number(logits, targets):
    return logits.sum(1) * float("nan")


class FailsInTraining(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.head = nn.Linear(64, classes)

    def forward(self, images):
        if self.training and len(images) > 2:
            raise RuntimeError("too many images")
        return self.head(images.flatten(1))
"""


@pytest.fixture
def rung(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Rung:
    monkeypatch.chdir(tmp_path)
    Path("own.py").write_text(OWN)
    np.savez("one.npz", x=np.zeros((40, 8, 8), np.uint8), y=np.zeros(40, int))
    np.savez("four.npz", x=np.random.default_rng(0).integers(0, 256, (4, 8, 8), dtype=np.uint8), y=np.arange(4) % 2)
    return caller(monkeypatch, capsys)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["digits", "--recipe", "dijits"], "there is no recipe 'dijits'"),
        (["digits", "--recipe", "qqqq"], ". A file must end in .toml, a function be given as file.py:name"),
        (["absent/photos"], "absent/photos does not exist; the nearest folder that does is"),
        (["one.npz", "--recipe", "digits"], "there is only one class, 0: two are needed to tell apart"),
        (["four.npz", "--recipe", "digits"], "the validation part of four would be empty (4 rows in all)"),
        (["digits", *QUICK, "--set", "train.loss=own.py:failing_loss"], "your loss 'failing_loss' raised ValueError: no such table, at "),
        (
            ["digits", *QUICK, "--set", 'augment.own=["own.py:failing_augmentation"]'],
            "your augmentation 'failing_augmentation' raised ValueError: no such table",
        ),
        (["digits", *QUICK, "--set", 'augment.own=["own.py:narrower"]'], "the augmentation 'narrower' returned torch.float32 (2, 1, 4, 8)"),
        (["digits", *QUICK, "--set", "train.loss=own.py:absent"], "own.py defines no 'absent'"),
    ],
    ids=["recipe", "no recipe at all", "no data", "one class", "four images", "loss", "augmentation", "shape", "absent part"],
)
def test_what_training_would_refuse_is_refused_in_a_sentence(rung: Rung, words: list[str], sentence: str) -> None:
    said = rung("preflight", *words)
    assert (said.code, said.out) == (2, "")
    lines = said.err.strip().splitlines()
    assert lines[-1].startswith("rung: ")
    assert sentence in lines[-1]
    assert "Traceback" not in said.err


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (["train.loss=own.py:not_a_number"], "the loss is not finite at step 1"),
        (["network.kind=own", "network.source=own.py:FailsInTraining"], "your network 'FailsInTraining' raised RuntimeError: too many images"),
    ],
    ids=["loss", "network"],
)
def test_what_breaks_in_a_training_is_a_failed_check(rung: Rung, settings: list[str], sentence: str) -> None:
    words = [word for setting in settings for word in ("--set", setting)]
    said = rung("preflight", "digits", *QUICK, *words)
    assert said.code == 1
    assert "Traceback" not in said.err
    training = next(line for line in said.out.splitlines() if line.startswith("failed: training: "))
    assert sentence in training


def test_a_handful_of_images_is_no_false_alarm(rung: Rung) -> None:
    np.savez("six.npz", x=np.random.default_rng(0).integers(0, 256, (6, 8, 8), dtype=np.uint8), y=np.arange(6) % 2)
    said = rung("preflight", "six.npz", "--recipe", "digits", "--set", "compute.threads=1")
    assert said.code == 0
    assert "skipped: first-loss: The first step has 1 image: fewer than 8" in said.out
    assert "skipped: permuted-labels: There are 2 other images to ask for" in said.out
