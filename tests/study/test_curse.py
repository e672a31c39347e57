"""The winner's curse: the expected fall, and small simulations of its bias."""

import numpy as np
import pytest

from benchmarks.referee import simulations, worlds
from rung.errors import RunError
from rung.study.amounts import signed_text
from rung.study.curse import Decided, _moves, _posterior, _tree, expected_fall
from rung.study.measured import Measured


def networks(count: int, seed: int = 0, spread: float = 0.0) -> list[Measured]:
    rng = np.random.default_rng(seed)
    return [worlds.measured(str(number), scores + spread * rng.standard_normal()) for number, scores in enumerate(worlds.equal(rng, 5)(count))]


def ladder(spread: float) -> list[Decided]:
    made = networks(7, 3, spread)
    return [Decided(made[0], tuple(made[1:4]), "2"), Decided(made[2], tuple(made[4:]), "6")]


def test_the_posterior_is_that_of_the_joint_normal() -> None:
    """Against the textbook's conditional mean, with the first start's score as good as free."""
    tree, spread = _tree(ladder(0.01)), 0.01
    ways = np.zeros((7, 7))
    for node, effects in enumerate([[], [1], [2], [3], [2, 4], [2, 5], [2, 6]]):
        ways[node, effects] = 1
    prior = spread**2 * ways @ ways.T + 1.0
    gain = prior @ np.linalg.inv(prior + np.diag(tree.noise))
    mean, variance = (gain @ tree.scores)[6], (prior - gain @ prior)[6, 6]
    _, means, variances = _posterior(tree, np.array([spread]))
    assert means[0] == pytest.approx(mean, abs=1e-5)
    assert variances[0] == pytest.approx(variance, rel=1e-3)


def test_the_fall_is_large_where_all_is_noise_and_small_where_effects_are_large() -> None:
    noise, effects = ladder(0.0), ladder(0.1)
    best = max([noise[0].start, *noise[0].candidates], key=lambda one: one.mean)
    picked = [Decided(noise[0].start, noise[0].candidates, best.name)]
    assert expected_fall(picked).estimate > 0.0005
    assert abs(expected_fall(effects).estimate) < 0.001


def test_the_sentence_gives_the_numbers() -> None:
    found = expected_fall(ladder(0.01))
    assert found.expected == pytest.approx(found.score - found.estimate)
    assert found.low < found.estimate < found.high
    assert f"has {100 * found.score:.2f}\u202f% on validation; chosen among 7 by noisy scores, it is expected to fall by " in found.reason
    assert f"({signed_text(found.low, True)} to {signed_text(found.high, True)} points at 95\u202f% confidence)." in found.reason


def test_a_rise_is_a_rise_and_a_loss_keeps_its_sign() -> None:
    assert _moves(0.0129, -0.0634, 0.0553, 0.95, True) == "rise by 1.29 points (−6.34 to +5.53 points at 95\u202f% confidence)"
    assert _moves(-0.0129, -0.0634, 0.0553, 0.95, True) == "fall by 1.29 points (−5.53 to +6.34 points at 95\u202f% confidence)"
    assert _moves(0.0, -0.01, 0.01, 0.95, True).startswith("fall by 0.00 points (−1.00 to +1.00 points")
    one, other = (Measured(name, 1, 1, (0, 1, 2), -np.array(values), share=False) for name, values in (("a", (0.5, 0.52, 0.51)), ("b", (0.4, 0.41, 0.42))))
    reason = expected_fall([Decided(one, (other,), "b")], called="“b” of step 1", sign=-1.0).reason
    assert reason.startswith("“b” of step 1 has 0.4100 on validation; chosen among 2 by noisy scores, it is expected to rise by 0.00")


def test_images_add_to_the_noise() -> None:
    rng = np.random.default_rng(0)
    scores = worlds.other_answers(rng, 5)(3)
    made = [worlds.measured(str(number), one) for number, one in enumerate(scores)]
    alone = [Measured(one.name, 1, 1, one.seeds, one.values) for one in made]
    whole, seeds = (expected_fall([Decided(group[0], tuple(group[1:]), "0")]) for group in (made, alone))
    assert whole.high - whole.low > 1.2 * (seeds.high - seeds.low)


def test_bad_use_is_refused() -> None:
    with pytest.raises(RunError, match="a ladder without a step"):
        expected_fall([])
    first, second = networks(2)
    with pytest.raises(RunError, match="the kept one, 7, is neither the start 0 nor a candidate"):
        expected_fall([Decided(first, (second,), "7")])
    with pytest.raises(RunError, match="tell nothing of the noise"):
        expected_fall([Decided(first.take([0]), (second.take([0]),), "1")])


def test_where_all_have_the_same_scores_no_fall_is_expected() -> None:
    first = networks(1)[0]
    found = expected_fall([Decided(first, (Measured("twin", 1, 1, first.seeds, first.values),), "0")])
    assert (found.estimate, found.high - found.low) == (pytest.approx(0.0, abs=1e-7), pytest.approx(0.0, abs=1e-7))
    assert "is expected to fall by 0.00 points (0.00 to 0.00 points" in found.reason


def test_no_spread_at_all_is_no_certainty() -> None:
    first = networks(1)[0]
    found = expected_fall([Decided(first, (Measured("coarse", 1, 1, first.seeds, first.values + 0.01),), "coarse")])
    assert found.low < 0 < found.estimate < found.high


@pytest.mark.parametrize("rule", ["referee", "highest"])
@pytest.mark.parametrize(("spread", "candidates", "steps"), [(0.0, 4, 4), (0.005, 8, 3), (0.02, 3, 2)])
def test_the_bias_is_under_a_fifth_of_a_point(rule: str, spread: float, candidates: int, steps: int) -> None:
    found = simulations.fall(ladders=60, spread=spread, candidates=candidates, steps=steps, rule=rule, seed=4)
    assert abs(found["corrected"]) < 0.002
    assert found["held"] > 0.85
    if rule == "highest" and spread == 0.0:
        assert found["raw"] > 0.002  # without the correction it is not


@pytest.mark.parametrize("share", [True, False])
def test_a_share_is_not_expected_outside_what_shares_can_be(share: bool) -> None:
    scores = ((0.05, 0.15), (0.3, 0.0), (0.0, 0.36))
    made = [Measured(str(number), 1, 1, (0, 1), np.array(values), share=share) for number, values in enumerate(scores)]
    found = expected_fall([Decided(made[0], tuple(made[1:]), "2")])
    lowest = found.score - found.high
    assert lowest == 0.0 if share else lowest < 0.0
    assert found.score - found.low <= 1.0
