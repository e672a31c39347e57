"""Peers: stand-alone scripts that train on arrays as their own library's users do, started in a process of their own and read by what they print."""

from __future__ import annotations

import json
import math
import os
import shlex
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from rung.errors import RunError, one_line
from rung.study.bench import Epoch, Trial
from rung.training.journal import Interrupted
from rung.training.process import stop_signals, thread_variables
from rung.words import duration

_LOOK_S: Final = 0.2  # between two looks at whether the peer has ended or a stop was asked for
_PATIENCE: Final = (20.0, 600.0)  # times the seconds it was given, and more seconds for its start: a peer that takes longer is ended
_SHOWN: Final = 300  # characters of what a peer said last
_EPOCHS: Final = 10_000


@dataclass(frozen=True)
class Peer:
    """A script and the options that it is given besides those of every peer. name: of its file, and its options where it has some."""

    name: str
    file: Path
    options: tuple[str, ...] = ()


def peer_of(words: str | Path) -> Peer:
    """Return the peer that is meant by a path, or by a path with options: "keras_model_s.py --precision bfloat16".

    Raises: RunError if there is no such file.
    """
    file, options = Path(words), []
    if not file.is_file():
        try:
            first, *options = shlex.split(str(words))
        except ValueError:
            first = str(words)
        file = Path(first)
    if not file.is_file():
        raise RunError(f"there is no peer {one_line(str(words))}: give the path of a script; docs/bench.md says what it reads and prints")
    return Peer(" ".join([file.stem, *(option.lstrip("-") for option in options)]), file.absolute(), tuple(options))


def python_of(path: str | Path) -> str:
    """Return the Python that peers are run by. Raises: RunError if there is none."""
    found = shutil.which(str(path))
    if found is None:
        raise RunError(f"there is no Python at {path}: give the path of an environment's own, such as PEERS/bin/python")
    return os.path.abspath(found)  # not resolved: an environment's Python is a link, and found by where the link lies


def run_peer(peer: Peer, python: str, data: Path, folder: Path, *, seconds: float, seed: int, threads: int) -> Trial:
    """Let a peer train on the arrays of `data`, an .npz; what it prints is kept in `folder`. What it fails with is the trial's problem.

    Raises: Interrupted after a stop signal, when the peer has been ended.
    """
    words = [python, str(peer.file), "--data", str(data), "--seconds", f"{seconds:g}", "--epochs", str(_EPOCHS), "--seed", str(seed), "--threads", str(threads)]
    output, errors = (folder / f"{peer.name}-{seed}.{end}" for end in ("out", "err"))
    limit_s = _PATIENCE[0] * seconds + _PATIENCE[1]
    code = _ended([*words, *peer.options], output, errors, threads, limit_s)
    said = errors.read_text(errors="replace").strip().splitlines()
    last = one_line(said[-1].strip(), _SHOWN) if said else "it said nothing"
    if code is None:
        return Trial(peer.name, seed, (), problem=f"{peer.name} was ended after {duration(limit_s)}; the last it said: {last}")
    if code:
        how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        return Trial(peer.name, seed, (), problem=f"{peer.name} {how}: {last}")
    return trial_of(peer.name, seed, output.read_text(errors="replace"))


def _ended(words: list[str], output: Path, errors: Path, threads: int, limit_s: float) -> int | None:
    """Run a command to its end; returns its exit code, None where it took too long."""
    environment = os.environ | thread_variables(threads) | {"TF_CPP_MIN_LOG_LEVEL": "3"}  # what TensorFlow says of itself would hide what went wrong
    with output.open("wb") as out, errors.open("wb") as err, stop_signals() as stop_signal:
        process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=environment)
        until = time.monotonic() + limit_s
        try:
            while time.monotonic() < until:
                try:
                    return process.wait(_LOOK_S)
                except subprocess.TimeoutExpired:
                    if number := stop_signal():
                        raise Interrupted("stopped; the peer was ended, and nothing is shown of this race", number) from None
            return None
        finally:
            process.kill()
            process.wait()


def trial_of(name: str, seed: int, text: str) -> Trial:
    """Return what a peer printed as a trial; lines that are no JSON object are its own affair."""
    epochs: list[Epoch] = []
    versions: dict[str, str] = {}
    for line in text.splitlines():
        row = _object(line)
        if "versions" in row:
            versions = {str(key): str(value) for key, value in dict(row["versions"]).items()}
        elif "accuracy" in row:
            epoch = _epoch(row, epochs[-1].seconds if epochs else 0.0)
            if epoch is None:
                return Trial(name, seed, (), problem=f"{name} printed what is no epoch: {one_line(line, _SHOWN)}")
            epochs.append(epoch)
    return Trial(name, seed, tuple(epochs), versions, "" if epochs else f"{name} printed no line of an epoch")


def _object(line: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except ValueError:
        return {}
    return row if isinstance(row, dict) else {}


def _epoch(row: dict[str, Any], before_s: float) -> Epoch | None:
    """Return the epoch of a line; None where a number lacks or cannot be: time does not stand still, a share lies in 0..1."""
    try:
        epoch = Epoch(float(row["seconds"]), int(row["images"]), float(row["accuracy"]), float(row.get("validation_seconds", 0.0)))
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
    sound = before_s < epoch.seconds < math.inf and epoch.images > 0 and 0 <= epoch.accuracy <= 1
    return epoch if sound else None
