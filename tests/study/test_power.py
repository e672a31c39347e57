"""What a pilot foretells: against the distributions of scipy, and small simulations."""

import math

import numpy as np
import pytest
from scipy import stats

from benchmarks.referee import simulations, worlds
from rung.audit.power import paired
from rung.errors import RunError
from rung.study import power
from rung.study.measured import Measured
from rung.study.power import Estimate, Noise, images_needed, noise_of, seeds_needed, smallest_difference
from rung.study.referee import spending


def known(deviation: float = 0.01, seeds: int = 10_000, discordant: float | None = None, share: bool = True) -> Noise:
    """A pilot so large that it knows the noise."""
    sure = None if discordant is None else Estimate(discordant, discordant, discordant, 0.95)
    return Noise(seeds, 0.8, Estimate(deviation, deviation, deviation, 0.95), sure, 1_000 if sure else 0, share)


def test_the_deviation_has_the_interval_of_chi_square() -> None:
    values = np.array([0.81, 0.80, 0.83, 0.79, 0.82])
    found = noise_of(Measured("a", 1, 1, tuple(range(5)), values)).deviation
    assert found.value == pytest.approx(values.std(ddof=1))
    bounds = [values.std(ddof=1) * math.sqrt(4 / stats.chi2.ppf(tail, 4)) for tail in (0.975, 0.025)]
    assert [found.low, found.high] == pytest.approx(bounds)


def test_discordant_is_the_share_on_which_two_seeds_differ() -> None:
    rng = np.random.default_rng(0)
    images = (rng.random((4, 300)) < 0.8).astype(float)
    found = noise_of(worlds.measured("a", images))
    pairs = [np.mean(images[i] != images[j]) for i in range(4) for j in range(i)]
    assert found.discordant is not None
    assert found.discordant.value == pytest.approx(np.mean(pairs))
    assert found.discordant.low < 0.32 < found.discordant.high
    assert found.images == 300


def power_of(difference: float, seeds: int, step: int = 1) -> float:
    """The power of one candidate's paired t test where one score has a deviation of 0.01."""
    return float(1 - stats.nct.cdf(stats.t.ppf(1 - spending(step, 0.05) / 2, seeds - 1), seeds - 1, difference / 0.01 * math.sqrt(seeds / 2)))


@pytest.mark.parametrize("seeds", [3, 5, 20])
def test_with_known_noise_the_power_is_the_t_tests(seeds: int) -> None:
    assert power_of(smallest_difference(known(), seeds).value, seeds) == pytest.approx(0.8, abs=1e-3)
    assert power_of(smallest_difference(known(), seeds, step=3, power=0.5).value, seeds, step=3) == pytest.approx(0.5, abs=1e-3)


def test_seeds_needed_is_the_first_number_that_is_enough() -> None:
    needed = int(seeds_needed(known(), 0.01, step=2).value)
    assert power_of(0.01, needed, step=2) >= 0.8 > power_of(0.01, needed - 1, step=2)
    assert seeds_needed(known(), 0.01, candidates=3, step=2).value != needed


def test_more_candidates_need_a_larger_difference_with_many_seeds() -> None:
    assert smallest_difference(known(), 50, candidates=8).value > smallest_difference(known(), 50).value


def test_a_small_pilot_asks_for_more_and_says_how_little_it_knows() -> None:
    few = noise_of(Measured("a", 1, 1, (0, 1, 2), np.array([0.79, 0.80, 0.81])))
    sure, unsure = smallest_difference(known(few.deviation.value), 5), smallest_difference(few, 5)
    assert unsure.low < sure.value < unsure.value < unsure.high
    needed = seeds_needed(few, 0.01)
    assert needed.low < seeds_needed(known(few.deviation.value), 0.01).value < needed.value < needed.high


def test_differences_beyond_doubt_and_beyond_reach() -> None:
    assert np.all(power._power(np.array([1.0, 50.0, 1e6]), 1_000, 1, 0.03) == 1.0)
    assert seeds_needed(known(1e-9), 0.5).value == 2.0
    assert seeds_needed(known(), 1e-9).value == math.inf


def test_images_needed_turns_around_the_smallest_difference_of_the_check_of_data() -> None:
    needed = images_needed(known(discordant=0.1), 0.01)
    assert paired(int(needed.value), 0.1) == pytest.approx(0.01, rel=1e-3)
    assert images_needed(known(discordant=0.001), 0.01).value == images_needed(known(discordant=0.01), 0.01).value


def test_bad_use_is_refused() -> None:
    with pytest.raises(RunError, match="a pilot needs two seeds or more to show its noise; got 1"):
        noise_of(Measured("a", 1, 1, (0,), np.array([0.8])))
    with pytest.raises(RunError, match="all 2 seeds have the same score"):
        noise_of(Measured("a", 1, 1, (0, 1), np.array([0.8, 0.8])))
    with pytest.raises(RunError, match="no mean over images"):
        images_needed(known(), 0.01)
    with pytest.raises(RunError, match="larger than 0; got -1"):
        seeds_needed(known(), -1)
    with pytest.raises(RunError, match="two seeds or more a candidate; got 1"):
        smallest_difference(known(), 1)


def test_equal_scores_of_seeds_that_differ_by_images_still_show_noise() -> None:
    images = np.array([[1.0, 0.0, 1.0, 1.0], [0.0, 1.0, 1.0, 1.0]])
    assert noise_of(worlds.measured("a", images)).deviation.value > 0


@pytest.mark.parametrize(("candidates", "seeds"), [(1, 5), (4, 5)])
def test_what_is_foretold_is_found(candidates: int, seeds: int) -> None:
    found = simulations.foretold(pilots=100, trials=3, candidates=candidates, seeds=seeds, seed=5)
    assert found["found"] == pytest.approx(0.8, abs=0.1)


def test_two_seeds_differ_on_no_more_images_than_there_are() -> None:
    right = np.random.default_rng(0).integers(0, 2, (2, 8)).astype(np.float64)
    right[1, :4] = 1 - right[0, :4]
    right[1, 4:] = right[0, 4:]
    of_images = noise_of(Measured("one", 1, 1, (0, 1), right.mean(axis=1), right)).discordant
    of_losses = noise_of(Measured("one", 1, 1, (0, 1), 3 * right.mean(axis=1), 3 * right, share=False)).discordant
    assert of_images is not None
    assert of_losses is not None
    assert of_images.high == 1.0
    assert of_losses.high > 9.0
