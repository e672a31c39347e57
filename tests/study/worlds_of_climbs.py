"""Trainings that take no time: a world says how good each candidate is, and its runs are written as a training would write them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from rung.errors import DivergedError
from rung.evaluate import predictions as answers
from rung.evaluate.predictions import Predictions
from rung.recipe import Recipe
from rung.store import atomic
from rung.store.run import Run
from rung.study.climb import Climb, Watch
from rung.study.executor import Executor, Job
from rung.study.ladder import RUNS, Ladder
from rung.study.metrics import METRICS
from rung.study.plan import Plan, fitted, plan_of
from rung.study.resolved import Resolved

IMAGES = 400


def usual(settings: Mapping[str, Any]) -> float:
    """A world in which more epochs are better, and nothing else matters."""
    return 0.5 + 0.02 * float(settings.get("train.epochs", 10))


@dataclass
class World:
    """folder: of the ladder. skill: the true accuracy of settings; noise: its deviation over seeds. seconds: of each training.

    diverges: whether settings do; idle: fields that change nothing of a network; rows: which images settings validate on.
    """

    folder: Path
    skill: Callable[[Mapping[str, Any]], float] = usual
    noise: float = 0.002
    seconds: float = 60.0
    diverges: Callable[[Mapping[str, Any], int], bool] = lambda settings, seed: False
    idle: tuple[str, ...] = ()
    rows: Callable[[Mapping[str, Any]], np.ndarray] = lambda settings: np.arange(IMAGES)
    classes: Callable[[Mapping[str, Any]], tuple[str, ...]] = lambda settings: ("a", "b")
    trained: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    def resolve(self, settings: Mapping[str, Any]) -> Resolved:
        whole = {"train.epochs": 10, **settings}
        digest = hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()
        return Resolved(digest, int(whole.get("network.filters", [100])[0]), 1000, self.classes(settings), int(whole["train.epochs"]))

    def train(self, job: Job, tell: Callable[[int, int], None]) -> None:
        self.trained.append(job.label)
        run = Run(self.folder / RUNS / job.key)
        for place in (run.folder, run.checkpoints, run.predictions("train").parent):
            place.mkdir(exist_ok=True)
        run.recipe.write_text("")
        atomic.append_line(run.times, {"train_s": self.seconds, "evaluate_s": 0.0})
        if self.diverges(job.settings, job.seed):
            error = DivergedError("the loss is not finite at step 3")
            run.write_failure(error)
            raise error
        alike = {name: value for name, value in job.settings.items() if name not in self.idle}
        made = int(hashlib.sha256(json.dumps([alike, job.seed], sort_keys=True).encode()).hexdigest()[:8], 16)
        rows = self.rows(job.settings)
        skill = self.skill(job.settings) + self.noise * np.random.default_rng(made).standard_normal()
        right = np.random.default_rng(5).random(2_000)[rows] < skill  # the same images are hard for all
        labels = rows % 2
        logits = np.where((np.arange(2) == labels[:, None]) == right[:, None], 1.0, -1.0).astype(np.float32)
        predicted = Predictions("validation", ("a", "b"), logits, labels, rows, rows * 7 + 3)
        answers.save(run.predictions("validation"), predicted)
        atomic.write_json(run.kept, {"weights_sha256": str(made)})
        values = {metric.score: {"value": metric.whole(predicted)} for metric in METRICS.values() if metric.whole}
        scores = {"train": {"accuracy": {"value": 0.9}}, "validation": {**values, "own": {"mine": values["accuracy"]}}}
        atomic.write_json(run.scores, scores)
        run.report.write_text("")

    def plan(self, *steps: dict[str, Any], **fields: Any) -> Plan:
        return fitted(plan_of({"data": "digits", "step": list(steps), **fields}), Recipe())

    def climb(self, plan: Plan, before: Ladder | None = None) -> Ladder:
        self.trained.clear()
        self.said.clear()
        (self.folder / RUNS).mkdir(parents=True, exist_ok=True)
        with Executor(self.train, 1) as executor:
            return Climb(plan, {}, self.resolve, executor, self.folder, None, Watch(say=self.said.append)).climb(before)


def step(field: str, *values: Any, name: str = "") -> dict[str, Any]:
    return {"name": name or field, "field": field, "candidates": list(values)}
