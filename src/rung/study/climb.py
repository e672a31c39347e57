"""Climbing a ladder: step by step, seed by seed, until every step is decided or the budget is spent.

What is decided is a function of the plan and of the finished runs. So a climb that was stopped, however it was, is gone on with by climbing again: runs that
are finished are read, those that had begun are gone on with, and the same steps come out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from rung.errors import RecipeError, RunError
from rung.study import referee, rules
from rung.study.changes import start_text
from rung.study.curse import Decided, expected_fall
from rung.study.entrants import Digests, Entrant, Results, shared_digests
from rung.study.executor import Executor, Job
from rung.study.ladder import RUNS, Ladder, LadderStep, called, write_ladder
from rung.study.measured import Measured
from rung.study.metrics import metric_named
from rung.study.opened import with_openings
from rung.study.plan import START, Plan, Step, too_small
from rung.study.resolved import Resolve
from rung.study.trained import entrant, train_all
from rung.words import plural, quoted

_LEAST: Final = 2  # seeds before anything can be said
_FEWEST: Final = 30  # validation images that two must share to be compared on them


@dataclass(frozen=True)
class Watch:
    """Who is told how far a climb is.

    begun(number, steps, name, candidates): a step begins with these; job(job, step, steps): a training took a step; decided(step): its record;
    say(sentence): what there is to say.
    """

    begun: Callable[[int, int, str, Sequence[str]], None] = lambda number, steps, name, candidates: None
    job: Callable[[Job, int, int], None] = lambda job, step, steps: None
    decided: Callable[[LadderStep], None] = lambda step: None
    say: Callable[[str], None] = lambda sentence: None


@dataclass
class Climb:
    """A ladder that is being climbed.

    plan: fitted to its recipe (`plan.fitted`). fixed: settings of all candidates besides those of the plan. folder: of the ladder; base: of the ladder file.
    """

    plan: Plan
    fixed: Mapping[str, Any]
    resolve: Resolve
    executor: Executor
    folder: Path
    base: Path | None = None
    watch: Watch = field(default_factory=Watch)

    def __post_init__(self) -> None:
        self.results = Results(self.folder / RUNS, metric_named(self.plan.metric))
        self.used: dict[str, None] = {}  # keys of the runs that this ladder took so far
        self.known: dict[str, str] = {}  # identities of all candidates so far, and the first that had each

    def climb(self, before: Ladder | None = None) -> Ladder:
        """Climb all steps that the budget allows; before: the ladder as it was when it was climbed last, which knows when its test part was opened.

        ladder.json is written after each step.

        Raises: RecipeError for a candidate that cannot be made or a budget too small for two seeds; RunError if the start of a step diverges; what
        `Executor.run` raises.
        """
        kept: dict[str, Any] = {}
        decided: list[Decided] = []
        ladder = shown = Ladder(self.plan)
        for number, step in enumerate(self.plan.steps, 1):
            done, judged = self._step(number, step, kept)
            if judged is not None:
                decided.append(judged)
            kept |= done.named(done.kept).settings
            winner = ladder.winner if done.kept == START else f"{done.kept} of step {number}"
            fall = expected_fall(decided, called=called(winner), sign=self.results.metric.sign) if decided else None
            ladder = replace(ladder, steps=(*ladder.steps, done), settings=dict(kept), winner=winner, fall=fall)
            spent = () if done.state == "decided" else (self._spent(number),)
            ladder = replace(ladder, ended=not spent and number == len(self.plan.steps), told=spent)
            shown = with_openings(ladder, self.results, before)
            write_ladder(self.folder, shown)
            self.watch.decided(done)
            if spent:
                break
        return shown

    def _step(self, number: int, step: Step, kept: Mapping[str, Any]) -> tuple[LadderStep, Decided | None]:
        """Climb one step; kept: what the steps before it changed."""
        entrants, told = self._entrants(number, step, kept)
        start, *candidates = entrants
        self.watch.begun(number, len(self.plan.steps), step.name, [one.name for one in entrants])
        whole = self._rounds(number, step, entrants)
        told += [f"{quoted(one.name)} has no score: {one.failed}" for one in candidates if one.failed]
        told += [f"Racing dropped {quoted(one.name)} after {plural(len(one.seeds), 'seed')}: it could not win any more." for one in candidates if one.dropped]
        verdict, judged = None, None
        decision = rules.Ruling(START, "Not begun: the budget is spent." if not start.seeds else "It cannot be told at this budget: it is spent.")
        if whole:
            told += self._same_weights(entrants)
            alive = [one for one in candidates if not (one.failed or one.same_as)]
            decision = rules.Ruling(START, f"{quoted(START)} stays: no candidate is left to compare with it.")
            shared, alive, compared = self._comparable(start, alive)
            told += compared
            measured = []
            if alive:
                measured = [self.results.measured(one, shared) for one in (start, *alive)]
                verdict = referee.judge(measured[0], measured[1:], step=number, level=self.plan.level, tie_margin=self.plan.tie_margin)
            if step.keep:
                decision = rules.kept_by_file(step.keep, verdict)
            elif verdict:
                full = [self.results.standing(one) for one in (start, *alive) if not one.dropped]
                decision = rules.decide(self.plan.rule, full, verdict, self.plan.tie_margin, self.base)
            judged = self._decided(entrants, alive, decision.kept, measured if shared is None else [])
        records = [self.results.candidate(one) for one in entrants]
        done = LadderStep(
            number=number,
            name=step.name,
            why=step.why,
            notes=step.notes,
            field=step.field,
            state="decided" if whole else "budget spent" if start.seeds else "not begun",
            start=records[0],
            candidates=tuple(records[1:]),
            verdict=verdict,
            kept=decision.kept,
            reason=decision.reason,
            told=tuple(told),
            keep=step.keep,
            start_label=start.label,
        )
        return done, judged

    def _entrants(self, number: int, step: Step, kept: Mapping[str, Any]) -> tuple[list[Entrant], list[str]]:
        """Return the step's start and candidates, and what there is to say about them before anything is trained."""
        base = {**self.fixed, **self.plan.settings, **kept}
        start = entrant(START, {}, base, self.resolve)
        start.label = start_text(step, start.resolved.values)
        entrants, told = [start], []
        for choice in step.choices:
            try:
                one = entrant(choice.name, choice.settings, base, self.resolve)
            except RecipeError as error:
                raise RecipeError(f"step {number} '{step.name}', candidate '{choice.name}': {error}") from None
            if one.resolved.classes != start.resolved.classes:
                raise RecipeError(f"step {number} '{step.name}', candidate '{choice.name}' has other classes: scores of two tasks cannot be compared")
            if twin := next((other for other in entrants if other.resolved.identity == one.resolved.identity), None):
                one.same_as, one.same_how = twin.name, "recipe"
                told.append(f"{quoted(one.name)} is the same network as {twin.called}: its whole recipe is equal, and it is not trained again.")
            elif one.resolved.identity in self.known:
                told.append(f"{quoted(one.name)} is the same network as {self.known[one.resolved.identity]}: its runs are taken from there.")
            entrants.append(one)
        for one in entrants:
            self.known.setdefault(one.resolved.identity, f"{one.called} of step {number}")
        if len({one.resolved.epochs for one in entrants}) > 1:
            told.append("Its candidates train for different numbers of epochs: what is compared is the setting and its training time together.")
        return entrants, told

    def _rounds(self, number: int, step: Step, entrants: Sequence[Entrant]) -> bool:
        """Run seed after seed for all that are still in; returns False where the budget ended before the last seed."""
        seeds = self.plan.seeds
        race = self.plan.race and self.plan.rule == "score" and not step.keep
        first = _LEAST if self.plan.budget_minutes else referee.FIRST_LOOK if race else len(seeds)
        for batch in [seeds[:first], *((seed,) for seed in seeds[first:])]:
            running = [one for one in entrants if one.runs_on]
            if not self._affordable(running, batch):
                if number == 1 and batch[0] == seeds[0]:
                    raise RecipeError(self._too_small(len(running)))
                return False
            self._run(number, step, running, batch)
            if race:
                self._drop(entrants)
        for one in entrants:
            if one.same_how == "recipe":
                one.seeds = next(other for other in entrants if other.name == one.same_as).seeds
        return True

    def _run(self, number: int, step: Step, running: Sequence[Entrant], seeds: Sequence[int]) -> None:
        """Run these seeds for those that are still in; what is finished already is not run again."""
        label = f"step {number} '{step.name}',"
        train_all([(one, seed) for seed in seeds for one in running], self.executor, self.results, label, watch=self.watch.job)
        self.used |= dict.fromkeys(one.resolved.key(seed) for one in running for seed in seeds)
        if why := next((one.failed for one in running if one.name == START), ""):
            raise RunError(f"{label} has no start to compare with: {why}")
        if why := next((one.failed for one in running if one.name == step.keep), ""):
            raise RunError(f"{label} cannot go on from '{step.keep}', which the ladder's file keeps: {why}")

    def _drop(self, entrants: Sequence[Entrant]) -> None:
        """Take those out of the race that cannot win any more."""
        start, *candidates = entrants
        others = [one for one in candidates if not (one.failed or one.same_as)]
        shared, others, _ = self._comparable(start, others)
        if not others:
            return
        measured = [self.results.measured(one, shared) for one in others]
        hopeless = referee.hopeless(self.results.measured(start, shared), measured, seeds=len(self.plan.seeds), tie_margin=self.plan.tie_margin)
        for one in others:
            one.dropped = one.dropped or one.name in hopeless

    def _affordable(self, running: Sequence[Entrant], seeds: Sequence[int]) -> bool:
        """Tell whether these seeds fit into the budget, by what the runs so far took; the very first run is made to find that out."""
        if self.plan.budget_minutes is None:
            return True
        wanted = {one.resolved.key(seed) for seed in seeds for one in running}
        if not self.used:
            first = running[0].job(seeds[0], "a first trial,")
            if not self.results.finished(first.key):
                self.executor.run([first], self.watch.job)
            self.used[first.key] = None
        times = self._times()
        return sum(times) + len(wanted - set(self.used)) * sum(times) / len(times) <= 60 * self.plan.budget_minutes

    def _times(self) -> list[float]:
        """Return the seconds that each of the runs so far took; a training that diverged took what it took until then."""
        return [self.results.seconds(key) for key in self.used]

    def _too_small(self, running: int) -> str:
        what = f"two seeds of each of {plural(running, 'candidate')} of the first step, its start among them"
        return too_small(self.plan.budget_minutes or 0.0, self._times()[0], _LEAST * running, what)

    def _spent(self, number: int) -> str:
        left = len(self.plan.steps) - number
        after = f", and {plural(left, 'step')} after it {'was' if left == 1 else 'were'} not begun" if left else ""
        return f"The budget of {self.plan.budget_minutes:g} minutes of training was spent in step {number}{after}: a larger budget_minutes goes on from here."

    def _same_weights(self, entrants: Sequence[Entrant]) -> list[str]:
        """Name candidates whose trainings gave the same weights and answers with every seed, though their recipes differ."""
        told = []
        prints: dict[tuple[str, ...], Entrant] = {}
        for one in entrants:
            if one.failed or one.same_as or one.dropped:
                continue
            found = tuple(self.results.print(one.resolved.key(seed)) for seed in one.seeds)
            twin = prints.setdefault(found, one)
            if twin is not one:
                one.same_as, one.same_how = twin.name, "weights"
                told.append(f"{quoted(one.name)} gave the very weights and answers of {twin.called} with every seed: what it changes does nothing here.")
        return told

    def _decided(self, entrants: Sequence[Entrant], alive: Sequence[Entrant], kept: str, measured: Sequence[Measured]) -> Decided | None:
        """Return the decision with the scores on all images of each, by which steps hang together: what a step was compared on is its own affair.

        measured: the start and those alive where these were compared on all their images. A kept one that the file names may be one that was not compared,
        or another under a second name. None where there is no candidate.
        """
        of = {one.name: one for one in entrants}
        while of[kept].same_as:
            kept = of[kept].same_as
        others = [*alive, *(of[name] for name in {kept} - {START, *(one.name for one in alive)})]
        if not others:
            return None
        if len(others) > len(alive) or not measured:
            measured = [replace(self.results.measured(one), images=None) for one in (of[START], *others)]
        return Decided(measured[0], tuple(measured[1:]), kept)

    def _comparable(self, start: Entrant, others: list[Entrant]) -> tuple[Digests | None, list[Entrant], list[str]]:
        """Return the validation images that the start and the candidates are compared on, None for all; the candidates that can be; and what is to be said.

        All validate on the same images unless the step changes what is loaded: parts that rung draws come out otherwise for other images.
        """
        if not any(name.startswith(("data.", "pixels.", "split.")) for one in others for name in one.change):
            return None, others, []
        mine = self.results.digests(start)
        each = {one.name: self.results.digests(one) for one in others}
        if all(np.array_equal(found, mine) for found in each.values()):
            return None, others, [f"All were scored on the same {len(mine):,} validation images, paired by what they are, whatever the step made of them."]
        shared, near, told = mine, [], []
        for one in others:
            if len(found := shared_digests([shared, each[one.name]])) >= _FEWEST:
                shared = found
                near.append(one)
            else:
                told.append(
                    f"{quoted(one.name)} cannot be compared: too few of its {len(each[one.name]):,} validation images are those of the others. Data that bring "
                    "their own validation part have the same in every step."
                )
        if near and self.results.metric.whole is None:
            told.append(f"The validation images differ, and {self.plan.metric} cannot be paired: the intervals are over seeds only.")
            return None, near, told
        if near:
            told.append(f"The validation images differ: compared on the {len(shared):,} that all have, of the start's {len(mine):,}.")
        return shared, near, told
