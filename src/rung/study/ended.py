"""How the runs of a study ended, read from their folders; known without torch."""

from __future__ import annotations

from rung.errors import DivergedError
from rung.store import atomic
from rung.store.run import Run


def finished(run: Run) -> bool:
    """Return whether nothing is left to do for a run."""
    return atomic.exists(run.report) and run.state() == "finished"


def diverged(run: Run) -> str:
    """Return why a run's training diverged when it was tried, "" where it did not: it would again."""
    if atomic.exists(run.scores) or not atomic.exists(run.failure):
        return ""
    failure = atomic.read_json(run.failure)
    return str(failure["message"]) if failure.get("kind") == DivergedError.__name__ else ""


def seconds(run: Run) -> float:
    """Return the seconds that a run's epochs took, those of its validations too."""
    return float(sum(row["train_s"] + row["evaluate_s"] for row in atomic.read_lines(run.times).rows))
