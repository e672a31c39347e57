"""A network drive that drops while a run is written to it: N51, N52. At every call: `python -m benchmarks.torture --only drive-drops drive-gone`."""

import errno
import os
from pathlib import Path

import pytest

from benchmarks.torture import drives
from benchmarks.torture.drives import FOR_GOOD, TRIES, Drive
from benchmarks.torture.runs import NAME, content, differs
from rung.store import atomic, slots
from rung.store.run import Run, create


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int]:
    """An undisturbed training: its folder, and how many calls it made of its drive."""
    folder = tmp_path_factory.mktemp("calm")
    drive = Drive(folder)
    assert drives.trained(folder, drive)[0] == 0
    assert drive.waits_s == []
    return folder, drive.calls


def at_the_second_save(folder: Path) -> int:
    """Return after how many calls of its drive a training begins its second checkpoint."""
    counted: list[int] = []
    drive = Drive(folder)
    before = slots.commit

    def commit(*arguments: object) -> None:
        counted.append(drive.calls)
        before(*arguments)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(slots, "commit", commit)
        assert drives.trained(folder, drive)[0] == 0
    return counted[1]


def test_a_drop_in_a_save_is_waited_for_and_changes_no_bit(calm: tuple[Path, int], tmp_path: Path) -> None:
    drive = Drive(tmp_path, at_the_second_save(tmp_path) + 20, TRIES - 1)
    code, said = drives.trained(tmp_path, drive)
    assert (code, [line for line in said.splitlines() if "batch norm" not in line]) == (0, []), "six steps do not settle batch norm, and nothing else is said"
    assert differs(tmp_path / NAME, content(calm[0] / NAME)) is None
    assert drive.failures == 0
    assert sum(drive.waits_s) >= 0.5


def test_a_drop_that_outlasts_the_tries_keeps_what_was_saved_and_says_how_to_go_on(calm: tuple[Path, int], tmp_path: Path) -> None:
    drive = Drive(tmp_path, at_the_second_save(tmp_path) + 20, FOR_GOOD)
    code, said = drives.trained(tmp_path, drive)
    assert code == 2
    dropped = "Stale file handle in four tries: the drive has dropped or is broken"
    assert f"rung: cannot write {tmp_path}/{NAME}/checkpoints/" in said
    assert f"{dropped}; what was saved before is kept: bring it back, then go on with the run by `rung resume`" in said
    assert drive.waits_s[:3] == [0.5, 1.0, 2.0]
    stored = slots.fetch(tmp_path / NAME / "checkpoints", "last")
    assert stored is not None
    assert stored.state["step"] in (1, 2)
    assert drives.command(["resume", NAME, "--out", str(tmp_path)])[0] == 0
    assert differs(tmp_path / NAME, content(calm[0] / NAME)) is None


@pytest.mark.parametrize("which", ["for a moment", "for good"])
def test_a_drop_at_calls_of_a_whole_training(which, tmp_path: Path) -> None:
    tally = drives.drops(tmp_path, which, share=0.01)
    assert tally.failures == []
    assert tally.total >= 4


def test_the_message_names_the_run_where_the_drive_still_knows_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = create(tmp_path, "a", 0, "r")
    atomic.write_text(run.recipe, "")
    monkeypatch.setattr(atomic.time, "sleep", lambda _: None)
    message = str(atomic.explanation(OSError(errno.EIO, os.strerror(errno.EIO)), run.metrics, 0))
    assert message.endswith(f"bring it back, then `rung resume {run.folder}`")
    # `rung new` writes a recipe.toml where one stands, which makes no run of that folder.
    (tmp_path / "recipe.toml").touch()
    message = str(atomic.explanation(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), tmp_path / "other", 0))
    assert message.endswith("make room, then run the command again")


@pytest.mark.parametrize("failures", [1, TRIES, FOR_GOOD])
@pytest.mark.parametrize("number", drives.ERRORS)
def test_a_drive_that_does_not_say_whether_there_is_a_recipe_loses_no_run(tmp_path: Path, number: int, failures: int) -> None:
    run = create(tmp_path, "a", 0, "r")
    atomic.write_text(run.recipe, "")
    drive = Drive(tmp_path, 0, failures, number)
    with drive.mounted():
        run.discard()
    assert drive.calls
    assert run.recipe.exists()
    Run(run.folder).recipe.unlink()
    run.discard()
    assert not run.folder.exists()


def test_a_checkpoint_on_a_drive_that_is_gone_is_not_called_damaged(tmp_path: Path) -> None:
    for step in (1, 2):
        slots.commit(tmp_path, "last", b"%d" % step, {"step": step}, {})
    with Drive(tmp_path, 0, FOR_GOOD).mounted(), pytest.raises(atomic.RunError, match=r"cannot read .*last\.json: Stale file handle in four tries"):
        slots.fetch(tmp_path, "last")
    with Drive(tmp_path, 0, TRIES - 1).mounted():
        stored = slots.fetch(tmp_path, "last")
    assert stored is not None
    assert (stored.state["step"], stored.notes) == (2, ())
