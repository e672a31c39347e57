"""The command line in one process: what it prints, where, and the exit code; torch is imported once for all."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.command import Rung, caller
from tests.data.nasty import tree

QUICK = ["--set", "train.epochs=2", "--set", "data.per_class=20", "--set", "compute.threads=1"]


@pytest.fixture
def rung(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Rung:
    return caller(monkeypatch, capsys)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of runs with one finished run, `done`."""
    from rung import workbench

    folder = tmp_path_factory.mktemp("runs")
    settings = {"train.epochs": 20, "data.per_class": 40, "compute.threads": 1}
    workbench.train("digits", "digits", settings=settings, out=folder, name="done", why="a reason", notes="a note")
    return folder


@pytest.fixture
def tested(root: Path, tmp_path: Path) -> Path:
    """A folder of runs with `done`, whose test part is opened, and its ledger."""
    from rung import workbench

    folder = tmp_path / "tested"
    shutil.copytree(root / "done", folder / "done")
    workbench.test("done", out=folder)
    return folder


def test_train_prints_scores_findings_and_where_the_report_lies(rung: Rung, tmp_path: Path) -> None:
    said = rung("train", "digits", "--recipe", "digits", *QUICK, "--out", tmp_path, "--name", "mine", "--seed", "3")
    assert said.code == 0
    assert "validation" in said.out
    assert f"report: {tmp_path}/mine/report.html" in said.out
    assert "rung test" in said.out
    assert (tmp_path / "mine" / "report.html").stat().st_size > 10_000
    assert "Traceback" not in said.err


def test_a_run_done_again_from_its_recipe_gives_the_same_files(rung: Rung, root: Path, tmp_path: Path) -> None:
    said = rung("train", root / "done" / "recipe.toml", "--out", tmp_path, "--name", "again")
    assert said.code == 0, said.err
    for name in (
        "weights.safetensors",
        "predictions/train.safetensors",
        "predictions/validation.safetensors",
        "metrics.jsonl",
        "scores.json",
        "splits.safetensors",
    ):
        assert (tmp_path / "again" / name).read_bytes() == (root / "done" / name).read_bytes(), name


def test_json_is_json_and_nothing_else(rung: Rung, root: Path, tmp_path: Path) -> None:
    said = rung("train", "digits", "--recipe", "digits", *QUICK, "--out", tmp_path, "--json")
    assert json.loads(said.out)["scores"]["validation"]["accuracy"]["covers"] == "images"
    assert json.loads(rung("runs", "--out", root, "--json").out)[0]["run"] == "done"
    assert json.loads(rung("data", "digits", "--json").out)["classes"] == [str(label) for label in range(10)]


def test_the_test_part_is_opened_once_and_the_ledger_says_so(rung: Rung, tmp_path: Path) -> None:
    rung("train", "digits", "--recipe", "digits", *QUICK, "--out", tmp_path, "--name", "first")
    rung("train", "digits", "--recipe", "digits", *QUICK, "--out", tmp_path, "--name", "second")
    assert "test" not in json.loads((tmp_path / "first" / "scores.json").read_text())
    assert "opening 1 of this test set" in rung("test", "first", "--out", tmp_path).out
    assert "opening 1 of this test set (this run had opened it before" in rung("test", "first", "--out", tmp_path).out
    assert "opening 2 of this test set" in rung("test", "second", "--out", tmp_path).out
    assert "test" in json.loads((tmp_path / "first" / "scores.json").read_text())
    assert "opening 1" in (tmp_path / "first" / "report.html").read_text().lower()


def test_a_report_can_be_written_again_without_the_data(rung: Rung, root: Path) -> None:
    report = root / "done" / "report.html"
    before = report.read_bytes()
    report.unlink()
    said = rung("report", "done", "--out", root)
    assert said.out.strip() == str(report)
    assert report.read_bytes() == before
    assert b"a reason" in before
    assert b"a note" in before


def test_test_tells_a_program_which_run_it_was_and_where_the_report_lies(rung: Rung, tested: Path) -> None:
    said = json.loads(rung("test", "do", "--out", tested, "--json").out)
    assert said["run"] == "done"
    assert (said["folder"], said["report"]) == (f"{tested}/done", f"{tested}/done/report.html")
    assert (said["opening"], said["opened_before"]) == (1, True)
    assert said["scores"]["accuracy"]["value"] > 0.5


def test_runs_verifies_the_ledger_and_still_lists_the_runs(rung: Rung, tested: Path) -> None:
    from rung import workbench
    from rung.errors import VerificationError

    said = rung("runs", "--out", tested)
    assert said.code == 0
    assert f"ledger of {tested}: 1 opening of test sets, no line changed" in said.out
    assert workbench.verify_ledger(tested) == 1
    ledger = tested / "ledger.jsonl"
    ledger.write_text(ledger.read_text().replace('"run": "done"', '"run": "none"'))
    for words in ((), ("--json",)):
        said = rung("runs", "--out", tested, *words)
        assert said.code == 1
        assert "done" in said.out
        assert said.err == f"rung: line 2 of {ledger} was changed: its SHA-256 does not fit its content\n"
    with pytest.raises(VerificationError, match="line 2"):
        workbench.verify_ledger(tested)
    ledger.unlink()
    assert "is gone, but" in rung("runs", "--out", tested).err


@pytest.mark.parametrize("content", ["{", '{"validation": {"accuracy": "high"}}', None])
def test_scores_that_are_damaged_or_lost_are_written_again_and_nothing_else(rung: Rung, tested: Path, content: str | None) -> None:
    run = tested / "done"
    before = {path: path.read_bytes() for path in sorted(tested.rglob("*")) if path.is_file()}
    if content is None:
        (run / "scores.json").unlink()
    else:
        (run / "scores.json").write_text(content)
        said = rung("report", "done", "--out", tested)
        assert said.code == 2
        assert f"scores.json is damaged: it {'is not JSON' if content == '{' else 'has no accuracy of validation'}" in said.err
        assert f"`rung resume {run}` writes it again" in said.err
        assert rung("runs", "--out", tested).out.splitlines()[1].startswith("done  damaged")
    assert rung("resume", "done", "--out", tested).code == 0
    assert {path: path.read_bytes() for path in sorted(tested.rglob("*")) if path.is_file()} == before


def test_runs_of_a_folder_without_a_ledger_says_nothing_of_one(rung: Rung, root: Path) -> None:
    said = rung("runs", "--out", root)
    assert (said.code, "ledger" in said.out) == (0, False)


def test_predict_answers_files_and_folders_and_names_what_it_cannot_read(rung: Rung, root: Path, digits_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "page.jpg").write_text("<html>not here</html>")
    said = rung("predict", "done", digits_folder / "3", tmp_path / "page.jpg", "--out", root, "--json")
    assert said.code == 3
    answers = json.loads(said.out)
    assert len(answers) == 31
    assert sum(answer["answer"] == "3" for answer in answers) > 20
    assert answers[-1]["problem"].startswith("is a web page, not an image")
    assert sum(answers[0]["probabilities"].values()) == pytest.approx(1.0)
    assert f"{tmp_path}/page.jpg: not read: is a web page" in rung("predict", "done", tmp_path / "page.jpg", "--out", root).out


def test_predict_takes_the_same_files_of_a_folder_as_training(rung: Rung, root: Path, digits_folder: Path, tmp_path: Path) -> None:
    """N16: rubbish known by its name is passed over; what should be an image and is none is named."""
    folder = tmp_path / "photos"
    (folder / "deeper").mkdir(parents=True)
    (folder / "__MACOSX").mkdir()
    shutil.copy(digits_folder / "3" / "0003.png", folder / "deeper" / "three.png")
    for name in ("notes.txt", "Thumbs.db", ".DS_Store", "__MACOSX/three.png", "labels.csv"):
        (folder / name).write_text("no image")
    said = rung("predict", "done", folder, "--out", root)
    assert (said.code, said.out.count("\n")) == (0, 1)
    os.mkfifo(folder / "pipe.png")
    (folder / "broken.png").write_bytes(b"")
    said = rung("predict", "done", folder, "--out", root)
    assert said.code == 3
    assert "broken.png: not read: is empty" in said.out
    assert "pipe.png: not read: is a pipe, not a file" in said.out
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "notes.txt").write_text("no image")
    said = rung("predict", "done", tmp_path / "texts", "--out", root)
    assert said.code == 2
    assert said.err == f"rung: there is no image in {tmp_path}/texts: name image files, or a folder that holds some\n"


def test_predict_of_many_files_goes_in_parts_and_tells_how_far_it_is(root: Path, digits_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from rung import workbench
    from rung.pipeline import predicting

    whole = workbench.predict("done", [digits_folder], out=root)
    monkeypatch.setattr(predicting, "_AT_ONCE", 70)
    told: list[tuple[int, int]] = []
    parts = workbench.predict("done", [digits_folder], out=root, progress=lambda done, total: told.append((done, total)))
    assert told == [(70, 300), (140, 300), (210, 300), (280, 300), (300, 300)]
    assert [(answer.path, answer.answer) for answer in parts] == [(answer.path, answer.answer) for answer in whole]
    assert np.allclose([answer.confidence for answer in parts], [answer.confidence for answer in whole], atol=1e-6)


def test_predict_of_a_name_that_is_not_utf8(rung: Rung, root: Path, digits_folder: Path, tmp_path: Path) -> None:
    """N41."""
    folder = os.fsencode(tmp_path / "odd")
    os.mkdir(folder)
    shutil.copy(digits_folder / "3" / "0003.png", os.path.join(folder, b"caf\xe9.png"))
    said = rung("predict", "done", tmp_path / "odd", "--out", root)
    assert (said.code, "caf\\xe9.png: " in said.out) == (0, True)
    path = json.loads(rung("predict", "done", tmp_path / "odd", "--out", root, "--json").out)[0]["path"]
    assert os.path.exists(path), "a program can open what it is told"


def test_scoring_tells_how_far_it_is(tmp_path: Path) -> None:
    from rung import workbench

    told: list[tuple[str, int, int]] = []
    settings = {"train.epochs": 1, "data.per_class": 20, "compute.threads": 1}
    run = workbench.train("digits", "digits", settings=settings, out=tmp_path, scoring=lambda *step: told.append(step))
    assert told == [("train", 0, 130), ("train", 130, 130), ("validation", 0, 30), ("validation", 30, 30)]
    told.clear()
    workbench.test(run, scoring=lambda *step: told.append(step))
    assert told == [("test", 0, 40), ("test", 40, 40)]


def test_predict_gives_what_validation_gave(rung: Rung, root: Path, tmp_path: Path) -> None:
    """A file with the pixels of a validation row is answered as that row was."""
    from rung import workbench
    from rung.evaluate import predictions

    stored = predictions.load(root / "done" / "predictions" / "validation.safetensors")
    images = workbench.load("digits", settings={"data.per_class": 40})
    for index in range(5):
        Image.fromarray(images.images[stored.rows[index], :, :, 0]).save(tmp_path / f"{index}.png")
    answers = workbench.predict("done", [tmp_path], out=root)
    found = np.array([list((answer.probabilities or {}).values()) for answer in answers])
    assert np.abs(found - stored.probabilities()[:5]).max() < 0.02  # predictions are in float32, the run was perhaps in bfloat16
    assert (found.argmax(1) == stored.answers()[:5]).all()


def test_runs_are_listed_and_a_broken_one_hides_none(rung: Rung, root: Path) -> None:
    (root / "20260101-000000-broken-0").mkdir()
    said = rung("runs", "--out", root)
    assert "done" in said.out
    assert "broken" in said.out
    assert "finished" in said.out


def test_recipes_are_listed_shown_and_begun_from(rung: Rung, tmp_path: Path) -> None:
    assert "model_s" in rung("recipes").out
    assert "S1, Model S" in rung("recipes", "model_s").out
    target = tmp_path / "mine.toml"
    assert rung("new", target, "--recipe", "digits").code == 0
    assert "# passes over the training rows" in target.read_text()
    assert rung("new", target).code == 2
    said = rung("train", "digits", "--recipe", target, *QUICK, "--out", tmp_path / "runs")
    assert said.code == 0, said.err


def test_own_objects_are_used_and_their_source_is_kept(rung: Rung, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.py").write_text(OWN)
    words = [
        "network.kind=own",
        "network.source=mine.py:Linear",
        "train.loss=mine.py:loss",
        'train.metrics=["mine.py:share"]',
        'augment.own=["mine.py:darken"]',
    ]
    settings = [word for key in words for word in ("--set", key)]
    monkeypatch.chdir(tmp_path)
    said = rung("train", "digits", *QUICK, *settings, "--out", "runs", "--name", "own")
    assert said.code == 0, said.err
    run = tmp_path / "runs" / "own"
    assert (run / "source" / "mine.py").read_text() == OWN
    assert "validation_share" in json.loads((run / "metrics.jsonl").read_text().splitlines()[0])
    (tmp_path / "mine.py").unlink()
    again = rung("train", run / "recipe.toml", "--out", "runs", "--name", "again")
    assert again.code == 0, again.err
    assert (tmp_path / "runs" / "again" / "weights.safetensors").read_bytes() == (run / "weights.safetensors").read_bytes()


OWN = """
import torch
from torch import nn


class Linear(nn.Module):
    def __init__(self, classes, channels, size):
        super().__init__()
        self.head = nn.Linear(channels * size * size, classes)

    def forward(self, x):
        return self.head(x.flatten(1))


def loss(logits, targets):
    return torch.nn.functional.cross_entropy(logits, targets, reduction="none") * 2


def share(probabilities, labels):
    return float((probabilities.argmax(1) == labels).mean())


def darken(images, keys):
    return images * 0.9
"""


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["train", "digits", "--recipe", "modle_s"], "there is no recipe 'modle_s': did you mean 'model_s'?"),
        (["train", "digits", "--set", "train.epoch=3"], "there is no field 'train.epoch': did you mean 'train.epochs'?"),
        (["train", "digits", "--set", "train.epochs=0"], "train.epochs = 0: expected a whole number from 1"),
        (["train", "digits", "--set", "train.epochs"], "expected key=value"),
        (["train", "digits", "--set", "network.filters=[8,8,8,8]", "--set", "network.padding=valid"], "size"),
        (["train", "digits", "--set", "compute.device=cuda:99"], "cuda:99"),
        (["train", "digits", "--classes", "3; seven"], "seven"),
        (["train", "absent-folder"], "absent-folder"),
        (["train", "absent.toml"], "absent.toml"),
        (["train", "digits", "--set", "train.class_weights={cat=2}"], "'cat'"),
        (["resume", "nothing"], "there is no run 'nothing'"),
        (["test", "nothing"], "there is no run 'nothing'"),
        (["report", "nothing"], "there is no run 'nothing'"),
        (["predict", "nothing", "x.png"], "there is no run 'nothing'"),
    ],
)
def test_bad_input_is_one_clear_message_and_exit_code_2(rung: Rung, words: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    said = rung(*words)
    assert said.code == 2
    assert message in said.err
    assert "Traceback" not in said.err
    assert not list(tmp_path.glob("runs/*")), "a refused training must leave nothing behind"


def test_a_run_folder_that_exists_is_not_touched(rung: Rung, root: Path) -> None:
    before = (root / "done" / "recipe.toml").read_bytes()
    said = rung("train", "digits", *QUICK, "--out", root, "--name", "done")
    assert said.code == 2
    assert "the name done is taken" in said.err
    assert (root / "done" / "recipe.toml").read_bytes() == before


def test_the_names_of_runs_are_unique_within_a_second(rung: Rung, tmp_path: Path) -> None:
    for _ in range(2):
        rung("train", "digits", "--recipe", "digits", "--set", "train.epochs=1", "--set", "data.per_class=5", "--out", tmp_path)
    assert len(list(tmp_path.glob("*-digits-0*"))) == 2


def test_a_folder_that_cannot_be_written_is_found_before_any_work(rung: Rung, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    said = rung("train", "digits", *QUICK, "--out", tmp_path / "file" / "runs")
    assert said.code == 2
    assert "file" in said.err


@pytest.mark.parametrize(
    ("words", "stays"),
    [
        (["train", "digits"], "; nothing was saved yet"),
        (["train", "mine"], "; what was saved stays; go on with: rung resume runs/mine"),
        (["resume", "mine"], "; what was saved stays; go on with: rung resume runs/mine"),
        (["test", "mine"], "; what was saved stays"),
        (["check", "digits"], ""),
        (["preflight", "digits"], ""),
    ],
)
def test_a_process_that_is_stopped_says_what_stays(words: list[str], stays: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    from rung import cli, workbench
    from rung.store.run import Run

    def work(what: str | list[str], *_: object, begun: Callable[[Run], None] = lambda run: None, **__: object) -> None:
        if what == "mine":
            begun(Run(Path("runs/mine")))
        signal.raise_signal(signal.SIGTERM)

    def end(code: int) -> None:
        raise SystemExit(code)

    for verb in ("train", "resume", "test", "check", "preflight"):
        monkeypatch.setattr(workbench, verb, work)
    monkeypatch.setattr(os, "_exit", end)
    monkeypatch.setattr(sys, "argv", ["rung", *words])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 128 + signal.SIGTERM
    assert capfd.readouterr().err.splitlines()[-1] == f"rung: stopped at once{stays}"


def test_help_and_import_are_quick_because_nothing_slow_is_imported() -> None:
    """No time is asserted: what would make them slow is."""
    slow = "{'torch', 'numpy', 'pydantic', 'matplotlib', 'PIL', 'scipy', 'sklearn'}"
    check = f"import sys, rung, rung.cli; sys.exit(bool({slow} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0


def test_the_help_begins_with_a_command_that_works_well(rung: Rung) -> None:
    assert "Begin with: rung train digits --recipe digits" in rung("--help").out


@pytest.mark.parametrize("verb", ["train", "resume", "data", "test", "report", "runs", "predict", "recipes", "new"])
def test_every_command_has_help_with_an_example(rung: Rung, verb: str) -> None:
    said = rung(verb, "--help")
    assert said.code == 0
    assert "Example: rung" in said.out


def test_files_left_out_are_named_counted_and_give_exit_code_3(rung: Rung, digits_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    shutil.copytree(digits_folder, folder)
    (folder / "3" / "empty.png").write_bytes(b"")
    (folder / "4" / "bits.png").write_bytes(tree.FILES["n31/bits.png"]())
    os.rename(folder / "5" / sorted(os.listdir(folder / "5"))[0], os.fsencode(folder / "5") + b"/caf\xe9.png")
    said = rung("train", folder, "--recipe", "digits", "--set", "train.epochs=1", "--out", tmp_path / "runs", "--name", "left-out")
    assert said.code == 3
    assert "left out: 3/empty.png" in said.out
    kept = json.loads((tmp_path / "runs" / "left-out" / "data.json").read_text())
    assert [note["path"] for note in kept["dropped"]] == ["3/empty.png"]
    assert [note["path"] for note in kept["repaired"]] == ["4/bits.png"]
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert sum(sum(counts.values()) for counts in kept["counts"].values()) == len(files) - 1
    page = (tmp_path / "runs" / "left-out" / "report.html").read_text().replace("<wbr>", "")  # where a long name may break
    for shown in ("3/empty.png", "is empty (0 bytes)", "4/bits.png", "1 bit a pixel brought to 0 and 255"):
        assert shown in page
    assert rung("data", folder).code == 3


def test_n06_fewer_images_than_a_batch_is_a_warning(rung: Rung, tmp_path: Path) -> None:
    said = rung("train", "digits", "--recipe", "digits", "--set", "data.per_class=5", "--set", "train.epochs=1", "--out", tmp_path)
    assert said.code == 0
    assert "train.batch_size = 64 is more than the" in said.err
    strict = rung("train", "digits", "--recipe", "digits", "--set", "data.per_class=5", "--out", tmp_path / "none", "--strict")
    assert strict.code == 2
    assert "data.strict allows no warning: train.batch_size = 64 is more than the" in strict.err
    assert not (tmp_path / "none").exists()


def test_strict_stops_at_what_would_be_left_out(rung: Rung, tmp_path: Path) -> None:
    folder = tree.photos(tmp_path)
    assert rung("data", folder, "--strict").code == 0
    (folder / "cat" / "none.png").write_bytes(b"")
    assert rung("data", folder).code == 3
    said = rung("data", folder, "--strict")
    assert said.code == 2
    assert "cat/none.png is empty (0 bytes); data.strict allows none" in said.err


def test_what_does_nothing_in_a_recipe_is_said_before_the_training_and_kept(rung: Rung, tmp_path: Path) -> None:
    said = rung("train", "digits", "--recipe", "digits", *QUICK, "--set", "train.drop_factor=0.5", "--out", tmp_path, "--name", "idle")
    sentence = "train.drop_factor = 0.5 does nothing: it needs train.schedule = 'step' or 'plateau'"
    assert said.code == 0
    assert said.err.startswith(f"warning: {sentence}\n")
    assert json.loads((tmp_path / "idle" / "data.json").read_text())["warnings"][0] == sentence  # after it: six steps do not settle batch norm
    assert "train.drop_factor = 0.5 does nothing" in (tmp_path / "idle" / "report.html").read_text()


def test_errors_of_the_quick_checks_are_said_once_with_their_remedy_and_the_training_begins(rung: Rung, tmp_path: Path) -> None:
    x = np.random.default_rng(0).integers(0, 256, (80, 8, 8), np.uint8)
    np.savez(
        tmp_path / "leak.npz",
        x_train=x,
        y_train=np.arange(80) % 2,
        x_test=x[:20],
        y_test=np.arange(20) % 2,
        x_validation=~x[:30],
        y_validation=np.arange(30) % 2,
    )
    said = rung("train", tmp_path / "leak.npz", "--recipe", "digits", "--set", "train.epochs=1", "--out", tmp_path, "--name", "leak")
    assert said.code == 0
    assert re.search(r"^error: exact-duplicates: 20 test images of 20 .* in train\. .*--set split\.drop_twins=true\.$", said.err, re.MULTILINE)
    assert "are equal to an image in train" not in said.out
    assert (said.out + said.err).count("20 test images of 20") == 1
    page = (tmp_path / "leak" / "report.html").read_text()
    assert "<strong>Error.</strong> 20 test images of 20" in page
    assert "--set split.<wbr>drop_twins" in page or "--set split.drop_twins" in page


def test_an_edited_ledger_opens_nothing(rung: Rung, tmp_path: Path) -> None:
    for name in ("first", "second"):
        rung("train", "digits", "--recipe", "digits", *QUICK, "--out", tmp_path, "--name", name)
    rung("test", "first", "--out", tmp_path)
    ledger = tmp_path / "ledger.jsonl"
    ledger.write_text(ledger.read_text().replace('"run": "first"', '"run": "other"'))
    said = rung("test", "second", "--out", tmp_path)
    assert said.code == 1
    assert "ledger" in said.err
    assert "test" not in json.loads((tmp_path / "second" / "scores.json").read_text())
