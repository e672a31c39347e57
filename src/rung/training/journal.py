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
from rung.store.run import Run
from rung.training import checkpoint
from rung.training.checkpoint import Checkpoint
from rung.training.environment import differences, environment

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
    def note(self, sentence: str) -> None:
        """Keep a sentence that the user must hear, once."""

    @abstractmethod
    def after_step(self, save: Callable[[], None]) -> None:
        """Save if it is time to; raise Interrupted after saving if a stop was asked for."""

    @abstractmethod
    def check(self) -> None:
        """Raise Interrupted, without saving, if a stop was asked for."""

    @abstractmethod
    def finish(self, save: Callable[[], None]) -> None:
        """Save the end of the training."""


@final
class NoJournal(Journal):
    """Keeps nothing but rows and notes, in memory: for trainings without a run folder."""

    def __init__(self) -> None:
        self.notes: list[str] = []
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

    def note(self, sentence: str) -> None:
        self.notes.append(sentence)

    def after_step(self, save: Callable[[], None]) -> None:
        return

    def check(self) -> None:
        return

    def finish(self, save: Callable[[], None]) -> None:
        return


@final
class RunJournal(Journal):
    """Keeps all in a run folder.

    Checkpoints are written every `every_s` seconds of the monotonic clock, when a stop is asked for, and at the end; which ones
    are written changes no result. Rows after the last checkpoint are cut off when a training goes on, for they come again.
    `notes`: what a user must hear: of the checkpoint that was gone on from, damage and what the bits now depend on. They are
    told to `say` when they come up, and kept with the checkpoints, so that a second interruption does not lose them.
    """

    def __init__(
        self,
        folder: Path,
        device: str = "cpu",
        every_s: float = 30.0,
        stop_signal: Callable[[], int | None] = lambda: None,
        say: Callable[[str], None] = lambda sentence: None,
    ) -> None:
        self.run = Run(folder)
        self.device = device
        self.every_s = every_s
        self.stop_signal = stop_signal
        self.say = say
        self.notes: list[str] = []
        self._saved_at = time.monotonic()
        self._best_saved: dict[str, Any] | None = None
        self._rows = 0

    def last(self) -> Checkpoint | None:
        found = checkpoint.load(self.run.checkpoints, "last")
        if found is not None:
            self.notes += found.state.get("notes", [])
            self._note(*found.notes)
            self._rows = found.state["rows"]
            if changed := differences(found.environment, environment(self.device)):
                self._note(f"resume is not bit-exact because {'; '.join(changed)}")
        for path in (self.run.metrics, self.run.times):
            if atomic.exists(path) or self._rows:
                atomic.keep_lines(path, self._rows)
        return found

    def best(self) -> Tensors | None:
        found = checkpoint.load(self.run.checkpoints, "best")
        if found is None:
            return None
        self._note(*found.notes)
        return found.tensors

    def _note(self, *sentences: str) -> None:
        for sentence in sentences:
            self.notes.append(sentence)
            self.say(sentence)

    def save(self, slot: Literal["last", "best"], tensors: Tensors, state: dict[str, Any]) -> None:
        if slot == "best":
            if state == self._best_saved:
                return
            self._best_saved = state
        checkpoint.save(self.run.checkpoints, slot, tensors, state | {"rows": self._rows, "notes": self.notes})

    def append(self, row: dict[str, Any], times: dict[str, Any]) -> None:
        atomic.append_line(self.run.metrics, row)
        atomic.append_line(self.run.times, times)
        self._rows += 1

    def note(self, sentence: str) -> None:
        if sentence not in self.notes:
            self._note(sentence)

    def after_step(self, save: Callable[[], None]) -> None:
        if self.stop_signal() is None and time.monotonic() - self._saved_at < self.every_s:
            return
        save()
        self._saved_at = time.monotonic()
        self.check()

    def check(self) -> None:
        signal_number = self.stop_signal()
        if signal_number is not None:
            raise Interrupted(f"stopped and saved; go on with: rung resume {self.run.folder}", signal_number)

    def finish(self, save: Callable[[], None]) -> None:
        save()
