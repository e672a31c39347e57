"""Networks that say nothing of the noise of others: those that learnt nothing, and those that only some seeds train."""

import numpy as np
import pytest

from rung.study.steady import at_chance, unstable


@pytest.mark.parametrize(("seeds", "networks"), [(2, 6), (3, 6), (3, 40), (5, 40)])
def test_networks_that_are_equally_noisy_are_steady(seeds: int, networks: int) -> None:
    rng = np.random.default_rng([seeds, networks])
    seen = [any(unstable(list(0.7 + 0.01 * rng.standard_normal((networks, seeds))))) for _ in range(300)]
    assert np.mean(seen) < 0.04


@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_one_that_learns_with_some_seeds_only_is_found(seeds: int) -> None:
    rng = np.random.default_rng(seeds)
    scores = list(0.7 + 0.004 * rng.standard_normal((20, seeds)))
    scores[7] = np.where(np.arange(seeds) == 1, 0.67, 0.1)
    assert [number for number, far in enumerate(unstable(scores)) if far] == [7]


def test_where_most_do_not_vary_none_is_called_unstable() -> None:
    assert unstable([np.array([0.7, 0.7]), np.array([0.8, 0.8]), np.array([0.8, 0.9])]) == [False, False, False]


@pytest.mark.parametrize(
    ("scores", "chance", "nothing"), [((0.1, 0.1, 0.1), 0.1, True), ((0.12, 0.14), 0.1, True), ((0.1, 0.1, 0.67), 0.1, False), ((0.56, 0.58), 0.5, False)]
)
def test_chance_is_what_one_answer_scores(scores: tuple[float, ...], chance: float, nothing: bool) -> None:
    assert at_chance(np.array(scores), chance) is nothing
