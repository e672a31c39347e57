"""The referee: what it decides and says, and small simulations of its error rate and its intervals."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from benchmarks.referee import simulations, worlds
from rung.errors import RunError
from rung.study.measured import Measured
from rung.study.referee import Difference, compared, described, hopeless, judge, pooled, spending
from rung.study.variance import image_share

NOISE = np.array([0.004, -0.003, 0.001, -0.004, 0.002])


def network(name: str, mean: float, noise: Sequence[float] = tuple(NOISE), cost: int = 10, share: bool = True) -> Measured:
    values = mean + np.asarray(noise)
    return Measured(name, cost, cost, tuple(range(len(values))), values, share=share)


def start(mean: float = 0.8) -> Measured:
    return network("start", mean, np.zeros(5))


def test_one_candidate_is_students_paired_test() -> None:
    candidate = network("wide", 0.82)
    found = judge(start(), [candidate], step=1).differences[0]
    interval = stats.ttest_1samp(NOISE, 0.0).confidence_interval(1 - spending(1, 0.05))
    assert (found.low, found.high) == pytest.approx((0.02 + interval.low, 0.02 + interval.high))
    assert (found.covers, found.seeds, found.verdict) == ("seeds", 5, "better")
    assert found.level == pytest.approx(1 - 0.05 * 6 / math.pi**2)


def test_all_steps_together_spend_the_level() -> None:
    assert sum(spending(step, 0.05) for step in range(1, 20_000)) == pytest.approx(0.05, rel=1e-3)
    with pytest.raises(RunError, match="counted from 1"):
        spending(0, 0.05)
    with pytest.raises(RunError, match="between 0 and 1"):
        spending(1, 5.0)


def test_the_error_is_shared_among_the_candidates() -> None:
    made = [network(str(number), 0.8 + number / 100, np.roll(NOISE, number)) for number in range(4)]
    verdict = judge(start(), made, step=2)
    assert {difference.level for difference in verdict.differences} == {1 - spending(2, 0.05) / 4}
    alone = compared(start(), made[3], pooled(start(), made), spending(2, 0.05) / 4)
    assert (verdict.differences[3].low, verdict.differences[3].high) == (alone.low, alone.high)
    assert verdict.spent == spending(2, 0.05)


def test_the_better_one_is_kept_and_the_numbers_are_said() -> None:
    verdict = judge(start(), [network("wide", 0.82), network("narrow", 0.75, -NOISE)], step=1)
    assert verdict.kept == "wide"
    assert [difference.verdict for difference in verdict.differences] == ["better", "worse"]
    found = verdict.differences[0]
    bounds = f"{100 * found.low:.2f} to {100 * found.high:.2f}"
    assert verdict.reason == f"“wide” is kept: 2.00 points ({bounds} at 98.5\u202f% confidence, over 5 seeds) better than “start”."


def test_what_cannot_be_told_is_said_and_the_start_stays() -> None:
    verdict = judge(start(), [network("a", 0.801), network("b", 0.802, -NOISE)], step=1, tie_margin=0.001)
    assert verdict.kept == "start"
    assert {difference.verdict for difference in verdict.differences} == {"cannot tell"}
    assert verdict.reason.startswith("“start” stays: with 5 seeds it cannot be told whether “b” is better: 0.20 points (")


def test_of_one_that_is_behind_it_is_not_asked_whether_it_is_better() -> None:
    reason = judge(start(), [network("a", 0.799), network("b", 0.798, -NOISE)], step=1, tie_margin=0.001).reason
    assert reason.startswith("“start” stays: none is shown to be better, and with 5 seeds “a” cannot be told from it: −0.10 points (")


def test_where_all_are_worse_no_candidate_is_better() -> None:
    assert judge(start(), [network("a", 0.7)], step=1).reason == "“start” stays: no candidate is better."


@pytest.mark.parametrize(("cost", "kept"), [(9, "small"), (10, "start"), (11, "start")])
def test_a_tie_keeps_the_cheaper(cost: int, kept: str) -> None:
    verdict = judge(start(), [network("small", 0.8, NOISE / 20, cost)], step=1)
    assert verdict.differences[0].verdict == "equal"
    assert verdict.kept == kept
    assert ("no difference above 0.50 points" in verdict.reason) == (kept == "small")


@pytest.mark.parametrize(("cost", "kept", "told"), [(10, "other", "better"), (11, "start", "equal")])
def test_a_sure_gain_inside_the_tie_is_taken_where_it_costs_nothing(cost: int, kept: str, told: str) -> None:
    verdict = judge(start(), [network("other", 0.802, NOISE / 20, cost)], step=1)
    assert (verdict.kept, verdict.differences[0].verdict) == (kept, told)


def test_of_several_that_are_better_and_not_told_apart_the_cheapest_is_kept() -> None:
    verdict = judge(start(), [network("best", 0.851, NOISE, 30), network("cheap", 0.85, -NOISE, 20), network("cheaper", 0.82, np.roll(NOISE, 2), 15)], step=1)
    assert verdict.kept == "cheap"
    assert "costs less than “best”, from which it is not told" in verdict.reason


def test_with_images_the_interval_covers_both() -> None:
    rng = np.random.default_rng(0)
    answers = (rng.random((2, 5, 400)) < 0.8).astype(float)
    first, second = (worlds.measured(name, scores) for name, scores in zip("ab", answers, strict=True))
    both = compared(first, second, pooled(first, [second]), 0.05)
    assert both.covers == "seeds and images"
    share, moderated = image_share(answers[1] - answers[0]), (second.values - first.values).var(ddof=1)
    of_seeds = max(moderated, share.least) / 5
    freedom = (of_seeds + share.added) ** 2 / (of_seeds**2 / 4 + share.uncertainty)
    assert both.high - both.estimate == pytest.approx(stats.t.ppf(0.975, freedom) * math.sqrt(of_seeds + share.added))
    one = compared(first.take([0]), second.take([0]), None, 0.05)
    differences = answers[1, 0] - answers[0, 0]
    assert (one.covers, one.seeds) == ("images", 1)
    assert one.high - one.estimate == pytest.approx(stats.t.ppf(0.975, 399) * differences.std(ddof=1) / 20)


def test_the_same_network_under_another_name_is_equal_and_tells_nothing_of_the_noise() -> None:
    first = network("start", 0.8)
    twin, other = network("twin", 0.8), network("other", 0.82, -NOISE)
    together = judge(first, [twin, other], step=1)
    assert (together.differences[0].verdict, together.differences[0].low, together.differences[0].high) == ("equal", 0.0, 0.0)
    assert pooled(first, [twin, other]) == pooled(first, [other])


def test_no_spread_at_all_tells_nothing() -> None:
    verdict = judge(start(), [network("coarse", 0.81, np.zeros(5))], step=1)
    assert verdict.differences[0].verdict == "cannot tell"
    assert verdict.differences[0].low < 0 < verdict.differences[0].high


def test_losses_are_written_without_percent() -> None:
    first = network("start", -0.5, np.zeros(5), share=False)
    reason = judge(first, [network("lower", -0.3, share=False)], step=1, tie_margin=0.01).reason
    assert reason.startswith("“lower” is kept: 0.200 (0.19")


@given(st.integers(2, 6), st.integers(1, 5), st.integers(0, 2**32), st.floats(-0.5, 0.5), st.floats(0.1, 10))
@settings(deadline=None, max_examples=40)
def test_neither_order_nor_a_shift_nor_the_unit_changes_a_decision(seeds: int, candidates: int, seed: int, shift: float, unit: float) -> None:
    rng = np.random.default_rng(seed)
    scores = 0.8 + 0.01 * rng.standard_normal((1 + candidates, seeds)) + 0.02 * rng.standard_normal((1 + candidates, 1))
    plain = [replace(worlds.measured(str(number), one), share=False) for number, one in enumerate(scores)]
    other = [replace(worlds.measured(str(number), unit * (one + shift)), share=False) for number, one in enumerate(scores)]
    first = judge(plain[0], plain[1:], step=2, tie_margin=0.004)
    second = judge(other[0], other[:0:-1], step=2, tie_margin=0.004 * unit)
    assert first.kept == second.kept
    for a, b in zip(first.differences, second.differences[::-1], strict=True):
        assert (a.name, a.verdict) == (b.name, b.verdict)
        assert [unit * a.low, unit * a.high] == pytest.approx([b.low, b.high], rel=1e-6, abs=1e-9)


def test_late_steps_still_have_an_interval() -> None:
    found = judge(start(), [network("wide", 0.82)], step=1_000_000).differences[0]
    assert 0.02 < found.high < math.inf


def test_bad_use_is_refused() -> None:
    with pytest.raises(RunError, match="a step needs candidates, each with a name of its own; got start start and no candidate"):
        judge(start(), [], step=1)
    with pytest.raises(RunError, match="each with a name of its own"):
        judge(start(), [network("start", 0.8)], step=1)
    with pytest.raises(RunError, match=r"start: no score of seed 9; it has 0, 1, 2, 3 and 4"):
        judge(start(), [Measured("a", 1, 1, (0, 9), np.array([0.1, 0.2]))], step=1)
    with pytest.raises(RunError, match="run a second seed"):
        judge(network("start", 0.8, [0.0]), [network("a", 0.8, [0.1])], step=1)
    images = np.ones((5, 3))
    pair = [Measured(name, 1, 1, tuple(range(5)), np.ones(5), images[:, :count]) for name, count in (("a", 3), ("b", 2))]
    with pytest.raises(RunError, match="b was scored on 2 images, a on 3: only the same rows can be paired"):
        judge(pair[0], pair[1:], step=1)


@pytest.mark.parametrize(
    ("values", "images", "message"),
    [
        ([0.1, 0.2], None, "one value for each of its seeds"),
        ([0.1, np.nan, 0.3], None, "the score of seed 1 is no finite number"),
        ([0.5, 0.5, 0.5], np.ones((2, 4)), r"images must have shape \(3, N\)"),
        ([0.5, 0.5, 0.5], np.ones((3, 4)), "the mean over its images is not its score"),
    ],
)
def test_what_was_measured_fits_together(values: list[float], images: np.ndarray | None, message: str) -> None:
    with pytest.raises(RunError, match=message):
        Measured("a", 1, 1, (0, 1, 2), np.array(values), images)


def so_far(count: int, *made: Measured) -> list[Measured]:
    return [one.take(range(count)) for one in made]


def test_racing_drops_what_has_no_chance_and_keeps_the_rest() -> None:
    made = [network("bad", 0.7), network("worse", 0.6), network("fair", 0.801, -NOISE), network("good", 0.81, -NOISE)]
    assert hopeless(start().take([0, 1, 2]), so_far(3, *made), seeds=5) == ("worse", "bad")
    assert hopeless(start().take([0, 1, 2, 3]), [*so_far(3, made[1]), *so_far(4, made[0], *made[2:])], seeds=5) == ("bad",)
    assert hopeless(start(), made, seeds=5) == ()  # all have run
    assert hopeless(start().take([0, 1]), so_far(2, *made), seeds=5) == ()
    with pytest.raises(RunError, match="3 seeds have run, 2 are planned"):
        hopeless(start().take([0, 1, 2]), so_far(3, *made), seeds=2)


def test_two_candidates_stay_in_the_race_however_bad() -> None:
    made = [network("bad", 0.7), network("worse", 0.6), network("worst", 0.5)]
    assert hopeless(start().take([0, 1, 2]), so_far(3, *made), seeds=5) == ("worst",)


def test_racing_lets_a_cheaper_one_run_that_may_end_equal() -> None:
    made = [network("leader", 0.9), network("second", 0.89), *(network(name, 0.797, NOISE / 10, cost) for name, cost in (("cheap", 5), ("dear", 10)))]
    assert hopeless(start().take([0, 1, 2]), so_far(3, *made), seeds=5) == ("dear",)


def test_what_was_dropped_counts_and_cannot_be_kept() -> None:
    verdict = judge(start(), [network("dropped", 0.9).take([0, 1, 2]), network("b", 0.81, -NOISE)], step=1)
    assert verdict.kept == "b"
    assert (verdict.differences[0].verdict, verdict.differences[0].seeds) == ("dropped", 3)
    assert verdict.differences[1].level == 1 - spending(1, 0.05) / 2


@pytest.mark.parametrize("world", ["uneven noise", "bad seeds"])
def test_few_ladders_climb_a_false_rung(world: str) -> None:
    """80 ladders, expected about 2 %: more than 7 in one of 5,000 tests."""
    assert simulations.false_climbs(worlds.SEEDS[world], ladders=80, steps=3, seed=1)["found"] <= 7 / 80


def test_racing_saves_runs_and_loses_little_power() -> None:
    rng = np.random.default_rng(0)
    kept, saved = {False: 0, True: 0}, 0
    for _ in range(100):
        scores = worlds.equal(rng, 5)(5) + np.array([0.0, 0.015, -0.02, -0.02, -0.02])[:, None]
        networks = [worlds.measured(str(number), one) for number, one in enumerate(scores)]
        raced = simulations.raced(networks[0], networks[1:])
        saved += sum(5 - len(one.seeds) for one in raced)
        for racing, candidates in ((False, networks[1:]), (True, raced)):
            kept[racing] += judge(networks[0], candidates, step=1).kept == "1"
    assert saved / (100 * 20) > 0.15
    assert kept[True] >= 0.85 * kept[False]


@pytest.mark.parametrize(
    ("world", "covers"),
    [("equal noise", "seeds"), ("uneven noise", "seeds"), ("noisy start", "seeds"), ("images, runs and networks differ", "seeds and images")],
)
def test_intervals_hold_the_truth_as_often_as_they_say(world: str, covers: str) -> None:
    found = simulations.coverage({**worlds.SEEDS, **worlds.CROSSED}[world], simulations=200, seed=2)
    assert found["covers"] == covers
    assert 0.92 <= found["found"] <= 0.98
    assert found["together"] >= 0.91


def test_no_two_shares_differ_by_more_than_100_points() -> None:
    wild = (0.3, -0.3)
    of_share, of_loss = (judge(network("start", 0.5, (0.0, 0.0), share=share), [network("a", 0.6, wild, share=share)], step=1) for share in (True, False))
    assert (of_share.differences[0].low, of_share.differences[0].high) == (-1.0, 1.0)
    assert of_loss.differences[0].high > 1.0
    assert "(−100.00 to 100.00 at" in of_share.reason


def test_below_zero_stands_a_minus_and_no_hyphen() -> None:
    found = Difference("wide", -0.0012, -0.0293, 0.0317, "seeds", 0.985, 3, "cannot tell")
    assert described(found, share=True) == "−0.12 points (−2.93 to 3.17 at 98.5\u202f% confidence, over 3 seeds)"
    assert described(found, share=False) == "−0.001 (−0.029 to 0.032 at 98.5\u202f% confidence, over 3 seeds)"
