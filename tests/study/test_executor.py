"""Trainings side by side: every job once, failures named, workers that die said, stops passed on."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rung.errors import DataError, DivergedError, RunError
from rung.study.executor import Executor, Job
from rung.training.journal import Interrupted

# What the workers train with is found by them on the path; a job's settings say what it is to do.
JOBS = """
import os, signal, time
from pathlib import Path
from rung.errors import DataError, DivergedError
from rung.training.process import stop_signals
from rung.training.journal import Interrupted

def train(folder, job, tell):
    place = Path(folder) / job.key
    with open(place, "a") as file:
        file.write(f"{os.getpid()}\\n")
    for step in range(1, 4):
        tell(step, 3)
    what = job.settings.get("do")
    if what == "diverge":
        raise DivergedError("the loss is not finite")
    if what == "fail":
        raise DataError("no such image")
    if what == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if what == "exit":
        raise ValueError("a bug")
    if what == "long":
        with stop_signals() as asked:
            until = time.monotonic() + 60
            while asked() is None and time.monotonic() < until:
                time.sleep(0.01)
            place.with_suffix(".saved").write_text("saved")
            raise Interrupted("stopped and saved", asked())
"""


@pytest.fixture
def train(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> object:
    """Return what trains, from a module that workers can import."""
    from functools import partial
    from importlib import import_module

    (tmp_path / "made_for_executor.py").write_text(JOBS)
    monkeypatch.syspath_prepend(tmp_path)
    sys.modules.pop("made_for_executor", None)
    (tmp_path / "done").mkdir()
    return partial(import_module("made_for_executor").train, str(tmp_path / "done"))


def job(key: str, do: str = "") -> Job:
    return Job(key, {"do": do}, 0, f"candidate '{key}'")


def done(tmp_path: Path) -> dict[str, list[int]]:
    return {path.name: list(map(int, path.read_text().split())) for path in sorted((tmp_path / "done").iterdir())}


def test_each_job_is_done_once_and_a_diverged_one_stops_no_other(tmp_path: Path, train: object) -> None:
    """In this process and in others; equal keys are one job; the workers stay for what comes next."""
    seen: dict[str, list[tuple[int, int]]] = {}
    for count, names in ((1, "abc"), (2, "defgh")):
        with Executor(train, count) as executor:  # type: ignore[arg-type]
            jobs = [job(name, "diverge" if name in "bg" else "") for name in names]
            diverged = executor.run([*jobs, jobs[0]], lambda one, step, steps: seen.setdefault(one.key, []).append((step, steps)))
            assert diverged == {{1: "b", 2: "g"}[count]: "the loss is not finite"}
            assert executor.run([job(f"{names[0]}2")]) == {}
    found = done(tmp_path)
    assert sorted(found) == ["a", "a2", "b", "c", "d", "d2", "e", "f", "g", "h"]
    assert all(len(pids) == 1 for pids in found.values())
    assert {pid for name in ("a", "a2", "b", "c") for pid in found[name]} == {os.getpid()}
    aside = {pid for name in "defgh" for pid in found[name]}
    assert len(aside) <= 2
    assert os.getpid() not in aside
    assert found["d2"][0] in aside
    assert seen["a"] == [(1, 3), (2, 3), (3, 3)]
    assert (1, 3) in seen["d"]


def test_what_a_job_raises_is_raised_with_its_name(train: object) -> None:
    for name, workers in (("a", 1), ("b", 2)):
        with Executor(train, workers) as executor, pytest.raises(DataError, match=rf"^candidate '{name}': no such image$"):  # type: ignore[arg-type]
            executor.run([job(name, "fail")])


def test_a_worker_that_dies_is_said_in_one_sentence(train: object, capfd: pytest.CaptureFixture[str]) -> None:
    killed = r"^the process that trained candidate 'a' was ended by SIGKILL, perhaps for want of memory, which fewer --workers need; what was saved stays: the"
    with Executor(train, 2) as executor:  # type: ignore[arg-type]
        with pytest.raises(RunError, match=killed):
            executor.run([job("a", "die")])
        with pytest.raises(RunError, match=r"^the process that trained candidate 'b' ended with exit code 1; what was saved stays"):
            executor.run([job("b", "exit")])  # it goes on after a death
    assert "ValueError: a bug" in capfd.readouterr().err


def test_a_stop_signal_goes_on_to_the_workers_who_save(tmp_path: Path, train: object) -> None:
    def observe(one: Job, step: int, steps: int) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Interrupted, match=r"^stopped; what was saved stays: the same command goes on$") as stopped, Executor(train, 2) as executor:  # type: ignore[arg-type]
        executor.run([job("a", "long")], observe)
    assert stopped.value.exit_code == 143
    assert signal.getsignal(signal.SIGTERM) is before
    assert (tmp_path / "done" / "a.saved").exists()


@pytest.mark.parametrize("count", [1, 2])
def test_when_the_time_is_over_what_trains_saves_and_the_rest_is_left(tmp_path: Path, train: object, count: int) -> None:
    ends: list[float] = []

    def observe(one: Job, step: int, steps: int) -> None:
        if not ends:
            ends.append(time.monotonic() + 1)

    class Soon(float):
        """A second after the first step, however long the process took to start."""

        def __le__(self, now: object) -> bool:
            return bool(ends) and time.monotonic() >= ends[0]

    with Executor(train, count) as executor:  # type: ignore[arg-type]
        assert executor.run([job("a", "long"), job("b", "long"), job("c", "long")], observe, Soon()) == {}
        assert executor.run([job("d")]) == {}, "new workers do what comes next"
    saved = sorted(path.name for path in (tmp_path / "done").glob("*.saved"))
    assert saved == ["a.saved", "b.saved"][:count]
    assert not (tmp_path / "done" / "c").exists()


@pytest.mark.parametrize(("do", "error", "message"), [("fail", DataError, "^candidate 'a': no such image$"), ("die", RunError, "ended by SIGKILL")])
def test_what_fails_as_the_time_ends_is_said(train: object, do: str, error: type[Exception], message: str) -> None:
    """The time is over when the last step is heard, and by then the end of the job has been told."""

    class Over(float):
        heard = False

        def __le__(self, now: object) -> bool:
            return self.heard

    until = Over()

    def observe(one: Job, step: int, steps: int) -> None:
        if step == steps:
            until.heard = executor._workers[0].connection.poll(60)

    with Executor(train, 2) as executor, pytest.raises(error, match=message):  # type: ignore[arg-type]
        executor.run([job("a", do)], observe, until)


def test_workers_do_not_outlive_the_process_that_sends_them_jobs(tmp_path: Path, train: object) -> None:
    """It is killed, so it can tell them nothing: they see that it is gone."""
    program = (
        "import sys; from functools import partial; sys.path.insert(0, sys.argv[1]); import made_for_executor as m\n"
        "from rung.study.executor import Executor, Job; Executor(partial(m.train, sys.argv[1] + '/done'), 2).run([Job('a', {'do': 'long'}, 0, 'a')])"
    )
    process = subprocess.Popen([sys.executable, "-c", program, str(tmp_path)])
    until = time.monotonic() + 60
    while not done(tmp_path).get("a"):
        assert time.monotonic() < until
        time.sleep(0.05)
    pids = [pid for found in done(tmp_path).values() for pid in found]
    process.kill()
    process.wait()
    while any(Path(f"/proc/{pid}").exists() for pid in pids):
        assert time.monotonic() < until, "a worker is still there"
        time.sleep(0.02)
    assert not list((tmp_path / "done").glob("*.saved"))


def test_workers_are_counted_from_one(train: object) -> None:
    with pytest.raises(RunError, match=r"^workers = 0: expected how many trainings may run at once, 1 or more$"):
        Executor(train, 0)  # type: ignore[arg-type]
    assert Executor(train).count >= 1  # type: ignore[arg-type]


def test_diverged_is_a_run_error() -> None:
    assert issubclass(DivergedError, RunError)
