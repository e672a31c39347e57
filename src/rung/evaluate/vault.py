"""The sealed test set: nothing of it is scored before the ledger says that it was opened, by which run and which code."""

from __future__ import annotations

import subprocess
from pathlib import Path

from rung.store import atomic, ledger
from rung.store.run import Run


def open_test(run: Run, root: Path, key: str) -> int:
    """Write the opening of the test set `key` (`data.imageset.test_set_key`) to the ledger of `root`, and return the how-manieth it is.

    Call it before the test images are scored: an opening that was not scored is counted, a score that was not counted
    cannot be. The run keeps the line in opening.json.

    Raises: RunError if the ledger or the run cannot be written, ResourceError if the disk is full: then nothing may be scored.
    """
    line = ledger.record(root, key, {"run": run.id, "commit": commit_of(Path.cwd())})
    atomic.write_json(run.opening, line)
    return int(line["opening"])


def commit_of(folder: Path) -> str | None:
    """Return the git commit that a folder stands at, with "+changes" if tracked files differ from it; None outside of git."""
    commit = _git(folder, "rev-parse", "--verify", "HEAD")
    if commit is None:
        return None
    return commit if _git(folder, "diff-index", "--quiet", "HEAD", "--") is not None else f"{commit}+changes"


def _git(folder: Path, *words: str) -> str | None:
    try:
        done = subprocess.run(("git", "-C", str(folder), *words), capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):  # no git here, or a drive that hangs: the ledger says null
        return None
    return done.stdout.strip() if done.returncode == 0 else None
