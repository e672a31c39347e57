"""What runs out: the disk, memory; and what must not grow."""

import subprocess
import threading
from pathlib import Path

import pytest

from benchmarks.torture import growth, limits, runs
from benchmarks.torture.forks import Forks
from benchmarks.torture.saves import mounted
from rung import workbench
from rung.errors import RunError


@pytest.fixture
def disk(tmp_path: Path):
    try:
        with mounted(tmp_path / "disk", "8m") as folder:
            yield folder
    except PermissionError as error:
        pytest.skip(f"no small disk can be mounted here: {error}")


def test_a_full_disk_keeps_what_was_saved_and_the_run_goes_on(forks: Forks, tmp_path: Path, disk: Path) -> None:
    """N55."""
    tally = limits.full_disks(forks, tmp_path / "work", 6)
    assert tally.failures == []


def test_a_read_only_folder_of_runs_is_found_before_any_work(forks: Forks, tmp_path: Path, disk: Path) -> None:
    """N49."""
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    with pytest.raises(RunError, match=r"cannot write .*disk/runs: the file system is read-only; choose a folder that you may write with --out"):
        workbench.train("a-folder-that-is-not-there-and-would-be-found-missing-first", out=disk / "runs")
    ended = forks.run([*runs.TRAININGS[1].words(), "--out", str(disk)], runs.fresh(tmp_path / "trial"))
    assert ended.code == 2
    assert "read-only" in ended.err


@pytest.mark.parametrize("key", ["train.batch_size", "train.evaluation_batch_size"])
def test_out_of_memory_names_numbers_and_a_batch_that_fits(forks: Forks, tmp_path: Path, key: str) -> None:
    """N68."""
    tally = limits.out_of_memory(forks, tmp_path, key, (0.5,))
    assert tally.failures == []
    assert tally.total == 1


def test_memory_does_not_grow_over_60_epochs(tmp_path: Path) -> None:
    tally = growth.no_growth(tmp_path, epochs=60, settled=10, allowed_fraction=0.05)
    assert tally.failures == []


def test_no_thread_and_no_process_outlives_a_run(tmp_path: Path) -> None:
    threads = set(threading.enumerate())
    workbench.train("digits", runs.small(), settings={"train.epochs": 1}, out=tmp_path)
    assert set(threading.enumerate()) <= threads
    children = [Path(task, "children").read_text().split() for task in Path("/proc/self/task").iterdir()]
    own = {process for found in children for process in found}
    assert all("forks" in Path(f"/proc/{process}/cmdline").read_text() for process in own)  # other tests' forking process
