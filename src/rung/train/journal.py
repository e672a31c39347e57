"""Where a training keeps its checkpoints and rows: in a run folder, or nowhere."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, final

import torch

from rung.errors import RungError
from rung.store import atomic
from rung.train import checkpoint
from rung.train.checkpoint import Checkpoint

Tensors = dict[str, torch.Tensor]


class Interrupted(RungError):
    """A training that was asked to stop, and did so after saving. `exit_code` is 128 + the signal's number."""

    def __init__(self, message: str, signal_number: int) -> None:
        super().__init__(message)
        self.exit_code = 128 + signal_number


class Journal(ABC):
    """What the loop asks of whoever keeps its state."""

    @abstractmethod
    def last(self) -> Checkpoint | None:
        """Return the newest checkpoint, or None before the first."""

    @abstractmethod
    def best(self) -> Tensors | None:
        """Return the best weights kept so far, or None."""

    @abstractmethod
    def save(self, slot: Literal["last", "best"], tensors: Tensors, state: dict[str, Any]) -> None:
        """Keep a checkpoint: all of it or nothing."""

    @abstractmethod
    def append(self, row: dict[str, Any], times: dict[str, Any]) -> None:
        """Keep the row of one epoch, and its times apart from it."""

    @abstractmethod
    def after_step(self, save: Callable[[], None]) -> None:
        """Save if it is time to; raise Interrupted after saving if a stop was asked for."""

    @abstractmethod
    def finish(self, save: Callable[[], None]) -> None:
        """Save the end of the training."""


@final
class NoJournal(Journal):
    """Keeps nothing but the rows, in memory: for trainings without a run folder."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self.times: list[dict[str, Any]] = []

    def last(self) -> Checkpoint | None:
        return None

    def best(self) -> Tensors | None:
        return None

    def save(self, slot: Literal["last", "best"], tensors: Tensors, state: dict[str, Any]) -> None:
        return

    def append(self, row: dict[str, Any], times: dict[str, Any]) -> None:
        self.rows.append(row)
        self.times.append(times)

    def after_step(self, save: Callable[[], None]) -> None:
        return

    def finish(self, save: Callable[[], None]) -> None:
        return


@final
class RunJournal(Journal):
    """Keeps all in a run folder.

    Checkpoints are written every `every_s` seconds of the monotonic clock, when a stop is asked for, and at the end; which ones
    are written changes no result. Rows after the last checkpoint are cut off when a training goes on, for they come again.
    """

    def __init__(self, folder: Path, every_s: float = 30.0, stop_signal: Callable[[], int | None] = lambda: None) -> None:
        self.folder = folder
        self.every_s = every_s
        self.stop_signal = stop_signal
        self.notes: list[str] = []
        self._saved_at = time.monotonic()
        self._best_saved: dict[str, Any] | None = None

    def last(self) -> Checkpoint | None:
        found = checkpoint.load(self.folder / "checkpoints", "last")
        kept_step = 0
        if found is not None:
            self.notes += found.notes
            kept_step = found.state["progress"]["step"]
        for name in ("metrics.jsonl", "times.jsonl"):
            self._cut(self.folder / name, kept_step)
        return found

    def _cut(self, path: Path, kept_step: int) -> None:
        """Keep only whole rows of epochs that the checkpoint has behind it."""
        if path.exists():
            rows, _ = atomic.read_lines(path)
            kept = [row for row in rows if row["step"] <= kept_step]
            if len(kept) < len(rows) or _:
                atomic.write_lines(path, kept)

    def best(self) -> Tensors | None:
        found = checkpoint.load(self.folder / "checkpoints", "best")
        if found is None:
            return None
        self.notes += found.notes
        return found.tensors

    def save(self, slot: Literal["last", "best"], tensors: Tensors, state: dict[str, Any]) -> None:
        if slot == "best":
            if state == self._best_saved:
                return
            self._best_saved = state
        checkpoint.save(self.folder / "checkpoints", slot, tensors, state)

    def append(self, row: dict[str, Any], times: dict[str, Any]) -> None:
        atomic.append_line(self.folder / "metrics.jsonl", row)
        atomic.append_line(self.folder / "times.jsonl", times)

    def after_step(self, save: Callable[[], None]) -> None:
        signal_number = self.stop_signal()
        if signal_number is None and time.monotonic() - self._saved_at < self.every_s:
            return
        save()
        self._saved_at = time.monotonic()
        if signal_number is not None:
            raise Interrupted(f"stopped and saved; go on with: rung resume {self.folder}", signal_number)

    def finish(self, save: Callable[[], None]) -> None:
        save()
