"""Trainings of a study: recipes that are trained with some seeds and can then be measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rung.study.entrants import Entrant, Results
from rung.study.executor import Executor, Job, Observe
from rung.study.resolved import Resolve


def entrant(name: str, change: Mapping[str, Any], base: Mapping[str, Any], resolve: Resolve) -> Entrant:
    """Return a recipe that can be trained: `change` put over `base`. Raises what `resolve` raises where it cannot be trained."""
    settings = {**base, **change}
    return Entrant(name, dict(change), settings, resolve(settings))


def train_all(
    trainings: Sequence[tuple[Entrant, int]],
    executor: Executor,
    results: Results,
    label: str,
    observe: Callable[[int, int], None] = lambda done, total: None,
    watch: Observe = lambda job, step, steps: None,
) -> None:
    """Train recipes with seeds; what is finished already is not trained again. `seeds` and `failed` of the entrants are set.

    label: what these trainings are called in messages. observe(done, total) is called with trainings done, watch(job, step, steps) with each step.

    Raises: what `Executor.run` raises.
    """
    jobs = [one.job(seed, label) for one, seed in trainings]
    diverged = {job.key: why for job in jobs if (why := results.diverged(job.key))}
    to_do = [job for job in jobs if job.key not in diverged and not results.finished(job.key)]
    before = len(jobs) - len(to_do)
    ended: set[str] = set()
    observe(before, len(jobs))

    def tell(job: Job, step: int, steps: int) -> None:
        watch(job, step, steps)
        if step >= steps and job.key not in ended:
            ended.add(job.key)
            observe(before + len(ended), len(jobs))

    diverged |= executor.run(to_do, tell)
    observe(len(jobs), len(jobs))
    for one, seed in trainings:
        key = one.resolved.key(seed)
        if key not in diverged:
            one.seeds.append(seed)
        elif not one.failed:
            one.failed = f"with seed {seed} {diverged[key]}"
