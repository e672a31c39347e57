"""Trainings outside a ladder: what runs, what is read, what failed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rung.errors import DivergedError
from rung.study.entrants import Results
from rung.study.executor import Executor, Job
from rung.study.metrics import metric_named
from rung.study.resolved import Resolved
from rung.study.trained import entrant, train_all


def resolve(settings: Mapping[str, Any]) -> Resolved:
    return Resolved(json.dumps(settings, sort_keys=True), 1, 1, ("a", "b"), 1)


class Told(Executor):
    """Trains nothing, and says that the training of one setting diverged with seed 1."""

    def __init__(self) -> None:
        self.jobs: list[Job] = []

    def run(self, jobs: Any, observe: Any = lambda job, step, steps: None) -> dict[str, str]:
        self.jobs += jobs
        for job in jobs:
            observe(job, 1, 2)
            observe(job, 2, 2)
            observe(job, 2, 2)
        return {job.key: "the loss is not finite" for job in jobs if job.settings["train.epochs"] == 9 and job.seed == 1}


def test_a_change_goes_over_the_base_and_is_remembered_alone() -> None:
    made = entrant("mine", {"train.epochs": 3}, {"train.epochs": 1, "seed": 0}, resolve)
    assert made.settings == {"train.epochs": 3, "seed": 0}
    assert made.change == {"train.epochs": 3}


def test_what_diverges_fails_and_the_others_keep_their_seeds(tmp_path: Path) -> None:
    good, bad = (entrant(name, {"train.epochs": epochs}, {}, resolve) for name, epochs in (("good", 3), ("bad", 9)))
    executor, said = Told(), list[tuple[int, int]]()
    train_all(
        [(one, seed) for seed in (0, 1) for one in (good, bad)],
        executor,
        Results(tmp_path, metric_named("accuracy")),
        "a study,",
        lambda done, total: said.append((done, total)),
    )
    assert (good.seeds, good.failed) == ([0, 1], "")
    assert (bad.seeds, bad.failed) == ([0], "with seed 1 the loss is not finite")
    assert said == [(0, 4), (1, 4), (2, 4), (3, 4), (4, 4), (4, 4)]
    assert executor.jobs[0].label == "a study, 'good' with seed 0"


def test_what_is_finished_or_diverged_before_is_not_run_again(tmp_path: Path) -> None:
    one = entrant("one", {"train.epochs": 3}, {}, resolve)
    finished, diverged = (tmp_path / one.resolved.key(seed) for seed in (0, 1))
    finished.mkdir()
    (finished / "scores.json").write_text(json.dumps({"validation": {"accuracy": {"value": 0.9}}}))
    (finished / "report.html").write_text("")
    diverged.mkdir()
    (diverged / "failure.json").write_text(json.dumps({"kind": DivergedError.__name__, "message": "it diverged"}))
    executor = Told()
    train_all([(one, seed) for seed in (0, 1, 2)], executor, Results(tmp_path, metric_named("accuracy")), "a study,")
    assert [job.seed for job in executor.jobs] == [2]
    assert (one.seeds, one.failed) == ([0, 2], "with seed 1 it diverged")
