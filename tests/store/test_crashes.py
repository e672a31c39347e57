"""A model of the run store that dies between any two file operations and is opened again."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from rung.store import atomic, lock, slots
from rung.store.run import Run, create, list_runs, open_run

CHANGING = ("open", "write", "fsync", "replace", "unlink", "mkdir", "ftruncate")


class Death(BaseException):
    """The process is gone: no handler catches it."""


class Disk:
    """Stands before the calls of `os`; after so many of them every further one is Death, as for a process that was killed."""

    def __init__(self, patch: pytest.MonkeyPatch):
        self.left: int | None = None
        self.torn = 0.0
        for name in CHANGING:
            patch.setattr(os, name, self._guarded(name, getattr(os, name)))

    def _guarded(self, name, real):
        def call(*arguments, **options):
            if self.left is not None:
                self.left -= 1
                if self.left == -1 and name == "write":  # death in the middle of a write
                    real(arguments[0], bytes(arguments[1])[: int(self.torn * len(arguments[1]))])
                if self.left < 0:
                    raise Death
            return None if name == "fsync" else real(*arguments, **options)

        return call


class Store(RuleBasedStateMachine):
    """What was acknowledged must be there; what was in flight at a death may be there whole, or not at all."""

    def __init__(self):
        super().__init__()
        self.patch = pytest.MonkeyPatch()
        self.disk = Disk(self.patch)
        self.root = Path(tempfile.mkdtemp())
        self.run: Run | None = None
        self.rows: list[int] = []
        self.saved: dict[str, int | None] = {"last": None, "best": None}
        self.step = 0
        self.moves = 0

    def teardown(self):
        self.disk.left = None
        self.patch.undo()
        shutil.rmtree(self.root)

    def _survives(self, action, deaths):
        """Do the action; die after `deaths` file operations, if it has so many. Return whether it was acknowledged."""
        self.disk.left = deaths
        try:
            action()
        except Death:
            return False
        finally:
            self.disk.left = None
        return True

    crash = st.none() | st.integers(0, 30)

    @precondition(lambda self: self.run is None)
    @rule(deaths=crash)
    def create(self, deaths):
        def make():
            made = create(self.root, "model", 0)
            atomic.write_text(made.recipe, 'name = "model"\n')
            self.run = made

        self._survives(make, deaths)

    @precondition(lambda self: self.run is not None)
    @rule(deaths=crash, torn=st.floats(0, 1))
    def append(self, deaths, torn):
        self.disk.torn = torn
        row = len(self.rows)
        if self._survives(lambda: atomic.append_line(self.run.metrics, {"row": row, "text": "x" * 50}), deaths):
            self.rows.append(row)
        else:
            rows = self._opened_again()
            assert rows in (self.rows, [*self.rows, row])
            self.rows = rows

    @precondition(lambda self: self.run is not None)
    @rule(slot=st.sampled_from(("last", "last", "best")), deaths=crash, torn=st.floats(0, 1), advance=st.booleans())
    def save(self, slot, deaths, torn, advance):
        self.disk.torn = torn
        self.step += advance
        step = self.step
        if self._survives(lambda: slots.commit(self.run.checkpoints, slot, b"%d" % step * 100, {"step": step}, {}), deaths):
            self.saved[slot] = step
        else:
            assert self._opened_again() == self.rows
            stored = slots.fetch(self.run.checkpoints, slot)
            found = stored and stored.state["step"]
            assert found in (self.saved[slot], step)
            self.saved[slot] = found

    @precondition(lambda self: self.run is not None)
    @rule()
    def move(self):
        self.moves += 1
        target = self.root / f"moved{self.moves}" / self.run.id
        target.parent.mkdir()
        if self.moves % 2:
            shutil.copytree(self.run.folder, target)
        else:
            self.run.folder.rename(target)
        self.run = open_run(target, self.root)

    def _opened_again(self):
        """Start as resume does, and return the rows of the log."""
        with lock.hold(self.run.folder):
            atomic.sweep(self.run.folder)
            atomic.keep_lines(self.run.metrics, len(self.run.read_rows()))
        return [row["row"] for row in self.run.read_rows()]

    @invariant()
    def all_is_there(self):
        listed = list_runs(self.root)
        if self.run is None:
            assert all(summary.problem or summary.name == "model" for summary in listed)  # what a death in create() left
            return
        assert [row["row"] for row in self.run.read_rows()] == self.rows
        for slot, step in self.saved.items():
            stored = slots.fetch(self.run.checkpoints, slot)
            assert (stored and stored.state["step"]) == step
            assert stored is None or (stored.data, stored.notes) == (b"%d" % step * 100, ())
        assert not [path for path in self.run.folder.rglob("*") if atomic.is_temporary(path.name)]
        assert len(list(self.run.checkpoints.glob("*.safetensors"))) <= 4  # the three slots', and one of a save that was killed


def test_the_store_survives_death_between_any_two_file_operations():
    chosen = settings(max_examples=30, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    run_state_machine_as_test(Store, settings=chosen)
