"""`rung resume` in all that can have happened to a run since: moved, changed, damaged, taken, finished."""

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from PIL import Image

from benchmarks.torture import runs, steps
from benchmarks.torture.same import write_digits
from benchmarks.torture.saves import mounted
from rung import cli, workbench
from rung.data.load import from_arrays
from rung.errors import DataError, RunError
from rung.recipe import Data
from rung.store import lock
from rung.store.run import Run
from rung.training.loop import StepEnd


class Death(BaseException):
    """The process is gone: nothing catches it."""


class Said(NamedTuple):
    code: int
    out: str
    err: str


Resume = Callable[..., Said]
DIE_AT = 5  # of 9 steps: in the second epoch of three


@pytest.fixture
def resume(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Resume:
    """Run `rung resume WORDS` in this process."""

    def call(*words: str | Path) -> Said:
        monkeypatch.setattr(sys, "argv", ["rung", "resume", *map(str, words)])
        code = 0
        try:
            cli.main()
        except SystemExit as end:
            code = int(end.code or 0)
        said = capsys.readouterr()
        return Said(code, said.out, said.err)

    return call


def train(out: Path, data: Any = "digits", die_at: int | None = None, checkpoint_s: float = 0.0, epochs: int = 3) -> Run:
    """Train in out/r, and die after step `die_at`."""

    def die(step: Any) -> None:
        if step.step == die_at:
            raise Death

    recipe = runs.small()
    if not isinstance(data, str | Path):
        recipe = recipe.model_copy(update={"data": Data()})
    try:
        workbench.train(data, recipe, settings={"train.epochs": epochs}, out=out, name="r", observe=die, checkpoint_s=checkpoint_s)
    except Death:
        assert die_at is not None
    return Run(out / "r")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """An unbroken run; not to be changed."""
    return train(tmp_path_factory.mktemp("whole"))


@pytest.fixture(scope="module")
def dead(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that died in its second epoch, with checkpoints; not to be changed."""
    return train(tmp_path_factory.mktemp("dead"), die_at=DIE_AT).folder


@pytest.fixture
def broken(dead: Path, tmp_path: Path) -> Run:
    """A copy of the run that died: a copied folder is a run as well."""
    return Run(shutil.copytree(dead, tmp_path / "runs" / "r"))


def same(run: Run, whole: Run) -> bool:
    return runs.differs(run.folder, runs.content(whole.folder)) is None


def test_a_finished_run_is_said_to_be_so(resume: Resume, whole: Run) -> None:
    said = resume(whole.folder)
    assert said.code == 0
    assert "r is finished: nothing to do" in said.err
    assert "report:" in said.out


def test_a_copied_run_goes_on(resume: Resume, broken: Run, whole: Run) -> None:
    said = resume(broken.folder)
    assert (said.code, said.err.strip()) == (0, "")
    assert same(broken, whole)


def test_a_moved_run_goes_on_from_anywhere(resume: Resume, broken: Run, whole: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """N60: no path of the run's own folder is absolute."""
    (tmp_path / "elsewhere").mkdir()
    moved = Run(broken.folder.rename(tmp_path / "elsewhere" / "under another name"))
    monkeypatch.chdir(moved.folder)
    assert resume(".").code == 0
    assert same(moved, whole)
    texts = [path.read_text(errors="replace") for path in moved.folder.rglob("*") if path.is_file() and path.name != "report.html"]
    assert not any(str(broken.folder) in text or str(moved.folder) in text for text in texts)


def test_killed_before_the_first_checkpoint_it_starts_again(resume: Resume, whole: Run, tmp_path: Path) -> None:
    run = train(tmp_path, die_at=DIE_AT, checkpoint_s=1e6)
    assert len(run.read_rows()) == 1
    assert not list(run.checkpoints.iterdir())
    assert resume(run.folder).code == 0
    assert same(run, whole)


def test_killed_between_scores_and_report_only_the_report_is_made(resume: Resume, whole: Run, tmp_path: Path) -> None:
    run = Run(shutil.copytree(whole.folder, tmp_path / "r"))
    run.report.unlink()
    shutil.rmtree(run.checkpoints)  # nothing could be trained again from them
    before = run.scores.stat().st_mtime_ns
    assert resume(run.folder).code == 0
    assert run.report.exists()
    assert run.scores.stat().st_mtime_ns == before


@pytest.fixture
def read_only(dead: Path, whole: Run, tmp_path: Path) -> Iterator[Path]:
    """A read-only disk with the folders `dead` and `whole`."""
    try:
        with mounted(tmp_path / "disk", "16m") as disk:
            shutil.copytree(dead, disk / "dead")
            shutil.copytree(whole.folder, disk / "whole")
            subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
            yield disk
    except PermissionError as error:
        pytest.skip(f"no disk can be mounted here: {error}")


def test_a_read_only_run_says_what_it_cannot_and_does_the_rest(resume: Resume, read_only: Path, digits_folder: Path) -> None:
    said = resume(read_only / "dead")
    assert said.code == 2
    assert "cannot write" in said.err
    assert "the file system is read-only; choose a folder that you may write with --out, or copy the run there" in said.err
    assert "is finished" in resume(read_only / "whole").err
    assert [summary.state for summary in workbench.runs(read_only)] == ["unfinished", "finished"]
    assert workbench.findings(read_only / "whole")
    assert workbench.predict(read_only / "whole", [digits_folder / "0"])
    with pytest.raises(RunError, match=r"cannot write .*report.html: the file system is read-only"):
        workbench.report(read_only / "whole")


# What can happen to a folder of images while a run lies still.


def repaint(data: Path) -> None:
    file = data / "3" / sorted(os.listdir(data / "3"))[0]
    pixels = np.asarray(Image.open(file)).copy()
    pixels[0, 0] ^= 1
    Image.fromarray(pixels).save(file)


def rename(data: Path) -> None:
    names = sorted(os.listdir(data / "3"))
    (data / "3" / names[0]).rename(data / "3" / "9999.png")


def add_class(data: Path) -> None:
    (data / "ten").mkdir()
    for file in (data / "3").iterdir():  # turned: the same image in two classes would be left out of both
        with Image.open(file) as image:
            image.rotate(90).save(data / "ten" / file.name)


def remove_file(data: Path) -> None:
    next((data / "7").iterdir()).unlink()


def relabel(data: Path) -> None:
    for one, other in (("3", "4"), ("4", "3")):
        file = sorted((data / one).glob("*.png"))[1]
        file.rename(data / other / f"swapped-{file.name}")


def rename_class(data: Path) -> None:
    (data / "9").rename(data / "nine")


def vanish(data: Path) -> None:
    shutil.rmtree(data)


CHANGES = {
    repaint: r"the data of r have changed since it began \(the same counts and classes, but other pixels or labels\)",
    relabel: r"\(the same counts and classes, but other pixels or labels\)",
    rename: r"\(the same images and labels in another order\): put them back, or begin a new run",
    add_class: r"\(classes: then \['0', .*'9'\], now \['0', .*'9', 'ten'\]; counts: then",
    remove_file: r"\(counts: then .*'7': 12.*, now .*'7': 11",
    rename_class: r"\(classes: then .*'9'\], now .*'nine'\]",
    vanish: r"photos",
}


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_changed_data_are_found_before_a_step_and_put_back_it_goes_on(change: Callable[[Path], None], tmp_path: Path) -> None:
    """N50."""
    photos = tmp_path / "photos"
    write_digits(photos, 12)
    kept = shutil.copytree(photos, tmp_path / "kept")
    run = train(tmp_path / "runs", photos, die_at=3, epochs=2)
    before = {path: path.read_bytes() for path in run.folder.rglob("*") if path.is_file() and path.name not in ("lock", "failure.json")}
    change(photos)
    with pytest.raises(DataError, match=CHANGES[change]):
        workbench.resume(run.folder, observe=lambda step: pytest.fail("a step was made"))
    assert {path: path.read_bytes() for path in before} == before
    assert run.state() == "failed"
    shutil.rmtree(photos, ignore_errors=True)
    shutil.copytree(kept, photos)
    workbench.resume(run.folder)
    assert run.state() == "finished"
    assert same(run, train(tmp_path / "unbroken", photos, epochs=2))


def test_files_that_change_and_vanish_while_it_trains_change_no_bit(tmp_path: Path) -> None:
    """N50: they are all read before the first step."""
    photos = tmp_path / "photos"
    write_digits(photos, 12)
    unbroken = train(tmp_path / "unbroken", photos, epochs=2)
    done = []

    def meddle(step: StepEnd) -> None:
        if step.step == 1:
            repaint(photos)
            vanish(photos)
            done.append(step)

    run = workbench.train(photos, runs.small(), settings={"train.epochs": 2}, out=tmp_path / "runs", name="r", observe=meddle)
    assert done
    assert same(run, unbroken)


def test_data_passed_in_python_must_be_passed_again_and_be_the_same(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (80, 8, 8), dtype=np.uint8)
    labels = np.arange(80) % 4
    run = train(tmp_path, from_arrays(images, labels), die_at=2, epochs=4)
    with pytest.raises(RunError, match="the images of r were passed in Python: pass them again, as data="):
        workbench.resume(run.folder)
    with pytest.raises(DataError, match="the same images and labels in another order"):
        workbench.resume(run.folder, data=from_arrays(images[::-1], labels[::-1]))
    with pytest.raises(DataError, match="other pixels or labels"):
        workbench.resume(run.folder, data=from_arrays(images ^ 1, labels))
    workbench.resume(run.folder, data=from_arrays(images, labels))
    assert run.state() == "finished"


def test_two_processes_cannot_work_in_one_run(resume: Resume, broken: Run, whole: Run) -> None:
    """N59."""
    with lock.hold(broken.folder):
        said = resume(broken.folder)
    assert said.code == 2
    assert f"is in use by process {os.getpid()} on {socket.gethostname()}" in said.err
    assert not broken.failure.exists(), "a second process must not write into the run"
    assert resume(broken.folder).code == 0
    assert same(broken, whole)


def test_a_dead_holder_is_taken_over_and_said(resume: Resume, broken: Run, whole: Run) -> None:
    (broken.folder / "lock").write_text(json.dumps({"pid": 4321, "host": "another", "started": "2026-11-20T10:00:00Z"}) + "\n")
    (broken.folder / ".4321-0123456789abcdef.rung-tmp").write_text("what it was writing")
    said = resume(broken.folder)
    assert said.code == 0
    assert "its last process died (process 4321 on another (since 2026-11-20T10:00:00Z)): taken over" in said.err
    assert same(broken, whole)


def damage(run: Run, slot: str) -> str:
    """Flip a bit of the data of a slot and return their name."""
    name = str(json.loads((run.checkpoints / f"{slot}.json").read_text())["content"]["file"])
    content = bytearray((run.checkpoints / name).read_bytes())
    content[len(content) // 2] ^= 1
    (run.checkpoints / name).write_bytes(content)
    return name


def test_a_damaged_newest_checkpoint_is_replaced_by_the_one_before(resume: Resume, broken: Run, whole: Run) -> None:
    before = json.loads((broken.checkpoints / "previous.json").read_text())["content"]["file"]
    name = damage(broken, "last")
    said = resume(broken.folder)
    assert said.code == 0
    assert f"{name} is damaged: its SHA-256 is not the one that was saved" in said.err
    assert f"used instead: {broken.checkpoints}/previous.json of step {DIE_AT - 2} ({before})" in said.err
    assert json.loads((broken.folder / "kept.json").read_text())["notes"]
    assert same(broken, whole)


def test_no_whole_checkpoint_is_an_error_that_says_what_to_do(resume: Resume, broken: Run) -> None:
    names = [damage(broken, slot) for slot in ("last", "previous")]
    said = resume(broken.folder)
    assert said.code == 2
    assert all(name in said.err for name in names)
    assert "train again with `rung train" in said.err


def test_each_fact_that_the_bits_depend_on_is_named_where_it_differs() -> None:
    tally = steps.mismatches()
    assert tally.failures == []
    assert tally.total >= 2 + 12


def test_another_environment_is_said_at_once_and_kept(resume: Resume, broken: Run) -> None:
    said_before_a_step = "resume is not bit-exact because the number of threads was 1 and is 2"
    broken.recipe.write_text(broken.recipe.read_text().replace("threads = 1", "threads = 2"))
    heard: list[str] = []

    def die(step: Any) -> None:
        assert heard == [said_before_a_step]
        raise Death

    def die_later(step: Any) -> None:
        if step.step == DIE_AT + 2:
            die(step)

    for observe in (die, die_later):
        heard.clear()
        with pytest.raises(Death):
            workbench.resume(broken.folder, observe=observe, say=heard.append, checkpoint_s=0.0)
    # The last checkpoint is of two threads now, so nothing differs any more: but the bits are still not those of an unbroken run.
    said = resume(broken.folder)
    assert said.code == 0
    assert "bit-exact" not in said.err
    assert said_before_a_step in json.loads((broken.folder / "kept.json").read_text())["notes"]


@pytest.mark.parametrize("name", ["metrics.jsonl", "times.jsonl"])
@pytest.mark.parametrize("torn", [b'{"epo', b'{"epoch": 2}', b"\0\0\0\0"])
def test_a_torn_last_line_is_cut_off(resume: Resume, broken: Run, whole: Run, name: str, torn: bytes) -> None:
    with (broken.folder / name).open("ab") as file:
        file.write(torn)
    assert resume(broken.folder).code == 0
    assert same(broken, whole)


def test_rows_that_were_saved_and_are_gone_are_an_error(resume: Resume, broken: Run) -> None:
    content = broken.metrics.read_bytes()
    broken.metrics.write_bytes(content[:-10])
    said = resume(broken.folder)
    assert said.code == 2
    assert "metrics.jsonl has 0 rows where 1 were written: the file was changed or cut" in said.err
