"""The candidates of one step while it is climbed: their runs, and what was measured of them so far."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rung.errors import RunError
from rung.evaluate import predictions as answers
from rung.evaluate.predictions import Predictions
from rung.store import atomic
from rung.store.run import Run
from rung.study import ended
from rung.study.executor import Job
from rung.study.ladder import Candidate
from rung.study.measured import Measured
from rung.study.metrics import Metric
from rung.study.resolved import Resolved
from rung.study.rules import Standing
from rung.words import quoted

Digests = npt.NDArray[np.int64]


@dataclass
class Entrant:
    """A candidate of a step, or its start.

    change: fields that it changes of the step's start; settings: all it changes of the recipe. seeds: those that have run. same_as, same_how,
    failed: as in `ladder.Candidate`. label: of a start, as in `ladder.LadderStep.start_label`.
    """

    name: str
    change: Mapping[str, Any]
    settings: Mapping[str, Any]
    resolved: Resolved
    seeds: list[int] = field(default_factory=list)
    dropped: bool = False
    same_as: str = ""
    same_how: str = ""
    failed: str = ""
    label: str = ""

    @property
    def called(self) -> str:
        """How sentences call it."""
        return quoted(self.label or self.name)

    @property
    def runs_on(self) -> bool:
        """Whether it takes part in the next round."""
        return not (self.dropped or self.failed or self.same_how == "recipe")

    def job(self, seed: int, label: str) -> Job:
        return Job(self.resolved.key(seed), self.settings, seed, f"{label} '{self.name}' with seed {seed}")


class Results:
    """Reads the runs of a ladder's folder, each once."""

    def __init__(self, runs: Path, metric: Metric) -> None:
        self.runs, self.metric = runs, metric
        self._scores: dict[str, dict[str, Any]] = {}

    def run(self, key: str) -> Run:
        return Run(self.runs / key)

    def finished(self, key: str) -> bool:
        """Return whether nothing is left to do for a run."""
        return ended.finished(self.run(key))

    def diverged(self, key: str) -> str:
        """Return why a run's training diverged when it was tried, "" where it did not: it would again."""
        return ended.diverged(self.run(key))

    def seconds(self, key: str) -> float:
        """Return the seconds that a run's epochs took, those of its validations too; it is what a budget is counted in."""
        return ended.seconds(self.run(key))

    def scores(self, key: str) -> dict[str, Any]:
        if key not in self._scores:
            self._scores[key] = self.run(key).read_scores()
        return self._scores[key]

    def value(self, key: str, part: str = "validation") -> float:
        """Return the ladder's metric of a run on a part, as in scores.json. Raises RunError if it has none."""
        scores = self.scores(key).get(part, {})
        found = scores.get(self.metric.score) or scores.get("own", {}).get(self.metric.name) or {}
        if found.get("value") is None:
            raise RunError(f"{self.run(key).scores} has no {self.metric.name} of {part}: look at that run, or choose another metric")
        return float(found["value"])

    def answers(self, key: str, shared: Digests | None = None) -> Predictions:
        """Return a run's answers to its validation images, or to those `shared`, in the order of digests and labels."""
        found = answers.load(self.run(key).predictions("validation"))
        if shared is not None:
            found = found.take(np.isin(found.digests, shared))
        order = np.lexsort((found.labels, found.digests))
        return replace(found, **{name: getattr(found, name)[order] for name in ("logits", "labels", "rows", "digests")})

    def print(self, key: str) -> str:
        """Return what two runs share only if they are the same network with the same answers."""
        run = self.run(key)
        weights = str(atomic.read_json(run.kept)["weights_sha256"])
        return weights + hashlib.sha256(atomic.read_bytes(run.predictions("validation"))).hexdigest()

    def measured(self, one: Entrant, shared: Digests | None = None) -> Measured:
        """Return what was measured of a candidate; shared: the validation images that count, None: all.

        Images stand in an order that is the same for equal sets of images. One's own metric is read as it is, on all of them.
        """
        metric, keys = self.metric, [one.resolved.key(seed) for seed in one.seeds]
        answers = [self.answers(key, shared) for key in keys] if metric.images or (metric.whole and shared is not None) else []
        whole = [self.value(key) for key in keys] if shared is None or not metric.whole else [metric.whole(found) for found in answers]
        images = metric.sign * np.stack([metric.images(found) for found in answers]) if metric.images else None
        values = metric.sign * np.array(whole)
        return Measured(one.name, one.resolved.parameters, one.resolved.flops, tuple(one.seeds), values, images, metric.share)

    def digests(self, one: Entrant) -> Digests:
        """Return the sorted digests of a candidate's validation images, int64 (N,)."""
        return self.answers(one.resolved.key(one.seeds[0])).digests

    def standing(self, one: Entrant) -> Standing:
        keys = [one.resolved.key(seed) for seed in one.seeds]
        values = tuple(map(self.value, keys))
        f1, gap = self._means(keys)
        return Standing(one.name, values, sum(values) / len(values), f1, gap, one.resolved.parameters, one.resolved.flops)

    def candidate(self, one: Entrant) -> Candidate:
        """Return the record of a candidate, as far as it ran."""
        seeds = tuple(one.seeds)
        keys = tuple(one.resolved.key(seed) for seed in seeds)
        f1, gap = self._means(keys) if keys else (None, None)
        return Candidate(
            name=one.name,
            settings=one.change,
            seeds=seeds,
            runs=keys,
            values=tuple(map(self.value, keys)),
            macro_f1=f1,
            gap=gap,
            parameters=one.resolved.parameters,
            flops=one.resolved.flops,
            dropped_after=len(seeds) if one.dropped else None,
            same_as=one.same_as,
            same_how=one.same_how,  # type: ignore[arg-type]
            failed=one.failed,
        )

    def _means(self, keys: Sequence[str]) -> tuple[float, float]:
        """Return the mean macro F1, and the mean gap of training and validation accuracy."""
        f1 = [self.scores(key)["validation"]["macro_f1"]["value"] for key in keys]
        gaps = [self.scores(key)["train"]["accuracy"]["value"] - self.scores(key)["validation"]["accuracy"]["value"] for key in keys]
        return sum(f1) / len(f1), sum(gaps) / len(gaps)


def shared_digests(each: Sequence[Digests]) -> Digests:
    """Return the digests that all have, each once: of an image that is there twice it is not known which is which."""
    once = [values[counts == 1] for values, counts in (np.unique(digests, return_counts=True) for digests in each)]
    return reduce(np.intersect1d, once)
