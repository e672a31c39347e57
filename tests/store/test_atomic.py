import contextlib
import errno
import os
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

from rung.errors import ResourceError, RunError
from rung.store import atomic

TEMPORARY = ".4711-0123456789abcdef.rung-tmp"


def refuse(number, after=0):
    """Return a stand-in for a call of `os` that fails with an error number after so many calls."""
    calls = iter(range(10**9))

    def call(*_, **__):
        if next(calls) >= after:
            raise OSError(number, os.strerror(number))
        return 0

    return call


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_writes_what_was_given(tmp_path):
    atomic.write_bytes(tmp_path / "a", b"\x00\xff")
    atomic.write_bytes(tmp_path / "e", memoryview(bytearray(b"")))
    atomic.write_text(tmp_path / "t", "né\n")
    atomic.write_json(tmp_path / "j", {"b": 0.1, "a": [1, None]})
    assert (tmp_path / "a").read_bytes() == b"\x00\xff"
    assert (tmp_path / "e").read_bytes() == b""
    assert (tmp_path / "t").read_bytes() == "né\n".encode()
    assert (tmp_path / "j").read_text() == '{\n "b": 0.1,\n "a": [\n  1,\n  null\n ]\n}\n'
    assert atomic.read_json(tmp_path / "j") == {"b": 0.1, "a": [1, None]}
    assert names(tmp_path) == {"a", "e", "t", "j"}


def test_the_order_is_write_sync_rename_sync_of_the_folder(tmp_path, monkeypatch):
    calls = []

    def watched(name):
        real = getattr(os, name)

        def call(*arguments, **options):
            is_folder = isinstance(arguments[0], int) and os.path.isdir(f"/proc/self/fd/{arguments[0]}")
            calls.append(f"{name} of folder" if is_folder else name)
            return real(*arguments, **options)

        return call

    for name in ("write", "fsync", "replace"):
        monkeypatch.setattr(os, name, watched(name))
    atomic.write_bytes(tmp_path / "a", b"new")
    assert calls == ["write", "fsync", "replace", "fsync of folder"]


def test_large_data_is_written_in_several_calls(tmp_path, monkeypatch):
    monkeypatch.setattr(atomic, "_CHUNK", 3)
    atomic.write_bytes(tmp_path / "a", b"0123456789")
    assert (tmp_path / "a").read_bytes() == b"0123456789"


@pytest.mark.parametrize("call", ["open", "write", "fsync", "replace", "close"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_keeps_the_old_file_and_says_what_to_do(tmp_path, monkeypatch, call, number):
    (tmp_path / "recipe.toml").touch()
    path = tmp_path / "checkpoints" / "a"
    path.parent.mkdir()
    path.write_bytes(b"old")
    with monkeypatch.context() as patch:
        patch.setattr(os, call, refuse(number))
        reason = "the disk is full" if number == errno.ENOSPC else "your quota is used up"
        with pytest.raises(ResourceError, match=rf"cannot write {path}: {reason} \(12,345 bytes needed, [\d,]+ free\); .* `rung resume {tmp_path}`") as caught:
            atomic.write_bytes(path, bytes(12345))
    assert caught.value.exit_code == 4
    assert path.read_bytes() == b"old"
    assert names(path.parent) == {"a"}


def test_outside_of_a_run_a_full_disk_names_no_run(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "write", refuse(errno.ENOSPC))
    with pytest.raises(ResourceError, match="make room, then run the command again"):
        atomic.write_bytes(tmp_path / "a", b"x")


@pytest.mark.parametrize(
    ("number", "reason"), [(errno.EROFS, "the file system is read-only"), (errno.EACCES, "no permission"), (errno.ENODEV, "No such device")]
)
def test_a_folder_that_cannot_be_written_is_a_run_error(tmp_path, monkeypatch, number, reason):
    monkeypatch.setattr(os, "open", refuse(number))
    with pytest.raises(RunError, match=f"cannot write {tmp_path}/a: {reason}"):
        atomic.write_bytes(tmp_path / "a", b"x")


def test_space_is_checked_before_a_byte_is_written(tmp_path):
    free = atomic.free_bytes(tmp_path)
    assert free is not None
    atomic.require_space(tmp_path / "a", 1)
    with pytest.raises(ResourceError, match=r"the disk is full \([\d,]{15,} bytes needed, [\d,]+ free\)"):
        atomic.require_space(tmp_path / "a", free + 10**14)


def test_an_interrupt_leaves_nothing_behind(tmp_path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        atomic.write_bytes(tmp_path / "a", b"x")
    assert names(tmp_path) == set()


def test_sweep_removes_what_a_killed_writer_left_and_nothing_else(tmp_path):
    below = tmp_path / "checkpoints"
    below.mkdir()
    for folder in (tmp_path, below):
        for name in (TEMPORARY, "last.json", ".hidden", "x" + TEMPORARY, "notes.rung-tmp"):
            (folder / name).touch()
    assert sorted(atomic.sweep(tmp_path)) == [tmp_path / TEMPORARY, below / TEMPORARY]
    assert TEMPORARY not in names(tmp_path) | names(below)
    assert len(names(tmp_path)) == 5
    assert len(names(below)) == 4


def test_what_a_killed_writer_leaves_has_the_name_that_sweep_knows(tmp_path, monkeypatch):
    with monkeypatch.context() as patch, contextlib.suppress(RunError):
        patch.setattr(os, "unlink", refuse(errno.EIO))
        patch.setattr(os, "replace", refuse(errno.EACCES))
        atomic.write_bytes(tmp_path / "a", b"x")
    assert len(names(tmp_path)) == 1
    assert len(atomic.sweep(tmp_path)) == 1


def test_rows_come_back_in_their_order(tmp_path):
    path = tmp_path / "metrics.jsonl"
    assert atomic.read_lines(path) == atomic.Lines([], b"")
    rows = [{"epoch": 1, "loss": 0.1 + 0.2}, {"epoch": 2, "loss": float("inf"), "name": "line\nbreak \x85 \u2028"}]
    for row in rows:
        atomic.append_line(path, row)
    assert atomic.read_lines(path) == atomic.Lines(rows, b"")
    assert path.read_bytes().count(b"\n") == 2


def test_whole_rows_survive_every_truncation(tmp_path):
    path = tmp_path / "metrics.jsonl"
    rows = [{"epoch": epoch, "loss": 1 / epoch, "word": "é" * (epoch % 5)} for epoch in range(1, 61)]
    for row in rows:
        atomic.append_line(path, row)
    whole = path.read_bytes()
    for trial, size in enumerate(Random(0).sample(range(len(whole)), 1000)):
        count = whole[:size].count(b"\n")
        tail = whole[:size].rpartition(b"\n")[2]
        assert atomic.split_lines(whole[:size], path) == atomic.Lines(rows[:count], tail)
        if trial % 25:
            continue
        path.write_bytes(whole[:size])
        if tail:
            with pytest.raises(RunError, match=r"the last line of .* is torn"):
                atomic.append_line(path, {"epoch": 0})
        assert atomic.keep_lines(path, count) == bool(tail)
        atomic.append_line(path, {"epoch": "next"})
        assert atomic.read_lines(path) == atomic.Lines([*rows[:count], {"epoch": "next"}], b"")


def test_a_last_line_of_rubbish_counts_as_torn(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(b'{"epoch": 1}\n\x00\x00\x00\n')
    assert atomic.read_lines(path) == atomic.Lines([{"epoch": 1}], b"\x00\x00\x00\n")


@pytest.mark.parametrize("line", [b'{"epoch": 2', b"[2]", b"\xff\xfe", b""])
def test_a_damaged_line_in_the_middle_is_named(tmp_path, line):
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(b'{"epoch": 1}\n' + line + b'\n{"epoch": 3}\n')
    with pytest.raises(RunError, match=rf"line 2 of {path} is damaged: .* 1 rows before it are whole"):
        atomic.read_lines(path)


def test_rows_after_a_checkpoint_are_cut_off(tmp_path):
    path = tmp_path / "metrics.jsonl"
    for epoch in (1, 2, 3):
        atomic.append_line(path, {"epoch": epoch})
    path.write_bytes(path.read_bytes() + b'{"epo')
    assert atomic.keep_lines(path, 2) == 2
    assert atomic.read_lines(path) == atomic.Lines([{"epoch": 1}, {"epoch": 2}], b"")
    assert atomic.keep_lines(path, 2) == 0
    with pytest.raises(RunError, match="has 2 rows where 3 were written"):
        atomic.keep_lines(path, 3)
    assert atomic.keep_lines(path, 0) == 2
    assert path.read_bytes() == b""


@pytest.mark.parametrize("after", [0, 1])
def test_a_row_that_finds_the_disk_full_leaves_the_log_as_it_was(tmp_path, monkeypatch, after):
    path = tmp_path / "metrics.jsonl"
    atomic.append_line(path, {"epoch": 1})
    before = path.read_bytes()
    real = os.write
    full = refuse(errno.ENOSPC, after)

    def short_then_full(handle, data):
        full()
        return real(handle, data[:5])

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", short_then_full)
        with pytest.raises(ResourceError, match=rf"cannot write {path}: the disk is full \(13 bytes needed"):
            atomic.append_line(path, {"epoch": 2})
    assert path.read_bytes() == before


def test_a_short_write_is_gone_on_with(tmp_path, monkeypatch):
    real = os.write
    monkeypatch.setattr(os, "write", lambda handle, data: real(handle, data[:4]))
    atomic.append_line(tmp_path / "log", {"epoch": 1})
    atomic.write_bytes(tmp_path / "a", b"0123456789")
    assert (tmp_path / "log").read_bytes() == b'{"epoch": 1}\n'
    assert (tmp_path / "a").read_bytes() == b"0123456789"


def test_a_damaged_json_file_is_named(tmp_path):
    (tmp_path / "a.json").write_text('{"a": ')
    with pytest.raises(RunError, match=r"a\.json is damaged: it is not JSON"):
        atomic.read_json(tmp_path / "a.json")
    with pytest.raises(RunError, match=r"cannot read .*b\.json: No such file"):
        atomic.read_json(tmp_path / "b.json")


def test_the_store_imports_nothing_slow():
    code = "import sys, rung.store.run, rung.store.slots, rung.store.ledger; print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "rung.store.run" in modules
    assert not {"torch", "numpy", "pydantic", "safetensors", "PIL"} & set(modules)


@pytest.fixture
def waits(monkeypatch):
    """The seconds that were waited, without waiting."""
    waited = []
    monkeypatch.setattr(atomic.time, "sleep", waited.append)
    return waited


def dropping(monkeypatch, name, number, times):
    """Let a call of `os` fail so many times, and do its work after."""
    real, left = getattr(os, name), [times]

    def call(*arguments, **options):
        if left[0] > 0:
            left[0] -= 1
            raise OSError(number, os.strerror(number))
        return real(*arguments, **options)

    monkeypatch.setattr(os, name, call)


@pytest.mark.parametrize("number", [errno.ESTALE, errno.EIO, errno.ETIMEDOUT])
@pytest.mark.parametrize("name", ["open", "write", "fsync", "replace"])
def test_a_network_drive_that_drops_is_tried_three_times_more(tmp_path, monkeypatch, waits, name, number):
    """N51, N52."""
    (tmp_path / "a").write_text("old")
    with monkeypatch.context() as patch:
        dropping(patch, name, number, 3)
        atomic.write_text(tmp_path / "a", "new")
    assert (tmp_path / "a").read_text() == "new"
    assert names(tmp_path) == {"a"}
    assert waits == [0.5, 1.0, 2.0]
    with monkeypatch.context() as patch:
        dropping(patch, name, number, 4)
        with pytest.raises(RunError, match=f"cannot write {tmp_path}/a: {os.strerror(number)}"):
            atomic.write_text(tmp_path / "a", "newer")
    assert (tmp_path / "a").read_text() == "new"


@pytest.mark.parametrize("can_cut", [True, False])
def test_a_row_that_was_tried_again_is_there_once(tmp_path, monkeypatch, waits, can_cut):
    atomic.append_line(tmp_path / "a", {"epoch": 1})
    with monkeypatch.context() as patch:
        dropping(patch, "fsync", errno.EIO, 2)  # the row is written then, and nobody knows whether it is on the disk
        if not can_cut:
            dropping(patch, "ftruncate", errno.EIO, 1)
        atomic.append_line(tmp_path / "a", {"epoch": 2})
    assert atomic.read_lines(tmp_path / "a").rows == [{"epoch": 1}, {"epoch": 2}]
    assert len(waits) == 2


def test_other_errors_are_not_waited_for(tmp_path, monkeypatch, waits):
    monkeypatch.setattr(os, "replace", refuse(errno.ENOSPC))
    with pytest.raises(ResourceError):
        atomic.write_text(tmp_path / "a", "new")
    assert waits == []
