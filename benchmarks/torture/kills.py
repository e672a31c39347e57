"""Torture of a training by signals: killed, ended and interrupted at random moments, then gone on with by `rung resume`.

    python -m benchmarks.torture.kills --count 200

The moments are drawn from the whole life of the process, from before the run has a folder to after its report, and every
fourth resume is killed as well. What is left must be, to the bit, what an unbroken run leaves.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

from benchmarks.torture.forks import ROOT, Ended, Forks
from benchmarks.torture.runs import NAME, TRAININGS, Training, content, differs, fresh
from benchmarks.torture.tally import Tally
from rung.store import atomic, ledger

RESUME = ["resume", NAME, "--out", "."]
NOTHING = "there is nothing to go on with", f"there is no run '{NAME}'", f"{NAME} is not a run: it has no recipe.toml"

# An own loss that sends the process a signal in the middle of a step: it is called once a step, and once for each validation.
STOPPING = """
import os, signal
import torch

calls = 0
asked = [word.split(":") for word in os.environ.get("TORTURE", "").split()]

def loss(logits, targets):
    global calls
    calls += len(logits) > 2  # a loss of one's own is tried on two images before there is a run
    for call, name in asked:
        if calls == int(call):
            os.kill(os.getpid(), getattr(signal, name))
    return torch.nn.functional.cross_entropy(logits, targets, reduction="none")
"""


@dataclass(frozen=True)
class Unbroken:
    """A training that nothing disturbed: its content, and how long it took."""

    training: Training
    content: dict[str, Any]
    seconds: float


def unbroken(forks: Forks, training: Training, folder: Path) -> Unbroken:
    """Do the training without disturbance."""
    ended = forks.run(training.words(), fresh(folder))
    if ended.code != 0:
        raise RuntimeError(f"the undisturbed training ended with {ended.code}: {ended.err}")
    return Unbroken(training, content(folder / NAME), ended.seconds)


def moments(count: int, seed: int) -> list[float]:
    """Return `count` shares of a life, one from each equal part of it, in random order; the last few are after its end."""
    draw = Random(seed)
    shares = [1.05 * (part + draw.random()) / count for part in range(count)]
    draw.shuffle(shares)
    return shares


def kill_and_resume(forks: Forks, whole: Unbroken, folder: Path, share: float, draw: Random) -> tuple[str, str | None]:
    """Kill a training and every fourth of its resumes; return in which part of its life it died, and what is wrong at the end, or None."""
    ended = _signalled(forks, whole, folder, share, lambda at_s: [(at_s, signal.SIGKILL)])
    died = where(folder / NAME, ended)
    if died == "before there was a run":
        return died, _nothing_to_resume(forks.run(RESUME, folder))
    failure = _killed_badly(ended)
    while failure is None and draw.random() < 0.25:
        failure = _killed_badly(forks.run(RESUME, folder, signals=[(draw.random() * whole.seconds, signal.SIGKILL)]))
    return died, failure or _resumed(forks, whole, folder)


def kills(forks: Forks, work: Path, count: int, seed: int = 0) -> Tally:
    """Kill `count` trainings at moments of their whole life."""
    tally = Tally(
        "A run that was killed goes on to what it would have been",
        "kill -9 of the process group at random moments of a training of digits, every fourth resume killed too, then `rung resume`: weights, predictions, "
        "scores, rows and the last checkpoint equal those of an unbroken run to the bit, and no process outlives its group",
        drawn=True,
    )
    places: Counter[str] = Counter()
    draw = Random(seed)
    wholes = [unbroken(forks, training, work / "unbroken") for training in TRAININGS]
    for number, share in enumerate(moments(count, seed)):
        died, failure = kill_and_resume(forks, wholes[number % len(wholes)], work / "trial", share, draw)
        places[died] += 1
        tally.count(failure and f"killed at {share:.4f} of the life of training {number % len(wholes)} ({died}): {failure}")
    tally.note = "died " + ", ".join(f"{places[place]} {place}" for place in sorted(places))
    return tally


def stops(forks: Forks, work: Path, count: int, seed: int = 1) -> Tally:
    """Send SIGTERM, Ctrl-C or the end of the terminal at moments of the whole life, once or twice."""
    tally = Tally(
        "A run that is told to stop ends with the right code, without a traceback, and can be gone on with",
        "SIGTERM, SIGINT or SIGHUP, once or twice, at random moments from the first line of the command to after its report: exit code 143, 130 or 129 "
        "(0 after the end), a message that names `rung resume` once there is a run, then the bits of an unbroken run",
        drawn=True,
    )
    draw = Random(seed)
    codes: Counter[int] = Counter()
    wholes = [unbroken(forks, training, work / "unbroken") for training in TRAININGS]
    for trial, share in enumerate(moments(count, seed)):
        whole, number = wholes[trial % len(wholes)], draw.choice((signal.SIGTERM, signal.SIGTERM, signal.SIGINT, signal.SIGHUP))
        again = [draw.random() * 0.2] if draw.random() < 0.4 else []
        ended = _signalled(forks, whole, work / "trial", share, partial(_at, number, again))
        codes[ended.code] += 1
        failure = _stopped_badly(forks, whole, work / "trial", ended, number)
        tally.count(failure and f"{number.name} {'twice ' if again else ''}at {share:.4f} of the life of training {trial % len(wholes)}: {failure}")
    tally.note = "exit codes: " + ", ".join(f"{code} {codes[code]} times" for code in sorted(codes))
    return tally


def _at(number: int, again: Sequence[float], at_s: float) -> list[tuple[float, int]]:
    return [(at_s, number), *((at_s + later_s, number) for later_s in again)]


def _signalled(forks: Forks, whole: Unbroken, folder: Path, share: float, signals: Callable[[float], list[tuple[float, int]]]) -> Ended:
    """Do the training and send it the signals that belong to a share of its life.

    A machine that others use is faster now than when the life was measured, or slower: where it ended first, its life is what this one
    took, and it is done again.
    """
    seconds = whole.seconds
    for _ in range(5):
        ended = forks.run(whole.training.words(), fresh(folder), signals=signals(share * seconds))
        if ended.code != 0 or share > 1:
            break
        seconds = min(seconds, ended.seconds)
    return ended


def stops_in_steps(forks: Forks, work: Path, steps: Sequence[int], signals: Sequence[str] = ("SIGTERM",)) -> Tally:
    """Send the signals in the middle of these steps (from 1): the step is finished and saved."""
    tally = Tally(
        f"{signals[0]} finishes the step, saves and says how to go on, within 30 s",
        f"{', '.join(signals)} from inside a step: exit code 128 + the signal, the checkpoint is of that very step, the message names `rung resume`",
    )
    # One step an epoch would do without a validation between: the loss is called in steps only when the epoch has not ended.
    training = Training({"train.epochs": 2, "train.batch_size": 8, "train.loss": "stopping.py:loss", "data.per_class": 50})
    (fresh(work / "unbroken") / "stopping.py").write_text(STOPPING)
    ended = forks.run(training.words(), work / "unbroken")
    if ended.code != 0:
        raise RuntimeError(f"the undisturbed training ended with {ended.code}: {ended.err}")
    whole = Unbroken(training, content(work / "unbroken" / NAME), ended.seconds)
    slowest = 0.0
    for step in steps:
        folder = fresh(work / "trial")
        (folder / "stopping.py").write_text(STOPPING)
        ended = forks.run(training.words(), folder, environment={"TORTURE": " ".join(f"{step}:{name}" for name in signals)})
        slowest = max(slowest, ended.seconds)
        failure = None if _saved_step(folder) == step else f"step {_saved_step(folder)} was saved"
        failure = failure or _stopped_badly(forks, whole, folder, ended, signal.Signals[signals[0]])
        tally.count(failure and f"step {step}: {failure}")
    tally.note = f"the slowest took {slowest:.1f} s from its start to its end"
    return tally


def killed_tests(forks: Forks, work: Path, count: int, seed: int = 6) -> Tally:
    """Kill `rung test` at moments of its whole life, and ask again."""
    tally = Tally(
        "A test part that was being opened when its process was killed is opened again, with the same scores, and every opening is in the ledger",
        "kill -9 of `rung test` at random moments, then `rung test` again: the scores of an unbroken test, and a ledger that verifies",
        drawn=True,
    )
    words = ["test", NAME, "--out", "."]
    unbroken(forks, TRAININGS[1], work / "finished")
    ended = forks.run(words, shutil.copytree(work / "finished", work / "tested"))
    expected = atomic.read_json(work / "tested" / NAME / "scores.json")
    for share in moments(count, seed):
        shutil.rmtree(work / "trial", ignore_errors=True)
        folder = shutil.copytree(work / "finished", work / "trial")
        forks.run(words, folder, signals=[(share * ended.seconds, signal.SIGKILL)])
        again = forks.run(words, folder)
        failure = None if again.code == 0 else f"ended with {again.code}: {again.err}"
        if failure is None and atomic.read_json(folder / NAME / "scores.json") != expected:
            failure = "the scores are others"
        if failure is None and ledger.verify(folder) < 1:
            failure = "no opening is in the ledger"
        tally.count(failure and f"killed at {share:.4f} of its life: {failure}")
    return tally


def real_deaths(work: Path, seconds: Sequence[float], whole: Unbroken) -> Tally:
    """Kill real processes after so many seconds, in their imports and after, and go on with real processes."""
    tally = Tally(
        "A new process that is killed while it starts leaves nothing, or a run that can be gone on with",
        "kill -9 of `python -m rung train digits` after random seconds, then `rung resume`",
        drawn=True,
    )
    for after_s in seconds:
        folder = fresh(work / "trial")
        code = real(whole.training.words(), folder, after_s).returncode
        again = real(RESUME, folder)
        if (folder / NAME / "recipe.toml").exists():
            failure = again.stderr if again.returncode else differs(folder / NAME, whole.content)
        else:
            failure = None if again.returncode == 2 and any(words in again.stderr for words in NOTHING) else again.stderr
        tally.count(failure and f"killed after {after_s:.2f} s (code {code}): {failure}")
    return tally


def real(words: Sequence[str], folder: Path, kill_after_s: float | None = None) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own, and kill its group after so many seconds."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT / "src"), "RUNG_CACHE": "off"}
    command = [sys.executable, "-m", "rung", *words]
    with subprocess.Popen(
        command, cwd=folder, env=environment, start_new_session=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            out, err = process.communicate(timeout=kill_after_s)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            out, err = process.communicate()
    return subprocess.CompletedProcess(command, process.returncode, out, err)


def where(run: Path, ended: Ended) -> str:
    """Return in words at which part of its life a training ended, by what it left."""
    if not (run / "recipe.toml").exists():
        return "before there was a run"
    if not (run / "checkpoints" / "last.json").exists():
        return "before the first checkpoint"
    if not (run / "weights.safetensors").exists():
        return "between steps that were saved"
    if not (run / "scores.json").exists():
        return "while it was scored"
    return "after the end" if ended.code == 0 else "while the report was made"


def _killed_badly(ended: Ended) -> str | None:
    if ended.left_over:
        return "a process outlived the group"
    return None if ended.code in (0, -signal.SIGKILL) else f"ended with {ended.code} before it was killed: {ended.err}"


def _nothing_to_resume(ended: Ended) -> str | None:
    clear = ended.code == 2 and any(words in ended.err for words in NOTHING) and "Traceback" not in ended.err
    return None if clear else f"there was nothing to resume, but it ended with {ended.code}: {ended.err}"


def _resumed(forks: Forks, whole: Unbroken, folder: Path) -> str | None:
    """Resume to the end; return what is wrong then, or None. A lock that a dead process left must be spoken of."""
    lock = folder / NAME / "lock"
    dead = f"(process {lock.read_text().split(',')[0].split()[-1]} on " if lock.exists() and lock.read_text().endswith("}\n") else ""
    ended = forks.run(RESUME, folder)
    if ended.code != 0 or "Traceback" in ended.err or ended.left_over:
        return f"the resume ended with {ended.code}: {ended.err}"
    if dead and dead not in ended.err and "is finished" not in ended.err:
        return f"the dead holder {dead}..) is not spoken of: {ended.err}"
    return differs(folder / NAME, whole.content)


def _stopped_badly(forks: Forks, whole: Unbroken, folder: Path, ended: Ended, number: int) -> str | None:
    has_run = (folder / NAME / "recipe.toml").exists()
    is_over = (folder / NAME / "report.html").exists()
    codes = (128 + number, 0) if has_run else (128 + number, 0, -number)  # before its first line, a signal does what it does to any process
    if ended.code not in codes or "Traceback" in ended.err or ended.left_over or ended.seconds > whole.seconds + 30:
        return f"ended with {ended.code} after {ended.seconds:.1f} s: {ended.err}"
    # Between the file that makes it a run and the next line of the command, the message cannot know of it yet.
    is_known = (folder / NAME / "checkpoints" / "last.json").exists() and not is_over
    if ended.code and is_known and f"go on with: rung resume {NAME}" not in ended.err:
        return f"the message does not say how to go on: {ended.err}"
    return _resumed(forks, whole, folder) if has_run else _nothing_to_resume(forks.run(RESUME, folder))


def _saved_step(folder: Path) -> int:
    names = sorted(path.name for path in (folder / NAME / "checkpoints").glob("step-*"))
    return max((int(name.split("-")[1]) for name in names), default=-1)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=200)
    count = parser.parse_args().count
    with tempfile.TemporaryDirectory() as name, Forks() as forks:
        work = Path(name)
        trials: list[Callable[[], Tally]] = [
            lambda: kills(forks, work, count),
            lambda: stops(forks, work, count // 2),
            lambda: stops_in_steps(forks, work, Random(0).sample(range(1, 40), min(39, max(3, count // 8)))),
        ]
        tallies = [trial() for trial in trials]
    print("\n".join(f"{tally}\n    ({tally.note})" for tally in tallies))
    return int(any(tally.failures for tally in tallies))


if __name__ == "__main__":
    sys.exit(main())
