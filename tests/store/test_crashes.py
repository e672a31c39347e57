"""A model of the run store that dies between any two file operations and is opened again, on a drive that drops."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from rung.store import atomic, ledger, lock, slots
from rung.store.run import Run, create, list_runs, open_run

CHANGING = ("open", "write", "fsync", "replace", "unlink", "mkdir", "ftruncate")


class Death(BaseException):
    """The process is gone: no handler catches it."""


class Disk:
    """Stands before the calls of `os`.

    left: after so many of them every further one is Death, as for a process that was killed. drops: after so many, so many fail as on a
    network drive that drops.
    """

    def __init__(self, patch: pytest.MonkeyPatch):
        self.left: int | None = None
        self.drops: tuple[int, int] = (0, 0)
        self.torn = 0.0
        patch.setattr(atomic.time, "sleep", lambda _: None)
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
            after, failures = self.drops
            self.drops = (max(after - 1, 0), failures - (after == 0 and failures > 0))
            if after == 0 and failures > 0:
                raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))
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
        self.openings = {"A": 0, "B": 0}
        self.step = 0
        self.moves = 0

    def teardown(self):
        self.disk.left = None
        self.patch.undo()
        shutil.rmtree(self.root)

    def _survives(self, action, deaths, drops=(0, 0)):
        """Do the action; die after `deaths` file operations, if it has so many. Return whether it was acknowledged."""
        self.disk.left, self.disk.drops = deaths, drops
        try:
            action()
        except Death:
            return False
        finally:
            self.disk.left, self.disk.drops = None, (0, 0)
        return True

    crash = st.none() | st.integers(0, 30)
    drop = st.tuples(st.integers(0, 15), st.integers(0, 3))  # three failures in a row are what is tried again

    @precondition(lambda self: self.run is None)
    @rule(deaths=crash)
    def create(self, deaths):
        def make():
            made = create(self.root, "model", 0)
            atomic.write_text(made.recipe, 'name = "model"\n')
            self.run = made

        self._survives(make, deaths)

    @precondition(lambda self: self.run is not None)
    @rule(deaths=crash, torn=st.floats(0, 1), drops=drop)
    def append(self, deaths, torn, drops):
        self.disk.torn = torn
        row = len(self.rows)
        if self._survives(lambda: atomic.append_line(self.run.metrics, {"row": row, "text": "x" * 50}), deaths, drops):
            self.rows.append(row)
        else:
            rows = self._opened_again()
            assert rows in (self.rows, [*self.rows, row])
            self.rows = rows

    @precondition(lambda self: self.run is not None)
    @rule(slot=st.sampled_from(("last", "last", "best")), deaths=crash, torn=st.floats(0, 1), advance=st.booleans(), drops=drop)
    def save(self, slot, deaths, torn, advance, drops):
        self.disk.torn = torn
        self.step += advance
        step = self.step
        if self._survives(lambda: slots.commit(self.run.checkpoints, slot, b"%d" % step * 100, {"step": step}, {}), deaths, drops):
            self.saved[slot] = step
        else:
            assert self._opened_again() == self.rows
            stored = slots.fetch(self.run.checkpoints, slot)
            found = stored and stored.state["step"]
            assert found in (self.saved[slot], step)
            self.saved[slot] = found

    @rule(key=st.sampled_from("AB"), deaths=crash, torn=st.floats(0, 1), drops=drop)
    def open_test(self, key, deaths, torn, drops):
        self.disk.torn = torn
        counts: list[int] = []
        is_done = self._survives(lambda: counts.append(ledger.record(self.root, key, {})["opening"]), deaths, drops)
        found = len(ledger.openings(self.root, key))
        assert not is_done or counts == [found], "what is acknowledged is the number of the last line"
        # Each try that did not come to its end may have left its line: an opening too many is counted, never one too few.
        assert self.openings[key] + is_done <= found <= self.openings[key] + 1 + drops[1]
        self.openings[key] = found

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
    def every_opening_is_there(self):
        assert ledger.verify(self.root) == sum(self.openings.values())

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
