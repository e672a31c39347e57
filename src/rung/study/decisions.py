"""What an author's decisions are worth, by the referee: confirmed, wrong, in the noise, that it cannot be told here, or that rows have not run."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from rung.study.amounts import size_text
from rung.study.measured import Floats, Measured
from rung.study.plan import START
from rung.study.referee import Difference, compared, described, pooled
from rung.study.replay import Answers, Gain, Judgement, Replay, Row, Verdict
from rung.study.steady import at_chance, unstable
from rung.study.system import Decision, Reported, kept_of
from rung.study.system_rows import places
from rung.words import listing, plural, quoted

ERROR: Final = 0.05  # of all decisions of a system together
_TWO_RUNS: Final = 1.96 * math.sqrt(2)  # deviations by which two single runs differ in 95 of 100 cases at most
_PART: Final = "validation"
_PROVISIONAL: Final = (
    "The verdicts are provisional: they are made anew as runs come in, and their error holds for one look, when every row has run with all the seeds that the "
    "system names."
)


def judged(replay: Replay) -> Replay:
    """Return the replay with a judgement of each decision of its system, and with what its stages are worth."""
    error = ERROR / max(1, len(replay.system.decisions))
    found = tuple(_judgement(replay, decision, error) for decision in replay.system.decisions)
    gains = tuple(_gains(replay))
    open_yet = found and replay.provisional and any(row.runs for row in replay.rows)
    return replace(replay, judgements=found, gains=gains, told=(*replay.told, *((_PROVISIONAL,) if open_yet else ())))


def _gains(replay: Replay) -> Iterator[Gain]:
    """Yield what each stage that ran is worth beside the row whose kept weights it begins from; all stages of a system share an error of 5 % of their own."""
    rows = [(row, replay.row(*row.place.after.name)) for row in replay.rows if row.place.after]
    for stage, before in rows:
        if stage.scored:
            named = replace(stage, place=replace(stage.place, candidate=f"{stage.step} after {before.candidate}"))  # both may be called "start"
            found = _differences(before, [named], _beside_them(replay, before, [stage]), ERROR / len(rows))
            said = _gain_sentence(stage, before, found[0] if found else None)
            yield Gain(stage.ladder, stage.step, found[0] if found else None, f"At the small budget: {said}" if replay.budget == "small" else said)


def _gain_sentence(stage: Row, before: Row, found: Difference | None) -> str:
    other = before.step if before.place.after else f"{before.step}, {before.label}"
    name, begins = quoted(stage.step), f"{quoted(other)}, from whose kept weights it begins"
    if found is None:
        return f"{name} cannot be compared with {begins}: two seeds in common are needed."
    if found.low > 0 or found.high < 0:
        away = found if found.low > 0 else replace(found, estimate=-found.estimate, low=-found.high, high=-found.low)
        return f"{name} is {'better' if found.low > 0 else 'worse'} than {begins}, by {described(away, True)}."
    return f"{name} cannot be told from {begins}: the difference is {described(found, True)}."


@dataclass(frozen=True)
class _Case:
    """One decision with what is known. others: the rows that kept was preferred to, those that are the same training apart (`same`).

    cut: rows that the settings of the small budget make the same training, which they are not at the whole one.
    differences: other minus kept, of those that can be compared. against: the other that acted_on is held against; noise: of these two.
    """

    small: bool
    decision: Decision
    kept: Row
    others: tuple[Row, ...]
    same: tuple[Row, ...]
    cut: tuple[Row, ...]
    differences: tuple[Difference, ...]
    noise: float | None
    acted_on: float | None
    against: str
    metric: str

    @property
    def few(self) -> list[Row]:
        """Those that cannot be compared, kept among them: of fewer than two seeds, or else of fewer in common with kept. All diverged is worse, not few."""
        trained = [row for row in (self.kept, *self.others) if not row.diverged]
        compared_ones = {self.kept.candidate, *(found.name for found in self.differences)}
        return [row for row in trained if len(row.scored) < 2] or [row for row in trained if row.candidate not in compared_ones]

    @property
    def waits(self) -> bool:
        """Whether runs that are still to come, or seeds that nobody asked for, are why it cannot be compared."""
        few = self.few
        return bool(few) and (any(row.missing for row in (self.kept, *few)) or any(len(row.runs) < 2 for row in few))

    @property
    def instead(self) -> str:
        """The best of the others with two seeds at least, where kept diverged with every seed; else ""."""
        means = {row.candidate: found.mean for row in self.others if self.kept.diverged and len(row.scored) > 1 and (found := row.score())}
        return max(means, key=lambda name: means[name], default="")

    def called(self, name: str) -> str:
        """Write a candidate in a sentence, as tables call it."""
        return quoted(next((row.label for row in (self.kept, *self.others, *self.same) if row.candidate == name), name))

    def verdict(self) -> Verdict:
        if self.instead or any(found.low > 0 for found in self.differences):
            return "wrong"
        if not self.others:
            return "in the noise" if self.same else "cannot tell"
        if self.few or self.kept.diverged:
            return "not run" if self.waits else "cannot tell"
        if all(found.high < 0 for found in self.differences):
            return "confirmed"
        near = self.noise is not None and self.acted_on is not None and abs(self.acted_on) < self.noise
        return "in the noise" if near else "cannot tell"


def _judgement(replay: Replay, decision: Decision, error: float) -> Judgement:
    case = _case(replay, decision, error)
    verdict = case.verdict()
    return Judgement(
        decision=decision,
        kept=case.kept.candidate,
        over=tuple(row.candidate for row in case.others),
        verdict=verdict,
        sentence=" ".join([_sentence(case, verdict), *_beside(case, verdict)]),
        differences=case.differences,
        noise=case.noise,
        acted_on=case.acted_on,
        metric=case.metric,
    )


def _case(replay: Replay, decision: Decision, error: float) -> _Case:
    step = replay.system.step(decision.ladder, decision.step)
    names = [START, *(choice.name for choice in step.choices)]
    kept = replay.row(decision.ladder, decision.step, kept_of(step))
    over = [replay.row(decision.ladder, decision.step, name) for name in decision.over or names if name != kept.candidate]
    # The start that the kept one is: it has not been preferred to itself. Under other names the author took the same training for another.
    over = [row for row in over if row.candidate != START or row.place.identity != kept.place.identity]
    others = tuple(row for row in over if row.place.identity != kept.place.identity)
    small = replay.budget == "small"
    alike = tuple(row for row in over if row.place.identity == kept.place.identity)
    whole = {place.name: place.identity for place in places(replay.system)} if small and alike else {}
    cut = tuple(row for row in alike if whole.get(row.name) != whole.get(kept.name))
    metric = "accuracy" if small else _acted_metric(replay, kept, over)
    against, acted_on = _measured_difference(kept, others) if small else _reported_difference(replay, kept, over, metric)
    return _Case(
        small=small,
        decision=decision,
        kept=kept,
        others=others,
        same=tuple(row for row in alike if row not in cut),
        cut=cut,
        differences=_differences(kept, others, _beside_them(replay, kept, others), error / max(1, len(others))),
        noise=_noise([kept, *(row for row in over if row.candidate == against)], metric),
        acted_on=acted_on,
        against=against,
        metric=metric,
    )


def _beside_them(replay: Replay, kept: Row, others: Sequence[Row]) -> list[Row]:
    """Return the other networks of the ladder: what they are worth says nothing of a decision, how much they differ between seeds does."""
    there = {row.place.identity for row in (kept, *others)}
    return [row for row in replay.rows if row.ladder == kept.ladder and row.same_as is None and row.place.identity not in there]


def _differences(kept: Row, others: Sequence[Row], beside: Sequence[Row], error: float) -> tuple[Difference, ...]:
    """Return each other minus kept, on the seeds that both have, where these are two at least.

    The noise is pooled over all that are steady, those `beside` them too; an unstable one has its own alone, for theirs is smaller.
    """
    candidates = _sharing(kept, others)
    if not candidates:
        return ()
    labels = kept.scored[0].labels.get(_PART)
    start = _measured(kept, labels)
    known = [*candidates, *(replace(one, name=f"{number} beside") for number, one in enumerate(_sharing(kept, beside)))]
    wild = {one.name for one, far in zip(known, unstable([start.values, *(one.values for one in known)])[1:], strict=True) if far}
    steady = [one for one in known if one.name not in wild and not at_chance(one.values, _chance(kept, labels))]
    together = pooled(start, steady) if steady else None
    found = []
    for candidate in candidates:
        whole = start.images is not None and candidate.images is not None
        one, other = (start, candidate) if whole else (replace(start, images=None), replace(candidate, images=None))
        found.append(compared(one, other, None if other.name in wild else together, error))
    return tuple(found)


def _chance(row: Row, labels: Answers | None) -> float:
    """Return the accuracy of one answer to every image; where the labels are not known, of classes that are equally large."""
    if labels is not None:
        return float(np.bincount(labels).max() / len(labels))
    return 1 / max(2, len(row.scored[0].classes))


def _sharing(kept: Row, rows: Sequence[Row]) -> list[Measured]:
    """Return those rows that share two seeds or more with the kept one, on these."""
    seeds = {run.seed for run in kept.scored}
    pairs = [(row, [run.seed for run in row.scored if run.seed in seeds]) for row in rows]
    labels = kept.scored[0].labels.get(_PART) if kept.scored else None
    return [_measured(row, labels).take(shared) for row, shared in pairs if len(shared) > 1]


def _measured(row: Row, labels: Answers | None) -> Measured:
    """Return a row's accuracy for the referee, with its images where all its runs answered those of `labels`."""
    runs = row.scored
    seeds = tuple(run.seed for run in runs)
    alike = labels is not None and all(_PART in run.answers and np.array_equal(run.labels[_PART], labels) for run in runs)
    images: Floats | None = np.stack([run.answers[_PART] == labels for run in runs]).astype(np.float64) if alike else None
    values = images.mean(axis=1) if images is not None else np.array([run.value(_PART, "accuracy") for run in runs], dtype=np.float64)
    return Measured(row.candidate, row.parameters or 0, 0, seeds, values, images)


def _noise(rows: Sequence[Row], metric: str) -> float | None:
    """Return by how much two single runs of one network differ at most in 95 of 100 cases, by the deviation over seeds pooled over the rows.

    None where one of them has fewer than two seeds.
    """
    found = [[value for run in row.scored if (value := run.value(_PART, metric)) is not None] for row in rows]
    if min(map(len, found)) < 2:
        return None
    squares = sum(float(np.var(values)) * len(values) for values in found)
    return _TWO_RUNS * math.sqrt(squares / sum(len(values) - 1 for values in found))


def _acted_metric(replay: Replay, kept: Row, over: Sequence[Row]) -> str:
    """Return by which metric the author's figures of a step can be compared."""
    figures = [_reported(replay, row) for row in (kept, *over)]
    return "accuracy" if figures[0] and figures[0].accuracy is not None and any(one and one.accuracy is not None for one in figures[1:]) else "macro_f1"


def _reported_difference(replay: Replay, kept: Row, over: Sequence[Row], metric: str) -> tuple[str, float | None]:
    """Return what the author reported of the kept one minus of the best other, a share, and that other's name; None where he reported too little."""
    of = {row.candidate: value for row in (kept, *over) if (value := _figure(_reported(replay, row), metric)) is not None}
    mine = of.pop(kept.candidate, None)
    if mine is None or not of:
        return "", None
    best = max(of, key=lambda name: of[name])
    return best, mine - of[best]


def _reported(replay: Replay, row: Row) -> Reported | None:
    """Return what was reported of a row; of the start of a later step, what was reported of the one that the step before kept."""
    if row.reported or row.candidate != START or row.ladder not in replay.system.plans:
        return row.reported
    steps = replay.system.plans[row.ladder].steps
    at = next((number for number, step in enumerate(steps) if step.name == row.step), 0)
    return _reported(replay, replay.row(row.ladder, steps[at - 1].name, kept_of(steps[at - 1]))) if at else None


def _figure(reported: Reported | None, metric: str) -> float | None:
    if reported is None:
        return None
    return reported.macro_f1 if metric == "macro_f1" else None if reported.accuracy is None else reported.accuracy / 100


def _measured_difference(kept: Row, others: Sequence[Row]) -> tuple[str, float | None]:
    """Return the measured mean of the kept one minus that of the best other, and that other's name; None where nothing ran."""
    mine, of = kept.score(), {row.candidate: found.mean for row in others if (found := row.score())}
    if mine is None or not of:
        return "", None
    best = max(of, key=lambda name: of[name])
    return best, mine.mean - of[best]


def _sentence(case: _Case, verdict: Verdict) -> str:
    """Return why the verdict is what it is; what holds at the small budget only says so."""
    says = {"wrong": _wrong, "confirmed": _confirmed, "in the noise": _in_the_noise, "cannot tell": _cannot_tell, "not run": _too_few}[verdict](case)
    return f"At the small budget: {says}" if case.small else f"{says[0].upper()}{says[1:]}"


def _wrong(case: _Case) -> str:
    if case.instead:
        return f"{quoted(case.kept.label)}, which {_went_on(case)}, diverged with every seed, and {case.called(case.instead)} did not."
    best = max((found for found in case.differences if found.low > 0), key=lambda found: found.estimate)
    return f"{case.called(best.name)} is better than {quoted(case.kept.label)}, which {_went_on(case)}, by {described(best, True)}."


def _went_on(case: _Case) -> str:
    return "was carried on" if case.decision.by == "author" else "is kept here"


def _confirmed(case: _Case) -> str:
    kept = quoted(case.kept.label)
    if not case.differences:
        return f"{kept} is the only one that does not diverge{' with every seed' if case.kept.failed else ''}."
    nearest = max(case.differences, key=lambda found: found.estimate)
    by = described(replace(nearest, estimate=-nearest.estimate, low=-nearest.high, high=-nearest.low), True)
    if len(case.differences) == 1:
        return f"{kept} is better than {case.called(nearest.name)} by {by}."
    return f"{kept} is better than each of {plural(len(case.differences), 'other')}; the nearest is {case.called(nearest.name)}, worse by {by}."


def _in_the_noise(case: _Case) -> str:
    kept = quoted(case.kept.label)
    if not case.others:
        names = listing([quoted(row.label) for row in case.same])
        return f"{kept} and {names} are the same training under other names: what the author saw between them is chance."
    noise, acted_on = case.noise or 0.0, case.acted_on or 0.0
    runs = f"two single runs of one network differ by up to {size_text(noise, True)} here"
    if case.small:
        apart = f"{kept} and {case.called(case.against)} lie {size_text(abs(acted_on), True)} apart"
        return f"{apart}, and {runs}: one run of each, as the author made, cannot tell; {_open(case)}."
    return f"{_told(case, acted_on)}, and {runs}; {_open(case)}."


def _told(case: _Case, acted_on: float) -> str:
    """Say what the author reported, in the unit that he reported it in."""
    size = f"{size_text(abs(acted_on), True)}{' of macro F1' if case.metric == 'macro_f1' else ''}"
    return f"the author reported {size} {'more' if acted_on >= 0 else 'less'} for {quoted(case.kept.label)} than for {case.called(case.against)}"


def _cannot_tell(case: _Case) -> str:
    if not case.others and case.cut:
        return f"{quoted(case.kept.label)} and {listing([quoted(row.label) for row in case.cut])} are the same training there, and not at the whole one."
    if case.few:
        return _too_few(case)
    if case.kept.diverged or not case.differences:
        return "there is nothing to compare it with."
    told = "" if case.acted_on is None or case.small else f"; {_told(case, case.acted_on)}"
    return f"{_open(case)}{told}."


def _too_few(case: _Case) -> str:
    """Say which seeds are needed; that there are fewer so far only where some have not run."""
    few = case.few
    names = listing([quoted(row.label) for row in few[:3]]) + (f" and {len(few) - 3} more" if len(few) > 3 else "")
    common = all(len(row.scored) > 1 for row in few)
    needed = f"two seeds in common with {quoted(case.kept.label)} are needed" if common else "two seeds of each are needed"
    missing = any(row.missing for row in (case.kept, *few))
    return f"{needed}, and {names} {'has' if len(few) == 1 else 'have'} fewer{' so far' if missing else ''}."


def _open(case: _Case) -> str:
    """Say which difference is not told, the one that lies nearest to being better, and which others are surely lower."""
    found = max((one for one in case.differences if one.low <= 0 <= one.high), key=lambda one: one.estimate)
    seeds = plural(found.seeds, "seed")
    kept, name = quoted(case.kept.label), case.called(found.name)
    lower = listing([case.called(one.name) for one in case.differences if one.high < 0])
    beside = f"; {lower} {'is' if sum(one.high < 0 for one in case.differences) == 1 else 'are'} lower than {kept}" if lower else ""
    return f"with {seeds} it cannot be told whether {name} or {kept} is better: {name} minus {kept} is {described(found, True)}{beside}"


def _beside(case: _Case, verdict: Verdict) -> list[str]:
    """Return what else is to be said: the same training under other names, and what diverged."""
    said = []
    if case.others and case.same:
        names = listing([quoted(row.label) for row in case.same])
        said.append(f"{names} {'is' if len(case.same) == 1 else 'are'} the same training as {quoted(case.kept.label)} under another name.")
    rows = (case.kept, *case.others)
    if lost := [quoted(row.label) for row in rows if row.diverged and not (row is case.kept and verdict == "wrong")]:
        said.append(f"{listing(lost)} diverged with every seed.")
    if some := [f"{quoted(row.label)} with {row.failed} of {plural(len(row.place.seeds), 'seed')}" for row in rows if row.failed and not row.diverged]:
        said.append(f"Diverged and left out: {listing(some)}.")
    return said
