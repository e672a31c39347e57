import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve

from rung.evaluate.calibration import BINS, brier, calibration_error, reliability


def plain_error(confidence, right):
    """The definition, bin by bin."""
    total = 0.0
    for b in range(BINS):
        inside = (confidence > b / BINS) & (confidence <= (b + 1) / BINS)
        if inside.any():
            total += inside.sum() * abs(right[inside].mean() - confidence[inside].mean())
    return total / len(right)


@given(st.lists(st.tuples(st.floats(0.001, 1), st.booleans()), min_size=1, max_size=80))
@settings(deadline=None)
def test_the_error_is_that_of_the_definition(cases):
    confidence, right = np.array([c for c, _ in cases]), np.array([r for _, r in cases])
    found = calibration_error(confidence, right, 0.95)
    assert found.value == pytest.approx(plain_error(confidence, right), abs=1e-12)
    if len(cases) > 1:
        assert 0 <= found.low <= found.value <= found.high
    else:
        assert found.reason == "one image has no spread"


def test_an_overconfident_network_by_hand():
    found = calibration_error(np.array([0.95] * 10 + [0.52] * 10), np.array([True] * 7 + [False] * 3 + [True] * 5 + [False] * 5), 0.95)
    assert found.value == pytest.approx((0.25 + 0.02) / 2)


def test_bins_are_scikit_learns():
    random = np.random.default_rng(0)
    confidence = random.uniform(0.2, 1, 2000)
    right = random.uniform(size=2000) < confidence**2
    accuracy, mean = calibration_curve(right, confidence, n_bins=BINS)
    found = reliability(confidence, right)
    assert [a for a in found.accuracy if a is not None] == pytest.approx(accuracy)
    assert [c for c in found.confidence if c is not None] == pytest.approx(mean)
    assert sum(found.count) == 2000
    assert found.accuracy[0] is None
    assert (found.low[0], found.high[-1]) == (0, 1)


def test_a_confidence_on_an_edge_belongs_to_the_lower_bin():
    found = reliability(np.array([0.5, 1.0, 0.25]), np.array([True, True, False]), bins=4)
    assert found.count == (1, 1, 0, 1)


def test_brier_is_the_squared_distance():
    probabilities = np.array([[0.7, 0.2, 0.1], [0, 1, 0]])
    assert brier(probabilities, np.array([0, 2])) == pytest.approx([0.09 + 0.04 + 0.01, 2])
