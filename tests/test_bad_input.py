"""Bad input on the command line: one clear sentence, the right exit code, no traceback, nothing left behind. Rows: docs/nasty.md."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.command import Rung, caller
from tests.data.nasty import tree

QUICK = ["--recipe", "digits", "--set", "train.epochs=2", "--set", "data.per_class=20", "--set", "compute.threads=1"]
IMAGES = np.random.default_rng(0).integers(0, 256, (40, 8, 8), dtype=np.uint8)
OBJECTS = np.array([np.zeros((8, 8)), np.zeros((9, 9))], dtype=object)


@pytest.fixture
def rung(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Rung:
    monkeypatch.chdir(tmp_path)
    return caller(monkeypatch, capsys)


def folder(row: str, below: str = "photos") -> Callable[[Path], Path]:
    def make(root: Path) -> Path:
        tree.FOLDERS[row](root)
        return root / below

    return make


def with_file(file: str) -> Callable[[Path], Path]:
    """Put one nasty file of a row among good ones."""

    def make(root: Path) -> Path:
        photos = tree.photos(root)
        (photos / "cat" / file.partition("/")[2]).write_bytes(tree.FILES[file]())
        return photos

    return make


def arrays(**values: Any) -> Callable[[Path], Path]:
    def make(root: Path) -> Path:
        np.savez(root / "arrays.npz", **values)
        return root / "arrays.npz"

    return make


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        pytest.param(folder("n01"), "1 class folder is empty: bird; fill or remove them, or leave them out with --set data.allow_empty_classes=true", id="N01"),
        pytest.param(folder("n02", ""), "the first names in it are note0.doc, note1.doc, note2.doc, note3.doc, note4.doc; expected one folder", id="N02"),
        pytest.param(lambda root: root / "absent" / "photos", "absent/photos does not exist; the nearest folder that does is ", id="N03"),
        pytest.param(folder("n04"), "there is only one class, cat: two are needed to tell apart", id="N04"),
        pytest.param(
            arrays(x=IMAGES, y=np.arange(40) % 4 - 1),
            "labels (y) run from -1 to 2, expected whole numbers from 0, none left out: number the classes anew, and leave out images of no class",
            id="N12-minus",
        ),
        pytest.param(
            arrays(x=IMAGES, y=np.arange(40) % 4 + 1),
            "labels of arrays.npz run from 1 to 4, expected 0..3: subtract 1 from each; or, if these numbers are names",
            id="N12-one",
        ),
        pytest.param(arrays(x=IMAGES, y=np.arange(40) % 4, classes=list("abc")), "labels run from 0 to 3 (y): expected 0..2 for 3 classes", id="N12-too-many"),
        pytest.param(arrays(x=OBJECTS, y=np.arange(2)), "'x' is an array of Python objects, which is not read: store it as numbers", id="N65"),
        pytest.param(arrays(x=IMAGES, y=np.arange(39)), "x holds 40 images and y 39 labels: there must be one label for each image", id="N66"),
    ],
)
def test_data_that_cannot_be_used_end_with_2(rung: Rung, make: Callable[[Path], Path], sentence: str, tmp_path: Path) -> None:
    source = make(tmp_path)
    for verb in ("train", "data"):
        said = rung(verb, source)
        assert said.code == 2
        assert said.err.startswith("rung: ")
        assert sentence in said.err
        assert said.err.count("\n") == 1, "one sentence, no traceback"
        assert said.out == ""
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("make", "sentence", "code"),
    [
        pytest.param(folder("n05"), "warning: 1 classes have one training image, which cannot be split by class: bird", 0, id="N05"),
        pytest.param(with_file("n16/model.bin"), "left out: cat/model.bin: is not an image of a known format (JPEG,", 3, id="N16"),
        pytest.param(with_file("n17/none.jpg"), "left out: cat/none.jpg: is empty (0 bytes)", 3, id="N17"),
        *[pytest.param(with_file(file), f"left out: cat/{file[4:]}: is damaged ", 3, id=file) for file in tree.FILES if file.startswith("n21/")],
    ],
)
def test_data_that_can_be_used_in_part_say_what_is_left_out(rung: Rung, make: Callable[[Path], Path], sentence: str, code: int, tmp_path: Path) -> None:
    said = rung("data", make(tmp_path))
    assert said.code == code
    assert sentence in said.out
    assert said.err == ""


def test_n16_what_is_known_to_be_no_image_is_no_reason_to_complain(rung: Rung, tmp_path: Path) -> None:
    photos = tree.photos(tmp_path)
    for name in (".DS_Store", "Thumbs.db", "notes.txt"):
        (photos / "dog" / name).write_bytes(b"x")
    said = rung("data", photos)
    assert (said.code, said.err) == (0, "")
    assert "repaired: dog/notes.txt: no image by its name" in said.out


def test_n21_a_run_with_a_truncated_file_is_finished_and_names_it(rung: Rung, tmp_path: Path) -> None:
    file = next(file for file in tree.FILES if file.startswith("n21/"))
    said = rung("train", with_file(file)(tmp_path), "--recipe", "digits", "--set", "train.epochs=1", "--name", "mine")
    assert said.code == 3
    assert f"left out: cat/{file[4:]}: is damaged " in said.out
    assert (tmp_path / "runs" / "mine" / "report.html").exists()


def test_n61_a_loss_that_is_not_finite_stops_the_run_and_loses_nothing(rung: Rung, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(LOSS)
    said = rung("train", "digits", *QUICK, "--set", "train.batch_size=20", "--set", "train.loss=mine.py:broken", "--name", "mine")
    assert said.code == 2
    sentence = said.err.splitlines()[-1]
    assert sentence.startswith("rung: the loss is not finite at step 8, for 20 of the 20 images of the batch: digits#")
    assert sentence.endswith("The optimizer did not step. Try a smaller train.learning_rate or train.clip_norm = 1.")
    assert "Traceback" not in said.err
    listed = rung("runs").out
    assert "failed" in listed
    assert "1/2" in listed, "the epoch before is kept"
    assert "the loss is not finite at step 8" in listed


LOSS = """
import torch
calls = 0


def broken(logits, targets):
    global calls
    calls += len(targets) == 20  # whole batches of the training: six in the first epoch, and a part
    losses = torch.nn.functional.cross_entropy(logits, targets, reduction="none")
    return losses * float("nan") if calls > 6 else losses
"""


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--recipe", "modle_s"], "there is no recipe 'modle_s': did you mean 'model_s'?"),
        (["--set", "train.epoch=3"], "there is no field 'train.epoch': did you mean 'train.epochs'?"),
        (["--set", "trian.epochs=3"], "there is no field 'trian.epochs': did you mean 'train.epochs'?"),
        (["--set", "train.epochs=0"], "train.epochs = 0: expected a whole number from 1 (in the settings)"),
        (["--set", "train.label_smoothing=1.5"], "train.label_smoothing = 1.5: expected a number from 0 to below 1"),
        (["--set", "train.optimizer=adma"], "train.optimizer = 'adma': expected 'sgd', "),
        (["--set", "augment.rotation_degrees=-1"], "augment.rotation_degrees = -1: expected a number from 0 to 180"),
        (["--name", "../escape"], "'../escape' cannot name a run: use letters, digits"),
    ],
)
def test_a_recipe_that_cannot_be_used_ends_with_2(rung: Rung, words: list[str], sentence: str, tmp_path: Path) -> None:
    said = rung("train", "digits", *words)
    assert said.code == 2
    assert said.err.startswith(f"rung: {sentence}")
    assert said.err.count("\n") == 1
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (["--epochs", "3"], "--set train.epochs=3"),
        (["--epochs=3", "--seed", "1"], "--set train.epochs=3"),
        (["--learning-rate", "--seed", "1"], "--set train.learning_rate=VALUE"),
        (["--network.input_dropout", "0.1"], "--set network.input_dropout=0.1"),
        (["--defaults", "torch"], "--set network.defaults=torch or --set train.defaults=torch"),
    ],
)
def test_a_field_given_as_an_option_is_named(rung: Rung, words: list[str], meant: str, tmp_path: Path) -> None:
    said = rung("train", "digits", *words)
    assert said.code == 2
    assert said.err.splitlines()[-1] == f"Error: No such option: {words[0].partition('=')[0]}; it is a field of the recipe: {meant}"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("words", [("train", "digits", "--quux", "3"), ("runs", "--epochs", "3")])
def test_another_unknown_option_is_only_unknown(rung: Rung, words: tuple[str, ...]) -> None:
    said = rung(*words)
    assert said.code == 2
    assert said.err.splitlines()[-1].startswith(f"Error: No such option: {words[-2]}")
    assert "--set" not in said.err.splitlines()[-1]


def test_a_run_folder_that_exists_stays_as_it_is(rung: Rung, tmp_path: Path) -> None:
    (tmp_path / "runs" / "mine").mkdir(parents=True)
    (tmp_path / "runs" / "mine" / "letter.txt").write_text("mine")
    said = rung("train", "digits", *QUICK, "--name", "mine")
    assert said.code == 2
    assert said.err == "rung: runs/mine exists already, and is no run that could be gone on with (it has no recipe.toml): choose another name, or delete it\n"
    assert [path.name for path in (tmp_path / "runs" / "mine").iterdir()] == ["letter.txt"]


@pytest.mark.parametrize(
    "command", [["data"], ["train"], ["report"], ["replay"], pytest.param(["notebook"], marks=pytest.mark.extras), ["train", "digits", "--recipe"]]
)
def test_a_word_too_long_for_a_file_is_refused(rung: Rung, command: list[str]) -> None:
    said = rung(*command, "x" * 300)
    assert said.code == 2
    assert re.fullmatch(r"rung: “x+…x+” has 300 characters: longer than a file's name can be here; give a shorter one\n", said.err)
