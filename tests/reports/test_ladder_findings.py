"""Sentences of a ladder: each from a made-up record, and silent where there is nothing to say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rung.reports import ladder_findings as said
from rung.study import ladder as records  # not its record Tested by name: pytest would take it for tests
from rung.study import step_noise
from rung.study.curse import Fall
from rung.study.ladder import Candidate, Ladder, LadderStep
from rung.study.plan import Plan, plan_of
from rung.study.referee import Difference, Verdict

SEEDS = (0, 1, 2, 3)


def plan(**more: object) -> Plan:
    steps = [{"name": name, "field": "train.epochs", "candidates": [3, 4]} for name in ("length", "more")]
    return plan_of({"data": "digits", "seeds": 4, "step": steps, **more})


def candidate(name: str, *values: float, **more: object) -> Candidate:
    return Candidate(name, {}, SEEDS[: len(values)], tuple(f"{name}-{seed}" for seed in SEEDS[: len(values)]), values, **more)  # type: ignore[arg-type]


def step(number: int = 1, kept: str = "4", verdict: str = "better", estimate: float = 0.02, **more: object) -> LadderStep:
    found = (
        Difference("3", 0.001, -0.004, 0.006, "seeds", 0.9848, 4, "cannot tell"),
        Difference("4", estimate, estimate - 0.015, estimate + 0.015, "seeds and images", 0.9848, 4, verdict),  # type: ignore[arg-type]
    )
    start, other, best = candidate("start", 0.95, 0.96, 0.95, 0.96), candidate("3", 0.951, 0.961, 0.951, 0.961), candidate("4", 0.97, 0.98, 0.97, 0.98)
    judged = Verdict(kept, found, "The referee's reason.", 0.0304)
    made = LadderStep(number, f"length {number}", "", "", "train.epochs", "decided", start, (other, best), judged, kept, judged.reason)
    return replace(made, **more)  # type: ignore[arg-type]


def ladder(*steps: LadderStep, **more: object) -> Ladder:
    return Ladder(plan(), steps, **{"ended": True, **more})  # type: ignore[arg-type]


def sentences(found: object) -> list[str]:
    return [finding.sentence.replace("\u202f", " ") for finding in found]  # type: ignore[attr-defined]


def test_the_climb_names_both_ends_what_was_kept_and_its_interval() -> None:
    (sentence,) = sentences(said.climb(ladder(step())))
    assert sentence.startswith("From 95.50 % to 97.50 % accuracy on validation, +2.00 points over 1 step, 1 of them climbed: “4” (length 1).")
    assert "interval" not in sentence, "equal gains are too coarse to tell a spread"
    (sentence,) = sentences(said.climb(ladder(replace(step(), start=candidate("start", 0.93, 0.95, 0.96, 0.95)))))
    assert sentence.endswith("; it does not know that these scores did the choosing.")
    assert "The 95 % interval over seeds is +" in sentence


def test_what_the_file_keeps_is_said_and_where_the_referee_keeps_another() -> None:
    reason = "“3” is carried on because the ladder's file keeps it; the referee keeps “4”."
    against = step(kept="4", keep="3", reason=reason)
    against = replace(against, kept="3")
    (sentence,) = sentences(said.kept_by_file(ladder(against, step(2))))
    assert sentence == "The ladder's file says what is carried on in step 1, which holds no error rate: it keeps in step 1 “3” where the referee keeps “4”."
    (sentence,) = sentences(said.kept_by_file(ladder(step(keep="4"), step(2, keep="4"))))
    assert sentence == "The ladder's file says what is carried on in every step, which holds no error rate: it keeps nothing against the referee."
    assert not sentences(said.kept_by_file(ladder(step())))
    assert said.step_sentences(ladder(against), against)[1:3] == [reason, "The referee: The referee's reason."]
    assert not sentences(said.rule(ladder(against)))
    (sentence,) = sentences(said.climb(ladder(against, step(2))))
    assert ", 1 of them climbed: “4” (length 2); kept by the file: “3” (length 1)." in sentence
    (sentence,) = sentences(said.climb(ladder(against)))
    assert ", none of them climbed; kept by the file: “3” (length 1)." in sentence
    stays = replace(step(kept="4", keep="start"), kept="start")
    (sentence,) = sentences(said.climb(ladder(stays)))
    assert sentence.endswith("the mean of 4 seeds."), "the referee found one that is better"


def test_a_ladder_that_stays_where_it_began_says_so() -> None:
    (sentence,) = sentences(said.climb(ladder(step(kept="start"), step(2, kept="start"))))
    assert (
        sentence == "After 2 steps the start is still what is kept: accuracy 95.50 % on validation, the mean of 4 seeds. No candidate was shown to be better."
    )


def test_a_loss_that_falls_is_better_and_keeps_its_sign() -> None:
    low = replace(step(), start=candidate("start", 0.20, 0.21), candidates=(candidate("4", 0.10, 0.12),), kept="4")
    (sentence,) = sentences(said.climb(Ladder(plan(metric="loss"), (low,), ended=True)))
    assert "From 0.2050 to 0.1100 loss on validation, −0.0950 over 1 step" in sentence
    assert said.difference_range(step().verdict.differences[0], -1.0, False) == "98.48\u202f% interval over seeds: −0.0060 to +0.0040"  # type: ignore[union-attr]


def test_an_unfinished_ladder_says_how_far_it_is() -> None:
    assert sentences(said.unfinished(ladder(step(), ended=False))) == [
        "1 of 2 steps is decided; the same command goes on, and no finished run is trained again."
    ]
    assert not sentences(said.unfinished(ladder(step())))
    assert sentences(said.unfinished(ladder(step(), replace(step(2), state="budget spent"), ended=False))) == [
        "1 of 2 steps is decided; no finished run is trained again."
    ], "the same command does not go on where the budget is spent"


def test_the_fall_is_foretold_with_its_interval_for_shares_and_losses() -> None:
    fall = Fall(0.002, -0.001, 0.005, 0.95, 0.975, 0.973, "Two candidates were tried.")
    (sentence,) = sentences(said.fall(ladder(step(), fall=fall)))
    assert sentence == "Two candidates were tried. That makes a true score of 97.30 % (97.00 % to 97.60 %), to which the noise of the test images comes."
    beyond = Fall(0.0, -0.03, 0.03, 0.95, 0.975, 0.975, "So.")
    (sentence,) = sentences(said.fall(ladder(step(), fall=beyond)))
    assert sentence.startswith("So. That makes a true score of 97.50 % (94.50 % to 100.00 %), to which the noise")
    loss = Ladder(plan(metric="loss"), (), fall=Fall(0.002, -0.001, 0.005, 0.95, -0.11, -0.112, ""))
    assert "makes a true score of 0.1120 (0.1090 to 0.1150), to which the noise of the test images comes." in sentences(said.fall(loss))[0]
    assert not sentences(said.fall(ladder(step())))


def test_the_opened_test_part_is_said_with_its_openings() -> None:
    tested = (records.Tested("4 of step 1", SEEDS, (), (0.97, 0.97, 0.96, 0.98), (1, 2, 3, 4)), records.Tested("start", SEEDS, (), (0.95,) * 4, (5, 6, 7, 8)))
    opened = ladder(step(), test=tested, winner="4 of step 1", opened_after=(1,))
    winner, start, gain = sentences(said.test(opened))
    covers = "95 % interval over seeds, these test images held fixed"
    assert winner == (f"“4” of step 1: accuracy 97.00 % on test, the mean of 4 seeds; {covers}: 95.70 % to 98.30 % (openings 1 to 4 of this test set).")
    assert start == "“start”: accuracy 95.00 % on test, the mean of 4 seeds (openings 5 to 8 of this test set).", "four equal scores tell no spread"
    assert gain == f"“4” of step 1 minus “start” on test, seed by seed: +2.00 points ({covers}: +0.70 to +3.30)."
    alone = (records.Tested("start", (0,), (), (0.97,), (1,)),)
    assert sentences(said.test(ladder(step(), test=alone))) == ["“start”: accuracy 97.00 % on test, the mean of 1 seed (opening 1 of this test set)."]


@pytest.mark.parametrize(
    ("winner", "start", "after", "warned"),
    [((1, 2), (3, 4), (1,), False), ((3, 4), (5, 6), (1,), True), ((3, 4), (1, 2), (1,), True), ((1, 2), (3, 4), (0, 1), True)],
)
def test_only_where_something_was_decided_in_between_may_it_lean_on_the_test_part(
    winner: tuple[int, ...], start: tuple[int, ...], after: tuple[int, ...], warned: bool
) -> None:
    tested = (records.Tested("4 of step 1", (0, 1), (), (0.97, 0.98), winner), records.Tested("start", (0, 1), (), (0.95, 0.94), start))
    said_of = sentences(said.test(ladder(step(), test=tested, winner="4 of step 1", opened_after=after)))
    assert [sentence.endswith("What was decided since the first opening of this test set may lean on it.") for sentence in said_of] == [warned, False, False]


def test_what_could_not_be_told_names_the_likeliest_and_the_seeds_that_would_tell() -> None:
    (sentence,) = sentences(said.unclear(ladder(step(kept="start", verdict="cannot tell", estimate=0.008))))
    assert sentence.startswith(
        "Step 1, length 1: “3” and “4” could not be told from the start with 4 seeds each. The likeliest is “4”, +0.80 points "
        "(98.48 % interval over seeds and images: −0.70 to +2.30). If that is its true difference, "
    )
    assert "seeds a candidate would show it on these images." in sentence
    (small,) = sentences(said.unclear(ladder(step())))
    assert "“3” could not be told from the start with 4 seeds: its difference is +0.10 points (" in small
    assert "would show it" not in small, "a difference inside the margin does not matter"


def test_more_candidates_need_more_seeds() -> None:
    found = step(kept="start", verdict="cannot tell", estimate=0.008)
    few, many = found, replace(found, candidates=found.candidates * 8)
    difference = found.verdict.differences[1]  # type: ignore[union-attr]
    needed = [step_noise.seeds_for(ladder(one), one, difference) for one in (few, many)]
    assert needed[0] is not None
    assert needed[1] is not None
    assert needed[0].value < needed[1].value
    quiet = replace(found, start=candidate("start", 0.95, 0.95), candidates=(candidate("4", 0.96, 0.96),))
    assert step_noise.seeds_for(ladder(found), quiet, difference) is None, "no noise was seen"


def test_the_noise_of_a_step_is_pooled_and_counts_a_network_once() -> None:
    found = step()
    deviation, freedom = step_noise.pooled_deviation(found) or (0.0, 0)
    assert freedom == 9
    assert deviation == pytest.approx(np.std([0.95, 0.96, 0.95, 0.96], ddof=1))
    twice = replace(found, candidates=(*found.candidates, replace(found.candidates[0], name="5")))
    assert (step_noise.pooled_deviation(twice) or (0, 0))[1] == 9
    assert step_noise.pooled_deviation(replace(found, start=candidate("start", 0.9), candidates=())) is None


def test_a_rule_of_another_kind_is_held_against_the_referee() -> None:
    other = Ladder(plan(rule="score_gap_size"), (replace(step(), kept="3"),), ended=True)
    assert sentences(said.rule(other)) == ["The rule score_gap_size holds no error rate: it kept in step 1 “3” where the referee keeps “4”."]
    assert "what the referee would keep" in sentences(said.rule(replace(other, steps=(step(),))))[0]
    assert not sentences(said.rule(ladder(step())))
    assert "The referee: The referee's reason." in said.step_sentences(other, replace(step(), kept="3", reason="The rule's."))


@pytest.mark.parametrize(
    ("same_as", "how", "words"),
    [
        ("3", "recipe", "the same network as “3” under another name (its whole recipe is the same)"),
        ("start", "weights", "the same network as “start” under another name (its weights and answers came out the same)"),
    ],
)
def test_one_network_under_two_names_is_named(same_as: str, how: str, words: str) -> None:
    found = step()
    twice = replace(found, candidates=(found.candidates[0], replace(found.candidates[1], same_as=same_as, same_how=how)))
    assert words in sentences(said.same(ladder(twice)))[0]
    assert not sentences(said.same(ladder(found)))


def test_what_the_race_dropped_is_said_with_its_seeds() -> None:
    found = replace(step(), candidates=(candidate("3", 0.9, 0.91, dropped_after=2), step().candidates[1]))
    assert sentences(said.dropped(ladder(found))) == ["Step 1, length 1: “3” after 2 seeds of 4 had no chance left to be kept, and was not trained further."]
    assert not sentences(said.dropped(ladder(step())))


def test_the_error_rate_that_is_spent_is_said() -> None:
    assert sentences(said.error(ladder(step()))) == [
        "Of the error rate of 5 % for the whole ladder these steps spent 3.04 %; 1.96 % is left for steps that may be added."
    ]


def test_a_step_says_what_was_tried_and_why_it_ended_so() -> None:
    assert [text.replace("\u202f", " ") for text in said.step_sentences(ladder(step()), step(told=("Rows differ.",)))] == [
        "Tried “3” and “4” against the start, accuracy 95.50 %, changing train.epochs: 4 seeds each.",
        "The referee's reason.",
        "Rows differ.",
    ]
    begun = replace(step(), verdict=None, state="budget spent", kept="start", reason="The budget is spent.")
    assert said.step_sentences(ladder(begun), begun)[1:] == ["The budget is spent."]
    assert not said.decided_steps(ladder(begun))
    empty = replace(begun, start=Candidate("start", {}), candidates=(Candidate("3", {}), Candidate("4", {})))
    assert said.step_sentences(ladder(empty), empty) == ["Not begun: 2 candidates to come."]


def test_where_all_are_worse_the_nearest_is_named_with_its_interval() -> None:
    worse = Difference("4", -0.02, -0.035, -0.005, "seeds", 0.9848, 4, "worse")
    far = Difference("3", -0.05, -0.065, -0.035, "seeds", 0.9848, 2, "dropped")
    found = step(kept="start", verdict="worse", reason="None is better.")
    both, alone = (replace(found, verdict=Verdict("start", differences, "", 0.03)) for differences in ((far, worse), (worse,)))
    assert said.step_sentences(ladder(both), both)[-1].replace("\u202f", " ") == (
        "The nearest, “4”, differs by −2.00 points (98.48 % interval over seeds: −3.50 to −0.50)."
    )
    assert said.step_sentences(ladder(alone), alone)[-1].startswith("It differs by −2.00 points (")
    assert not list(said._nearest(ladder(step()), step()))


def test_of_many_names_the_first_stand_and_the_rest_are_counted() -> None:
    many = replace(step(), candidates=tuple(candidate(f"c{i}", 0.9) for i in range(20)))
    assert "Tried “c0”, “c1”, “c2”, “c3”, “c4” and 15 more against" in said.step_sentences(ladder(many), many)[0]


def test_all_findings_have_a_label() -> None:
    whole = ladder(step(), told=("The budget was spent.",), fall=Fall(0.0, 0.0, 0.0, 0.95, 0.97, 0.97, ""))
    kinds = [finding.kind for finding in said.findings(whole)]
    assert kinds == ["climb", "fall", "unclear", "error", "told"]
    assert set(kinds) <= set(said.LADDER_LABELS)
