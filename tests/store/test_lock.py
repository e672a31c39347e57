import errno
import fcntl
import os
import signal
import socket
import subprocess
import sys

import pytest

from rung.errors import RunError
from rung.store import lock

HOLD = """
import sys
from pathlib import Path
from rung.store import lock
with lock.hold(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""

# Forks a child that outlives the holder: were the lock left to it, it would stay taken.
FORK = """
import os, sys
from pathlib import Path
from rung.store import lock
with lock.hold(Path(sys.argv[1])):
    if os.fork() == 0:
        print("held", os.getpid(), flush=True)
        sys.stdin.read()
        os._exit(0)
    sys.stdin.read()
"""

# The child leaves the block in order; the number of its lock may be another file's by then.
FORK_THAT_ENDS = """
import os, sys
from pathlib import Path
from rung.store import lock
with lock.hold(Path(sys.argv[1])):
    if os.fork() == 0:
        sys.exit(0)
    print("child", os.wait()[1], flush=True)
    sys.stdin.read()
"""


def start(code, folder):
    child = subprocess.Popen([sys.executable, "-c", code, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    return child, child.stdout.readline().split()


def end(child):
    child.communicate()


def test_a_second_process_is_told_who_holds_it(tmp_path):
    child, _ = start(HOLD, tmp_path)
    try:
        with pytest.raises(RunError, match=rf"{tmp_path} is in use by process {child.pid} on {socket.gethostname()} \(since 20..-"), lock.hold(tmp_path):
            pass
        assert lock.holder(tmp_path).pid == child.pid
    finally:
        end(child)
    assert child.returncode == 0
    assert lock.holder(tmp_path) is None


def test_death_releases_it_and_the_next_holder_hears_of_the_dead_one(tmp_path):
    child, _ = start(HOLD, tmp_path)
    os.kill(child.pid, signal.SIGKILL)
    end(child)
    assert lock.holder(tmp_path) is None
    with lock.hold(tmp_path) as dead:
        assert dead.pid == child.pid
        assert lock.holder(tmp_path).pid == os.getpid()


def test_an_orderly_end_leaves_no_holder_behind(tmp_path):
    with lock.hold(tmp_path) as dead:
        assert dead is None
    with pytest.raises(ZeroDivisionError), lock.hold(tmp_path):
        raise ZeroDivisionError
    with lock.hold(tmp_path) as dead:
        assert dead is None


def test_one_process_cannot_hold_it_twice(tmp_path):
    with lock.hold(tmp_path), pytest.raises(RunError, match=f"in use by process {os.getpid()}"), lock.hold(tmp_path):
        pass


def test_a_forked_child_does_not_keep_it(tmp_path):
    parent, (_, child) = start(FORK, tmp_path)
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    try:
        os.kill(int(child), 0)  # the child lives
        with lock.hold(tmp_path):
            pass
    finally:
        end(parent)


def test_a_forked_child_that_ends_in_order_does_not_release_it(tmp_path):
    parent, words = start(FORK_THAT_ENDS, tmp_path)
    try:
        assert words == ["child", "0"]
        with pytest.raises(RunError, match=f"in use by process {parent.pid}"), lock.hold(tmp_path):
            pass
    finally:
        end(parent)


def test_rubbish_in_the_file_is_taken_over(tmp_path):
    (tmp_path / "lock").write_bytes(b"\xff{" * 500)
    with lock.hold(tmp_path) as dead:
        assert dead is None
        assert lock.holder(tmp_path).pid == os.getpid()


def test_asking_who_holds_it_does_not_get_in_the_way(tmp_path, monkeypatch):
    (tmp_path / "lock").touch()
    asking = os.open(tmp_path / "lock", os.O_RDONLY)
    fcntl.flock(asking, fcntl.LOCK_SH)  # as holder() does, for microseconds
    waits = []

    def answered(seconds):
        waits.append(seconds)
        if len(waits) == 2:
            fcntl.flock(asking, fcntl.LOCK_UN)

    monkeypatch.setattr(lock.time, "sleep", answered)
    with lock.hold(tmp_path):
        assert len(waits) == 2
    os.close(asking)


def test_a_file_system_without_locks_is_said(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(RunError, match=f"the file system of {tmp_path} keeps no locks .* choose a folder on a local disk with --out"), lock.hold(tmp_path):
        pass
    assert lock.holder(tmp_path) is None


def test_a_read_only_folder_is_said_before_any_work(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(RunError, match="lock: the file system is read-only; choose a folder that you may write with --out"), lock.hold(tmp_path):
        pass
