import errno
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from benchmarks.torture import saves as torture
from rung.errors import ResourceError, RunError
from rung.store import atomic, slots


def can_trace() -> bool:
    return shutil.which("strace") is not None and subprocess.run(["strace", "-o", "/dev/null", "true"], capture_output=True, check=False).returncode == 0


needs_strace = pytest.mark.skipif(not can_trace(), reason="strace is not installed or may not trace here")


def save(folder, step, slot="last", data=None):
    slots.commit(folder, slot, data or b"data of %d" % step, {"step": step, "loss": 1 / (step + 1)}, {"torch": "1"})


def steps(folder):
    """Return the step that each slot names."""
    return {path.stem: atomic.read_json(path)["content"]["state"]["step"] for path in folder.glob("*.json")}


def data_files(folder):
    return sorted(path.name for path in folder.glob("*.safetensors"))


def test_nothing_saved_is_none(tmp_path):
    assert slots.fetch(tmp_path, "last") is None
    assert slots.fetch(tmp_path / "not there", "best") is None


def test_what_was_saved_comes_back(tmp_path):
    state = {"step": 7, "loss": 0.1 + 0.2, "worst": float("inf"), "list": [1, None, "é"]}
    slots.commit(tmp_path / "checkpoints", "best", b"\x00\xff" * 99, state, {"torch": "1"})
    assert slots.fetch(tmp_path / "checkpoints", "best") == slots.Stored(b"\x00\xff" * 99, state, {"torch": "1"})
    assert slots.fetch(tmp_path / "checkpoints", "last") is None


def test_last_becomes_previous_and_what_no_slot_names_goes(tmp_path):
    save(tmp_path, 1)
    assert steps(tmp_path) == {"last": 1}
    save(tmp_path, 1, "best")
    assert len(data_files(tmp_path)) == 1  # the same content is kept once
    for step in (2, 3, 4):
        save(tmp_path, step)
    assert steps(tmp_path) == {"last": 4, "previous": 3, "best": 1}
    assert [name[:13] for name in data_files(tmp_path)] == ["step-00000001", "step-00000003", "step-00000004"]


def test_saving_the_same_again_keeps_the_previous_one(tmp_path):
    for step in (1, 2, 2):
        save(tmp_path, step)
    assert steps(tmp_path) == {"last": 2, "previous": 1}


def test_foreign_files_are_left_alone(tmp_path):
    (tmp_path / "mine.safetensors").touch()
    (tmp_path / "step-1.safetensors.bak").touch()
    for step in (1, 2, 3):
        save(tmp_path, step)
    assert {"mine.safetensors", "step-1.safetensors.bak"} < {path.name for path in tmp_path.iterdir()}


def test_a_missing_newest_is_said(tmp_path):
    save(tmp_path, 1)
    save(tmp_path, 2)
    (tmp_path / "last.json").unlink()
    stored = slots.fetch(tmp_path, "last")
    assert stored.state["step"] == 1
    assert re.search(r"last\.json is missing used instead: .*previous\.json of step 1", " ".join(stored.notes))


def test_a_damaged_newest_does_not_push_out_the_good_one(tmp_path):
    for step in (1, 2):
        save(tmp_path, step)
    (tmp_path / data_files(tmp_path)[1]).write_bytes(b"short")
    save(tmp_path, 3)
    assert steps(tmp_path) == {"last": 3, "previous": 1}
    (tmp_path / "last.json").write_bytes(b"rubbish")
    save(tmp_path, 4)
    assert steps(tmp_path) == {"last": 4, "previous": 1}


def test_all_damaged_is_an_error_that_names_each(tmp_path):
    for step in (1, 2):
        save(tmp_path, step)
    for name in data_files(tmp_path):
        (tmp_path / name).write_bytes(b"data of 9")
    with pytest.raises(RunError, match=r"can be used as 'last': .*step-00000002.* is damaged: .*; .*step-00000001.* is damaged: .*; train again"):
        slots.fetch(tmp_path, "last")
    save(tmp_path, 1, "best", b"best")
    (tmp_path / "best.json").write_bytes(b"{}")
    with pytest.raises(RunError, match=r"can be used as 'best': .*best\.json is damaged"):
        slots.fetch(tmp_path, "best")


def test_a_slot_names_no_file_outside_of_its_folder(tmp_path):
    """A slot file with a right SHA-256 from somebody else."""
    (tmp_path / "secret").write_bytes(b"secret")
    pointer = slots._Pointer("../secret", 6, "0", {"step": 1}, {})
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "last.json").write_bytes(slots._render(pointer))
    with pytest.raises(RunError, match=r"last\.json names no data file of a checkpoint"):
        slots.fetch(tmp_path / "checkpoints", "last")


def test_a_slot_file_that_cannot_be_read_keeps_all_data(tmp_path, monkeypatch):
    save(tmp_path, 1, "best")
    save(tmp_path, 2)
    real = Path.read_bytes

    def refuse_best(path):
        if path.name == "best.json":
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return real(path)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", refuse_best)
        with pytest.raises(RunError, match="Input/output error"):
            save(tmp_path, 3)
    assert slots.fetch(tmp_path, "best").state["step"] == 1
    assert slots.fetch(tmp_path, "last").state["step"] == 3


def test_too_little_space_is_said_before_anything_is_written(tmp_path, monkeypatch):
    save(tmp_path, 1)
    before = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    monkeypatch.setattr(atomic, "free_bytes", lambda _: 100)
    with pytest.raises(ResourceError, match=r"cannot write .*step-00000002-.*: the disk is full \([\d,]+ bytes needed, 100 free\)"):
        save(tmp_path, 2, data=bytes(5000))
    assert {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before


def test_a_copied_and_read_only_folder_loads(tmp_path):
    save(tmp_path / "a", 1)
    save(tmp_path / "a", 2)
    shutil.copytree(tmp_path / "a", tmp_path / "b" / "c")
    shutil.rmtree(tmp_path / "a")
    (tmp_path / "b" / "c").chmod(0o555)
    assert slots.fetch(tmp_path / "b" / "c", "last").state["step"] == 2
    (tmp_path / "b" / "c").chmod(0o755)


def test_damage_is_found_and_the_one_before_is_used(tmp_path):
    """Ten times as many: `python -m benchmarks.torture.saves`."""
    tally = torture.damage(tmp_path, flips=100, truncations=20)
    assert tally.total == 120
    assert not tally.failures, tally


@needs_strace
def test_killed_at_the_changing_calls_of_a_save_the_old_or_the_new_one_loads(tmp_path):
    """Every system call of the save: `python -m benchmarks.torture.saves`."""
    calls = torture.calls_of_a_save(tmp_path)
    changing = [call for call in calls if call[0] in ("write", "fsync", "rename", "unlink")]
    assert {name for name, _ in changing} == {"write", "fsync", "rename", "unlink"}
    tally = torture.kill_everywhere(tmp_path, changing)
    assert tally.total >= 12
    assert not tally.failures, tally


@needs_strace
def test_a_disk_full_at_each_write_of_a_save_keeps_the_last_good_one(tmp_path):
    calls = [call for call in torture.calls_of_a_save(tmp_path) if call[0] in ("write", "rename")]
    tally = torture.full_everywhere(tmp_path, calls)
    assert tally.total >= 6
    assert not tally.failures, tally


def test_a_real_full_disk_keeps_the_last_good_one(tmp_path):
    """With every number of free pages around what a save needs, so that each file of it meets the end of the disk."""
    try:
        with torture.mounted(tmp_path / "disk", "1m") as disk:
            outcomes = []
            for pages in range(12):
                ballast = disk / "ballast"
                checkpoints = torture.prepare(disk / f"run{pages}")
                ballast.write_bytes(bytes((atomic.free_bytes(disk) // 4096 - pages) * 4096))
                outcome = None
                try:
                    save(checkpoints, 4, data=bytes(10_000))
                except ResourceError as error:
                    outcome = str(error)
                    assert re.search(
                        rf"cannot write {checkpoints}\S* the disk is full \([\d,]+ bytes needed, [\d,]+ free\).*`rung resume {checkpoints.parent}`", outcome
                    )
                stored = slots.fetch(checkpoints, "last")
                assert stored.state["step"] in ((3, 4) if outcome else (4,))
                assert stored.notes == ()
                assert slots.fetch(checkpoints, "best").state["step"] == 1
                assert not list(checkpoints.glob(".*"))
                ballast.unlink()
                outcomes.append(outcome is None)
            assert outcomes == sorted(outcomes)
            assert set(outcomes) == {False, True}
    except PermissionError as error:
        pytest.skip(f"no right to mount a small file system: {error}")
