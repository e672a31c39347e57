"""Pooled variances and the share of images, against formulas and simulations."""

import numpy as np
import pytest
from scipy.special import digamma, polygamma

from rung.study import variance


def test_one_candidate_has_its_own_variance_and_freedom() -> None:
    values = np.array([[0.01, 0.02, 0.04, 0.03]])
    pool = variance.pool(values)
    assert pool.moderated(float(values.var(ddof=1)), 3.0) == pytest.approx((values.var(ddof=1), 3.0))


def test_the_prior_is_smyths_where_differences_are_independent(monkeypatch: pytest.MonkeyPatch) -> None:
    """With no correlation taken off, d0 solves Smyth's equation trigamma(d0 / 2) = variance of the logarithms - trigamma(d / 2)."""
    monkeypatch.setattr(variance, "_SHARED", 0.0)
    variances, freedom = np.array([1.0, 4.0, 0.3, 9.0, 2.0, 0.1]), np.full(6, 9.0)
    prior = variance._prior_freedom(variances, freedom)
    logs = np.log(variances) - digamma(4.5) + np.log(4.5)
    assert polygamma(1, prior / 2) == pytest.approx(logs.var(ddof=1) - polygamma(1, 4.5), rel=1e-6)


def test_equal_variances_are_pooled_and_unequal_ones_less() -> None:
    rng = np.random.default_rng(0)
    alike = variance.pool(rng.standard_normal((6, 8)))
    apart = variance.pool(rng.standard_normal((6, 8)) * np.array([[0.01], [0.1], [1], [10], [100], [1000]]))
    assert alike.prior == pytest.approx(2 * 7)
    assert apart.prior < 1


@pytest.mark.parametrize(("start", "expected"), [(0.0, 4 * 9.0), (1.0, 4 * 9 / 1.75), (30.0, 9.0)])
def test_the_pooled_freedom_heeds_the_start_they_share(start: float, expected: float) -> None:
    rng = np.random.default_rng(1)
    found = []
    for _ in range(300):
        differences = rng.standard_normal((4, 10)) - start * rng.standard_normal(10)
        there = np.ones((4, 10), dtype=bool)
        found.append(variance._pooled_freedom(differences, there, np.full(4, 9.0)))
    assert np.median(found) == pytest.approx(expected, rel=0.25)


def test_the_expected_freedom_is_that_of_alike_networks() -> None:
    assert variance.expected_freedom(5, 1) == 4
    assert variance.expected_freedom(5, 4) == pytest.approx(16 / 1.75)
    assert variance.expected_freedom(5, 1000) == 12


def test_a_candidate_that_was_dropped_still_tells_of_the_noise() -> None:
    rng = np.random.default_rng(2)
    differences = rng.standard_normal((4, 5))
    alone = variance.pool(differences[:1])
    differences[1:, 2:] = np.nan
    together = variance.pool(differences)
    assert together.moderated(1.0, 4.0)[1] > alone.moderated(1.0, 4.0)[1] == 4.0


def test_seeds_crossed_with_images_are_the_textbooks_anova() -> None:
    rng = np.random.default_rng(3)
    table = rng.standard_normal((4, 7)) + rng.standard_normal((4, 1)) + 2 * rng.standard_normal(7)
    n, count = table.shape
    rows, columns = table.mean(axis=1, keepdims=True), table.mean(axis=0)
    of_images = n * ((columns - table.mean()) ** 2).sum() / (count - 1)
    rest = ((table - rows - columns + table.mean()) ** 2).sum() / ((n - 1) * (count - 1))
    found = variance.image_share(table)
    assert found.added == pytest.approx((of_images - rest) / (n * count))
    assert found.least == pytest.approx(0.5 * rest / count)
    whole = ((rows - table.mean()) ** 2).sum() * count / (n - 1)
    assert rows.var(ddof=1) / n + found.added == pytest.approx((whole + of_images - rest) / (n * count))


def test_one_seed_has_the_variance_of_its_images() -> None:
    table = np.array([[0.0, 1.0, 0.0, -1.0, 1.0]])
    assert variance.image_share(table).added == pytest.approx(table.var(ddof=1) / 5)
