import errno
import os
import subprocess

import pytest

from rung.errors import ResourceError
from rung.evaluate import vault
from rung.store import atomic, ledger
from rung.store.run import create


def git(folder, *words):
    name = ("-c", "user.name=Somebody", "-c", "user.email=somebody@example.org")
    return subprocess.run(("git", "-C", str(folder), *name, *words), check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def repository(tmp_path):
    folder = tmp_path / "code"
    folder.mkdir()
    git(folder, "init", "-q")
    (folder / "own.py").write_text("1\n")
    git(folder, "add", "own.py")
    git(folder, "commit", "-q", "-m", "first")
    return folder


def test_each_opening_is_counted_and_says_when_what_and_which_code(tmp_path, repository, monkeypatch):
    monkeypatch.chdir(repository)
    root = tmp_path / "runs"
    one, two = create(root, "a", 0), create(root, "a", 1)
    assert vault.open_test(one, root, "images") == 1
    assert vault.open_test(two, root, "images") == 2
    assert vault.open_test(two, root, "other images") == 1
    rows = ledger.openings(root, "images")
    assert [row["run"] for row in rows] == [one.id, two.id]
    assert rows[0]["commit"] == git(repository, "rev-parse", "HEAD")
    receipt = atomic.read_json(two.folder / ledger.RECEIPT)
    assert (receipt["key"], receipt["opening"], receipt["run"]) == ("other images", 1, two.id)
    assert ledger.verify(root) == 3


def test_what_cannot_be_written_down_is_not_opened(tmp_path, monkeypatch):
    run = create(tmp_path, "a", 0)

    def refuse(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "write", refuse)
    with pytest.raises(ResourceError, match=r"ledger.jsonl: the disk is full"):
        vault.open_test(run, tmp_path, "images")


def test_the_ledger_is_written_before_the_receipt(tmp_path, monkeypatch):
    run = create(tmp_path, "a", 0)

    def refuse(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(atomic, "write_json", refuse)
    with pytest.raises(KeyboardInterrupt):
        vault.open_test(run, tmp_path, "images")
    assert len(ledger.openings(tmp_path, "images")) == 1


def test_the_commit_says_if_files_differ_from_it(repository):
    commit = git(repository, "rev-parse", "HEAD")
    assert vault.commit_of(repository) == commit
    (repository / "new.txt").write_text("not tracked\n")
    assert vault.commit_of(repository) == commit
    (repository / "own.py").write_text("2\n")
    assert vault.commit_of(repository) == f"{commit}+changes"


def test_outside_of_git_there_is_no_commit(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert vault.commit_of(tmp_path) is None
    monkeypatch.setenv("PATH", "")
    assert vault.commit_of(tmp_path) is None
