"""From the record of a ladder to sentences: what is known, at which level and over what, and what could not be told."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from rung.evaluate.intervals import t_interval
from rung.reports.finding import Finding
from rung.study.amounts import is_share, name_text, range_text, signed_text, value_text
from rung.study.ladder import Candidate, Ladder, LadderStep, Tested, called
from rung.study.metrics import metric_named
from rung.study.noise import number_text
from rung.study.plan import START
from rung.study.referee import Difference
from rung.study.step_noise import seeds_for
from rung.words import PERCENT, count, listing, plural, quoted

LADDER_LABELS: Final = {
    "climb": "The climb",
    "unfinished": "Not at its end",
    "fall": "Expected on test",
    "test": "Test",
    "unclear": "Could not be told",
    "rule": "Rule",
    "file": "Kept by the file",
    "same": "The same network",
    "dropped": "Dropped early",
    "error": "Error rate",
    "told": "Budget and runs",
}
_TESTED: Final = f"95{PERCENT} interval over seeds, these test images held fixed"
_NAMED: Final = 6  # names in one sentence; the rest are counted


def findings(ladder: Ladder) -> list[Finding]:
    """Return what the whole ladder shows, in the order a reader wants; what is not there is not said."""
    return [
        *climb(ladder),
        *unfinished(ladder),
        *fall(ladder),
        *test(ladder),
        *unclear(ladder),
        *rule(ladder),
        *kept_by_file(ladder),
        *same(ladder),
        *dropped(ladder),
        *error(ladder),
        *(Finding("told", sentence, {}) for sentence in ladder.told),
    ]


def climb(ladder: Ladder) -> Iterator[Finding]:
    """Say where the ladder began, what is kept now, and how far they lie apart."""
    decided = decided_steps(ladder)
    if not decided:
        return
    metric, share = ladder.plan.metric, is_share(ladder.plan.metric)
    first, last = decided[0].start, decided[-1].named(decided[-1].kept)
    steps = f"{plural(len(decided), 'step')}"
    moved, climbed = [step for step in decided if step.kept != START], [step for step in decided if climbs(step)]
    if not moved:
        unbeaten = " No candidate was shown to be better." if is_unbeaten(ladder) else ""
        sentence = (
            f"After {steps} the start is still what is kept: {name_text(metric)} {value_text(first.mean, share)} on validation, the mean of "
            f"{plural(len(first.values), 'seed')}.{unbeaten}"
        )
        yield Finding("climb", sentence, {"steps": len(decided), "start": first.mean, "winner": first.mean, "climbed": 0})
        return
    gain = last.mean - first.mean
    sentence = (
        f"From {value_text(first.mean, share)} to {value_text(last.mean, share)} {name_text(metric)} on validation, {signed_text(gain, share)}"
        f"{' points' if share else ''} over {steps}, {_way(moved)}.{_whole_interval(ladder, first, last)}"
    )
    yield Finding("climb", sentence, {"steps": len(decided), "start": first.mean, "winner": last.mean, "climbed": len(climbed)})


def climbs(step: LadderStep) -> bool:
    """Return whether a decided step climbs: what it keeps is not its start, and where the file says what is kept, the referee keeps it too."""
    return step.kept != START and (not step.keep or (step.verdict is not None and step.verdict.kept == step.kept))


def _way(moved: Sequence[LadderStep]) -> str:
    """Write which steps climbed, and which only go on with what the file keeps; moved: those that keep another than their start."""
    climbed, others = [step for step in moved if climbs(step)], [step for step in moved if not climbs(step)]
    way, kept = (listing([f"{quoted(step.kept)} ({step.name})" for step in steps]) for steps in (climbed, others))
    said = [f"{len(climbed)} of them climbed: {way}"] if climbed else ["none of them climbed"]
    return "; ".join([*said, *([f"kept by the file: {kept}"] if others else [])])


def _whole_interval(ladder: Ladder, first: Candidate, last: Candidate) -> str:
    """Return the interval over seeds of last minus first, in a sentence; "" where they share no two seeds."""
    found = _over_seeds(_gains(first, last))
    if not found:
        return ""
    return f" The 95{PERCENT} interval over seeds is {range_text(*found, is_share(ladder.plan.metric))}; it does not know that these scores did the choosing."


def _gains(first: Candidate | Tested, last: Candidate | Tested) -> list[float]:
    """Return last minus first, seed by seed, on the seeds that both have."""
    return [last.values[last.seeds.index(seed)] - value for seed, value in zip(first.seeds, first.values, strict=True) if seed in last.seeds]


def _over_seeds(values: Sequence[float]) -> tuple[float, float] | None:
    """Return Student's 95 % interval of a mean over seeds; None for fewer than two seeds, or where all are the same: too coarse to tell a spread."""
    if len(values) < 2 or max(values) - min(values) < 1e-12:
        return None
    found = t_interval(np.array(values), 0.95)
    return None if found.low is None or found.high is None else (found.low, found.high)


def unfinished(ladder: Ladder) -> Iterator[Finding]:
    """Say how much of the ladder is still to come."""
    if ladder.ended:
        return
    decided, planned = len(decided_steps(ladder)), len(ladder.plan.steps)
    spent = any(step.state != "decided" for step in ladder.steps)  # then the ladder says itself how to go on
    goes_on = "no finished run is trained again" if spent else "the same command goes on, and no finished run is trained again"
    sentence = f"{decided} of {plural(planned, 'step')} {'is' if decided == 1 else 'are'} decided; {goes_on}."
    yield Finding("unfinished", sentence, {"decided": decided, "planned": planned})


def fall(ladder: Ladder) -> Iterator[Finding]:
    """Say by how much the kept score is expected to fall on test, before test is opened."""
    found = ladder.fall
    if found is None:
        return
    share, sign = is_share(ladder.plan.metric), metric_named(ladder.plan.metric).sign
    expected, low, high = sign * found.expected, *sorted((sign * (found.score - found.high), sign * (found.score - found.low)))
    most = 1.0 if share else math.inf
    true = f"{value_text(expected, share)} ({value_text(low, share)} to {value_text(min(high, most), share)})"
    sentence = f"{found.reason} That makes a true score of {true}, to which the noise of the test images comes."
    yield Finding("fall", sentence, {"estimate": found.estimate, "low": found.low, "high": found.high, "expected": expected})


def test(ladder: Ladder) -> Iterator[Finding]:
    """Say what the opened test part shows of the last winner and the start, each alone and one against the other."""
    share, metric = is_share(ladder.plan.metric), name_text(ladder.plan.metric)
    later = _later(ladder)
    for tested in ladder.test:
        openings = sorted(tested.openings)
        which = f"opening {openings[0]}" if len(openings) == 1 else f"openings {openings[0]} to {openings[-1]}"
        found = _over_seeds(tested.values)
        lowest, highest = (0.0, 1.0) if share else (-math.inf, math.inf)
        sure = f"; {_TESTED}: {value_text(max(found[0], lowest), share)} to {value_text(min(found[1], highest), share)}" if found else ""
        sentence = (
            f"{called(tested.name)}: {metric} {value_text(tested.mean, share)} on test, the mean of {plural(len(tested.values), 'seed')}{sure} "
            f"({which} of this test set).{later}"
        )
        yield Finding("test", sentence, {"name": tested.name, "mean": tested.mean, "interval": found, "openings": openings})
        later = ""
    yield from _gained(ladder)


def _gained(ladder: Ladder) -> Iterator[Finding]:
    """Say by how much the last winner is better than the start on test, where both have a score of the same seeds."""
    share, of = is_share(ladder.plan.metric), {one.name: one for one in ladder.test}
    gains = _gains(of[START], of[ladder.winner]) if ladder.winner != START and {START, ladder.winner} <= set(of) else []
    if not gains:
        return
    mean, found = sum(gains) / len(gains), _over_seeds(gains)
    sure = f" ({_TESTED}: {range_text(*found, share)})" if found else ""
    sentence = f"{called(ladder.winner)} minus {quoted(START)} on test, seed by seed: {signed_text(mean, share)}{' points' if share else ''}{sure}."
    yield Finding("test", sentence, {"name": ladder.winner, "difference": mean, "interval": found})


def _later(ladder: Ladder) -> str:
    """Return a sentence where something may have been decided between the first opening of this test set and the last of these; "" where nothing was."""
    first = {one.name: min(one.openings) for one in ladder.test}
    grown = bool(ladder.opened_after) and ladder.opened_after[0] < len(ladder.steps)
    another_day = first.get(START, math.inf) < first.get(ladder.winner, -math.inf)  # opened together, the winner comes first
    return " What was decided since the first opening of this test set may lean on it." if grown or another_day or min(first.values(), default=1) > 1 else ""


def unclear(ladder: Ladder) -> Iterator[Finding]:
    """Say, step by step, which candidates could not be told from the start, and how many seeds would tell the likeliest of them."""
    share = is_share(ladder.plan.metric)
    for step in decided_steps(ladder):
        open_ones = [one for one in step.verdict.differences if one.verdict == "cannot tell"] if step.verdict else []
        if not open_ones:
            continue
        best = max(open_ones, key=lambda one: one.estimate)
        unit = " points" if share else ""
        names = _some([quoted(one.name) for one in open_ones])
        sign = metric_named(ladder.plan.metric).sign
        likeliest = ": its difference is" if len(open_ones) == 1 else f" each. The likeliest is {quoted(best.name)},"
        sentence = (
            f"{step_name(step)}: {names} could not be told from the start with {plural(best.seeds, 'seed')}{likeliest} "
            f"{signed_text(sign * best.estimate, share)}{unit} ({difference_range(best, sign, share)})."
        )
        needed = seeds_for(ladder, step, best)
        if needed is not None:
            sentence += f" If that is its true difference, {number_text(needed)} seeds a candidate would show it on these images."
        yield Finding("unclear", sentence, {"step": step.number, "names": [one.name for one in open_ones], "seeds": needed.value if needed else None})


def rule(ladder: Ladder) -> Iterator[Finding]:
    """Say where a rule other than the referee's kept something else than the referee would."""
    if ladder.plan.rule == "score":
        return
    decided = [step for step in decided_steps(ladder) if not step.keep]
    other = _against_the_referee(decided)
    if decided and not other:
        sentence = f"The rule {ladder.plan.rule} holds no error rate; it kept what the referee would keep in every step."
        yield Finding("rule", sentence, {"rule": ladder.plan.rule, "steps": []})
    elif other:
        sentence = f"The rule {ladder.plan.rule} holds no error rate: it kept {_cases(other)}."
        yield Finding("rule", sentence, {"rule": ladder.plan.rule, "steps": [step.number for step in other]})


def kept_by_file(ladder: Ladder) -> Iterator[Finding]:
    """Say in which steps the ladder's file, and no rule, says what is carried on, and where that is not what the referee keeps."""
    named = [step for step in decided_steps(ladder) if step.keep]
    if not named:
        return
    other = _against_the_referee(named)
    steps = "every step" if len(named) == len(ladder.plan.steps) else f"step {listing([str(step.number) for step in named])}"
    sentence = f"The ladder's file says what is carried on in {steps}, which holds no error rate: it "
    sentence += f"keeps {_cases(other)}." if other else "keeps nothing against the referee."
    yield Finding("file", sentence, {"steps": [step.number for step in named], "against": [step.number for step in other]})


def _against_the_referee(steps: Sequence[LadderStep]) -> list[LadderStep]:
    return [step for step in steps if step.verdict is not None and step.kept != step.verdict.kept]


def _cases(steps: Sequence[LadderStep]) -> str:
    """Write what was kept against the referee: "in step 2 “a” where the referee keeps “start”"."""
    return listing([f"in step {step.number} {quoted(step.kept)} where the referee keeps {quoted(step.verdict.kept)}" for step in steps if step.verdict])


def same(ladder: Ladder) -> Iterator[Finding]:
    """Name candidates that are one network under two names."""
    for step in ladder.steps:
        for one in step.candidates:
            if one.same_as:
                how = "its whole recipe is the same" if one.same_how == "recipe" else "its weights and answers came out the same"
                twin = quoted(step.label(step.named(one.same_as)))
                sentence = f"{step_name(step)}: {quoted(one.name)} is the same network as {twin} under another name ({how})."
                yield Finding("same", sentence, {"step": step.number, "name": one.name, "same_as": one.same_as, "how": one.same_how})


def dropped(ladder: Ladder) -> Iterator[Finding]:
    """Say which candidates the race dropped, and after how many seeds."""
    planned = len(ladder.plan.seeds)
    for step in ladder.steps:
        out = [one for one in step.candidates if one.dropped_after is not None]
        if not out:
            continue
        said = _some([f"{quoted(one.name)} after {plural(one.dropped_after or 0, 'seed')}" for one in out])
        sentence = f"{step_name(step)}: {said} of {planned} had no chance left to be kept, and {'was' if len(out) == 1 else 'were'} not trained further."
        yield Finding("dropped", sentence, {"step": step.number, "names": {one.name: one.dropped_after for one in out}})


def error(ladder: Ladder) -> Iterator[Finding]:
    """Say how much of the allowed error rate is spent."""
    spent = sum(step.verdict.spent for step in ladder.steps if step.verdict is not None)
    if not spent or ladder.plan.rule != "score" or all(step.keep for step in ladder.steps):
        return
    left = max(0.0, ladder.plan.level - spent)
    sentence = (
        f"Of the error rate of {ladder.plan.level * 100:g}{PERCENT} for the whole ladder these steps spent {spent * 100:.2f}{PERCENT}; "
        f"{left * 100:.2f}{PERCENT} is left for steps that may be added."
    )
    yield Finding("error", sentence, {"spent": spent, "level": ladder.plan.level})


def step_sentences(ladder: Ladder, step: LadderStep) -> list[str]:
    """Return what a step shows: what was tried, what was decided and why, how it was compared."""
    share, metric = is_share(ladder.plan.metric), name_text(ladder.plan.metric)
    if not step.start.values:
        return [f"Not begun: {plural(len(step.candidates), 'candidate')} to come.", *step.told]
    tried = f"Tried {_some([quoted(one.name) for one in step.candidates])} against the start, {metric} {value_text(step.start.mean, share)}"
    changed = f"{tried}{f', changing {step.field}' if step.field else ''}: {plural(len(step.start.seeds), 'seed')} each."
    return [changed, *reasons(step), *_nearest(ladder, step), *step.told]


def reasons(step: LadderStep) -> list[str]:
    """Return why a step keeps what it keeps, and what the referee says where that is something else."""
    beside = [f"The referee: {step.verdict.reason}"] if step.verdict and step.reason != step.verdict.reason else []
    return [said.replace(quoted(START), quoted(step.start_label)) for said in (step.reason, *beside)]


def _nearest(ladder: Ladder, step: LadderStep) -> Iterator[str]:
    """Yield how far the best candidate lies below the start, where all are worse."""
    found = step.verdict.differences if step.verdict else ()
    if not found or {one.verdict for one in found} - {"worse", "dropped"}:
        return
    share, sign = is_share(ladder.plan.metric), metric_named(ladder.plan.metric).sign
    best = max(found, key=lambda one: one.estimate)
    away = f"{signed_text(sign * best.estimate, share)}{' points' if share else ''} ({difference_range(best, sign, share)})"
    yield f"{'It' if len(found) == 1 else f'The nearest, {quoted(best.name)},'} differs by {away}."


def difference_range(found: Difference, sign: float, share: bool) -> str:
    """Write the interval of a difference with its level and what it covers: "99.2 % interval over seeds: −0.10 to +0.72"."""
    low, high = sorted((sign * found.low, sign * found.high))
    return f"{level_text(found.level)} interval over {found.covers}: {range_text(low, high, share)}"


def level_text(level: float) -> str:
    """Write the level of an interval with as many decimals as it takes to tell it from 100 %."""
    return f"{level * 100:.4g}{PERCENT}"


def decided_steps(ladder: Ladder) -> list[LadderStep]:
    """Return the steps that were decided; one in which no candidate was left to compare has no verdict."""
    return [step for step in ladder.steps if step.state == "decided"]


def is_unbeaten(ladder: Ladder) -> bool:
    """Return whether the referee found nothing better than what any step began from."""
    return all(step.verdict is None or step.verdict.kept == START for step in decided_steps(ladder))


def step_name(step: LadderStep) -> str:
    """Name a step in a sentence: "Step 2, rate"."""
    return f"Step {count(step.number)}, {step.name}"


def _some(texts: Sequence[str]) -> str:
    """Join texts; of many the first few, and how many more."""
    return listing(texts) if len(texts) <= _NAMED else f"{', '.join(texts[: _NAMED - 1])} and {len(texts) - _NAMED + 1} more"
