"""Errors in common, against scikit-learn, SciPy and cases that can be counted."""

import numpy as np
import numpy.typing as npt
import pytest
from scipy.stats import binomtest
from sklearn.metrics import cohen_kappa_score

from rung.evaluate.predictions import Predictions
from rung.study.overlap import consistency, mcnemar, overlap, same_errors

LABELS = np.repeat(np.arange(2), 5)


def answered(wrong: list[int], classes: int = 2, labels: npt.NDArray[np.int64] = LABELS) -> Predictions:
    """Return predictions that are wrong on these rows, with the next class."""
    said = labels.copy()
    said[wrong] = (said[wrong] + 1) % classes
    rows = np.arange(len(labels))
    return Predictions("validation", tuple(map(str, range(classes))), np.eye(classes, dtype=np.float32)[said], labels, rows, rows)


def test_counts_and_what_chance_would_give() -> None:
    same = same_errors([answered([0, 1, 5])], [answered([0, 1, 2, 3])])
    assert (same.both_right, same.first_only, same.second_only, same.both_wrong) == (5, 1, 2, 2)
    assert same.by_accuracy == pytest.approx(0.3 * 0.4 * 10)
    assert same.by_class == pytest.approx(5 * (2 / 5) * (4 / 5) + 5 * (1 / 5) * 0)
    assert same.same_answer == 1.0
    assert same.mcnemar == pytest.approx(binomtest(1, 3).pvalue)
    assert same.within == (None, None)


def test_several_runs_are_means_over_pairs_and_know_how_alike_their_seeds_are() -> None:
    same = same_errors([answered([0, 1]), answered([1, 2])], [answered([1])])
    assert (same.first_only, same.second_only, same.both_wrong) == (1, 0, 1)
    assert same.mcnemar is None
    assert same.within == (pytest.approx((1 - 0.4) / (2 - 0.4)), None)


@pytest.mark.parametrize(("first", "second"), [(0, 9), (3, 4), (12, 30), (5, 5)])
def test_mcnemar_is_the_exact_binomial_test(first: int, second: int) -> None:
    assert mcnemar(first, second) == pytest.approx(binomtest(first, first + second).pvalue)


def test_without_an_image_that_tells_them_apart_there_is_no_test() -> None:
    assert mcnemar(0, 0) is None


def test_consistency_is_cohens_kappa() -> None:
    rng = np.random.default_rng(0)
    a, b = ((rng.random(300) < share).astype(float) for share in (0.2, 0.4))
    assert consistency(a, b) == pytest.approx(cohen_kappa_score(a, b))


def test_overlap_is_nothing_for_independent_errors_and_all_where_one_makes_all_of_the_others() -> None:
    rng = np.random.default_rng(1)
    a, b = ((rng.random(50_000) < share).astype(float) for share in (0.1, 0.3))
    found = overlap(a, b)
    assert found is not None
    assert abs(found) < 0.02
    assert overlap(a, np.maximum(a, b)) == pytest.approx(1)
    assert overlap(np.zeros(4), np.array([0.0, 1, 0, 0])) is None
