"""Made-up ladders: scores drawn at random, decided by the referee, as `rung ladder` would write them down."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np

from rung.study.curse import Fall
from rung.study.ladder import Candidate, Ladder, LadderStep
from rung.study.measured import Measured
from rung.study.metrics import metric_named
from rung.study.plan import Plan, plan_of
from rung.study.referee import judge

Truth = Mapping[str, float]


def plan(truths: Sequence[Truth], seeds: int = 5, **more: object) -> Plan:
    """Return a plan whose steps have these candidates."""
    names = [f"{['width', 'rate', 'dropout', 'depth'][i % 4]}{f' {i}' if i > 3 else ''}" for i in range(len(truths))]
    groups = [[{"name": name, "train.epochs": 2 + j} for j, name in enumerate(truth)] for truth in truths]
    steps = [{"name": name, "why": "because", "group": group} for name, group in zip(names, groups, strict=True)]
    return plan_of({"data": "digits", "name": "made", "recipe": "digits", "seeds": seeds, "step": steps, **more})


def ladder(truths: Sequence[Truth], *, start: float = 0.96, deviation: float = 0.003, seeds: int = 5, decided: int | None = None, **more: object) -> Ladder:
    """Return a ladder; truths: {candidate: its true score} a step; decided: how many steps, None for all; more: fields of the plan."""
    drawn = np.random.default_rng(3)
    made = plan(truths, seeds, **more)
    sign = metric_named(made.metric).sign
    share = made.metric != "loss"

    def candidate(name: str, truth: float, size: int) -> Candidate:
        values = tuple(float(value) for value in truth + deviation * drawn.standard_normal(seeds))
        runs = tuple(hashlib.sha256(f"{name} {seed}".encode()).hexdigest()[:16] for seed in range(seeds))
        return Candidate(name, {"train.epochs": size}, tuple(range(seeds)), runs, values, truth - 0.004, 0.012, 10_000 * (size + 1), 400_000 * (size + 1))

    def measured(one: Candidate) -> Measured:
        return Measured(one.name, one.parameters or 0, one.flops or 0, one.seeds, sign * np.array(one.values), share=share)

    steps, kept = [], candidate("start", start, 1)
    for number, truth in enumerate(truths if decided is None else truths[:decided], 1):
        candidates = tuple(candidate(name, value, size) for size, (name, value) in enumerate(truth.items(), 2))
        verdict = judge(measured(kept), [measured(one) for one in candidates], step=number, level=made.level, tie_margin=made.tie_margin)
        step = made.steps[number - 1]
        steps.append(LadderStep(number, step.name, step.why, step.notes, step.field, "decided", kept, candidates, verdict, verdict.kept, verdict.reason))
        found = steps[-1].named(verdict.kept)
        kept = Candidate("start", {}, found.seeds, found.runs, found.values, found.macro_f1, found.gap, found.parameters, found.flops)
    ended = decided is None or decided == len(truths)
    score = sum(kept.values) / len(kept.values)
    fall = Fall(0.0021, -0.0004, 0.0046, 0.95, sign * score, sign * score - 0.0021, "") if steps else None
    return Ladder(made, tuple(steps), {"train.epochs": 3}, "start", ended, fall)
