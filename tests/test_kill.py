"""Deaths and stops of whole trainings, a tenth of what `python -m benchmarks.torture` does.

The command runs in children forked from a process that has imported torch once: a process of its own would spend seconds on imports in each trial.
"""

import signal
from pathlib import Path
from random import Random

import pytest

from benchmarks.torture import kills, runs
from benchmarks.torture.forks import Forks
from benchmarks.torture.page import render


def test_killed_at_20_moments_of_its_life_a_run_goes_on_to_the_same_bits(forks: Forks, tmp_path: Path) -> None:
    tally = kills.kills(forks, tmp_path, 20)
    assert tally.failures == []
    assert tally.total == 20
    assert "between steps that were saved" in tally.note, "no trial was killed in the training: the moments are drawn from a wrong life"


def test_real_processes_killed_while_they_start_leave_nothing_or_a_run(tmp_path: Path) -> None:
    """Also across processes: what a forked child gives is what a new process gives."""
    training = runs.TRAININGS[1]
    whole = runs.fresh(tmp_path / "whole")
    assert kills.real(training.words(), whole).returncode == 0
    tally = kills.real_deaths(tmp_path, [0.3, 3.0], kills.Unbroken(training, runs.content(whole / runs.NAME), 0.0))
    assert tally.failures == []


def test_a_forked_child_gives_what_a_new_process_gives(forks: Forks, tmp_path: Path) -> None:
    training = runs.TRAININGS[1]
    for folder in (runs.fresh(tmp_path / "forked"), runs.fresh(tmp_path / "new")):
        code = forks.run(training.words(), folder).code if folder.name == "forked" else kills.real(training.words(), folder).returncode
        assert code == 0
    assert runs.differs(tmp_path / "forked" / runs.NAME, runs.content(tmp_path / "new" / runs.NAME)) is None


def test_signals_at_any_moment_end_with_their_code_and_can_be_gone_on_with(forks: Forks, tmp_path: Path) -> None:
    tally = kills.stops(forks, tmp_path, 10)
    assert tally.failures == []


@pytest.mark.parametrize("signals", [("SIGTERM",), ("SIGINT",), ("SIGHUP",), ("SIGTERM", "SIGTERM", "SIGTERM")], ids=" ".join)
def test_a_stop_in_a_step_finishes_and_saves_that_step(forks: Forks, tmp_path: Path, signals: tuple[str, ...]) -> None:
    tally = kills.stops_in_steps(forks, tmp_path, Random(0).sample(range(1, 40), 2), signals)
    assert tally.failures == []


def test_ctrl_c_twice_stops_at_once(forks: Forks, tmp_path: Path) -> None:
    (tmp_path / "stopping.py").write_text(kills.STOPPING)
    training = runs.Training({"train.epochs": 2, "train.batch_size": 8, "train.loss": "stopping.py:loss"}, checkpoint_s=1e6)
    ended = forks.run(training.words(), tmp_path, environment={"TORTURE": "5:SIGINT 5:SIGINT"})
    assert ended.code == 130
    assert "Traceback" not in ended.err
    assert f"stopped at once; what was saved stays; go on with: rung resume {runs.NAME}" in ended.err
    assert not list((tmp_path / runs.NAME / "checkpoints").iterdir()), "it finished the step and saved"


def test_a_signal_after_the_last_step_is_not_lost(forks: Forks, tmp_path: Path) -> None:
    """It comes in the last validation: the loop ends by itself then, and the scores are not made."""
    (tmp_path / "stopping.py").write_text(kills.STOPPING)
    training = runs.Training({"train.epochs": 1, "train.batch_size": 64, "train.loss": "stopping.py:loss"})
    calls = 3  # two steps, and the validation
    ended = forks.run(training.words(), tmp_path, environment={"TORTURE": f"{calls}:SIGTERM"})
    assert ended.code == 128 + signal.SIGTERM
    assert not (tmp_path / runs.NAME / "scores.json").exists()
    assert forks.run(kills.RESUME, tmp_path).code == 0


@pytest.mark.parametrize("name", ["SIGSEGV", "SIGBUS", "SIGABRT"])
def test_a_crash_in_machine_code_is_named_and_can_be_gone_on_with(forks: Forks, tmp_path: Path, name: str) -> None:
    """N69: nothing of rung works in a process of its own while it trains, so a crash ends it all; it hangs nowhere."""
    (tmp_path / "stopping.py").write_text(kills.STOPPING)
    training = runs.Training({"train.epochs": 2, "train.batch_size": 8, "train.loss": "stopping.py:loss"}, checkpoint_s=0)
    ended = forks.run(training.words(), tmp_path, environment={"TORTURE": f"5:{name}"})
    assert ended.code == -getattr(signal, name)
    said = {"SIGSEGV": "Segmentation fault", "SIGBUS": "Bus error", "SIGABRT": "Aborted"}[name]
    assert f"Fatal Python error: {said}" in ended.err
    assert "stopping.py" in ended.err
    assert not ended.left_over
    again = forks.run(kills.RESUME, tmp_path)
    assert again.code == 0
    assert "its last process died (process" in again.err


def test_a_test_part_that_was_being_opened_is_opened_again(forks: Forks, tmp_path: Path) -> None:
    tally = kills.killed_tests(forks, tmp_path, 6)
    assert tally.failures == []


def test_the_page_of_promises_shows_what_was_run_and_what_failed() -> None:
    row = {"proof": "a", "promise": "A", "test": "t", "passed": 3, "total": 4, "note": "", "failures": ["it broke"], "drawn": True, "share": 0.1}
    row |= {"seconds": 1.0, "date": "2026-11-20", "commit": "0123456789ab+changes", "cores": 2, "torch": "2", "numpy": "2", "python": "3", "processor": "x"}
    row["system"] = "Linux"
    page = render([{**row, "passed": 4, "failures": []}, row, {**row, "proof": "b", "total": 0, "passed": 0, "failures": []}], ["a", "b"])
    assert "| [A](#a) | 3 of 4 |  | 10% | 2026-11-20 | 012345678+ |" in page
    assert "- a: it broke" in page
    assert "| [A](#b) | not run |" in page
