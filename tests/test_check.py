"""`rung check` and rung.check: the verdict, the exit code, the page, and data that cannot be loaded at all."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import rung
from benchmarks.torture.forks import Forks
from rung.audit.check import CheckReport
from rung.data.imageset import ImageSet
from rung.data.split import Splits
from rung.data.twins import Twins
from rung.errors import DataError, RunError
from rung.pipeline.own_parts import OwnParts
from rung.pipeline.prepare import prepare
from rung.recipe import change


@pytest.fixture
def bad_labels(tmp_path: Path) -> Path:
    path = tmp_path / "bad.npz"
    images = np.random.default_rng(0).integers(0, 256, (40, 8, 8), dtype=np.uint8)
    np.savez(path, x=images, y=np.arange(40) % 4, classes=np.array(["a", "b", "c"]))
    return path


def test_clean_digits_pass_and_the_page_is_written(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    found = rung.check("digits", settings={"data.per_class": 60}, page=tmp_path / "new" / "check.html", staged=lambda *at: told.append(at))
    assert found.errors == 0
    assert found.counts == {"train": 380, "validation": 100, "test": 120}
    assert told[0] == (0, len(told))
    assert "Fit for training" in (tmp_path / "new" / "check.html").read_text()


def test_data_that_a_check_looks_for_but_loading_refuses_are_an_error_of_that_check(bad_labels: Path, tmp_path: Path) -> None:
    found = rung.check(bad_labels, page=tmp_path / "check.html")
    assert [problem.check for problem in found.problems] == ["label-range"]
    assert found.errors == 1
    assert "labels run from 0 to 3" in found.problems[0].sentence
    assert "Not fit for training" in (tmp_path / "check.html").read_text()


def test_a_page_that_cannot_be_written_is_refused_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    for page, said in (
        (tmp_path, f"{tmp_path} is a folder: give a file name, such as {tmp_path / 'check.html'}"),
        (tmp_path / "file" / "c.html", f"{tmp_path / 'file'} is a file, not a folder"),
    ):
        with pytest.raises(RunError, match=said):
            rung.check(tmp_path / "nowhere", page=page)


def test_data_that_are_not_there_are_a_mistake_of_use(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        rung.check(tmp_path / "nowhere")


def test_the_parts_are_those_of_a_training_with_the_same_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    checked: list[tuple[Splits, int]] = []

    def noted(images: ImageSet, splits: Splits, twins: Twins, *, seed: int, progress: object) -> CheckReport:
        checked.append((splits, seed))
        return CheckReport("", "", {}, "", ())

    monkeypatch.setattr("rung.audit.check.check", noted)
    images, recipe = rung.load("digits", settings={"data.per_class": 20}), rung.Recipe()
    rung.check(images, settings={"seed": 3})
    rung.check(images, seed=3, settings={"split.seed": 4})
    assert [seed for _, seed in checked] == [3, 3]
    for (found, _), changed in zip(checked, ({"seed": 3}, {"seed": 3, "split.seed": 4}), strict=True):
        trained = prepare(change(recipe, changed), images, OwnParts()).splits
        assert np.array_equal(found.train, trained.train)
        assert np.array_equal(found.validation, trained.validation)


def test_an_image_set_is_checked_as_it_is() -> None:
    images = rung.load("digits", settings={"data.per_class": 20})
    assert rung.check(images).name == "digits"


def test_the_command_says_most_severe_first_and_ends_with_1_on_an_error(bad_labels: Path, forks: Forks, tmp_path: Path) -> None:
    ended = forks.run(["check", str(bad_labels), "--page", "check.html"], tmp_path)
    assert ended.code == 1
    assert "Not fit for training as it is: 1 error." in ended.out
    assert "error: label-range: The data cannot be used" in ended.out
    assert (tmp_path / "check.html").exists()
    left_out = bad_labels.with_name("photos")
    for name in ("a/1.png", "a/2.png", "b/3.png", "b/4.png"):
        (left_out / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (8, 8), 10 * int(name[2])).save(left_out / name)
    (left_out / "a" / "none.png").touch()
    strict = forks.run(["check", str(left_out), "--strict"], tmp_path)
    assert strict.code == 2
    assert "none.png is empty (0 bytes); data.strict allows none" in strict.err
    clean = forks.run(["check", "digits", "--set", "data.per_class=30", "--json"], tmp_path)
    assert clean.code == 0
    assert json.loads(clean.out)["name"] == "digits"


def test_every_file_left_out_or_repaired_is_counted_and_listed(digits_folder: Path, forks: Forks, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    shutil.copytree(digits_folder, folder)
    (folder / "3" / "empty.png").write_bytes(b"")
    (folder / "4" / "notes.txt").write_text("no image")
    said = forks.run(["check", str(folder), "--json", "--page", "check.html"], tmp_path)
    assert said.code == 3
    found = json.loads(said.out)
    assert found["left_out"] == 1
    assert [note["path"] for note in found["dropped"]] == ["3/empty.png"]
    assert [note["path"] for note in found["repaired"]] == ["4/notes.txt"]
    assert [problem["count"] for problem in found["problems"] if problem["check"] == "files" and "read otherwise" in problem["sentence"]] == [1]
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert sum(found["counts"].values()) == len(files) - 2, "nothing is put in the place of what was left out"
    page = (tmp_path / "check.html").read_text().replace("<wbr>", "")
    assert "3/empty.png" in page
    assert "4/notes.txt" in page
    described = json.loads(forks.run(["data", str(folder), "--json"], tmp_path).out)
    assert (described["dropped"], described["repaired"]) == (found["dropped"], found["repaired"])
