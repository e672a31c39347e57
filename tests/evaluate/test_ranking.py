import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import auc, roc_auc_score, roc_curve

from rung.evaluate.predictions import Predictions
from rung.evaluate.ranking import areas, roc


def predictions(count, size, seed=0, strength=1.5, labels=None):
    random = np.random.default_rng(seed)
    labels = random.integers(0, size, count) if labels is None else np.asarray(labels)
    logits = random.normal(size=(count, size)).astype(np.float32)
    logits[np.arange(count), labels] += strength
    return Predictions("test", tuple(f"c{k}" for k in range(size)), logits, labels, np.arange(count), np.arange(count))


def area(own, others):
    probabilities = np.append(own, others)[:, None]
    return areas(probabilities, np.repeat([0, 1], [len(own), len(others)]), ("a",), 0.95)[0][0]


scores = st.lists(st.sampled_from([0.0, 0.1, 0.2, 0.5, 0.5000001, 1.0]), min_size=2, max_size=20)


@given(scores, scores)
@settings(deadline=None)
def test_areas_are_scikit_learns_with_many_ties(own, others):
    found = area(own, others)
    assert found.value == pytest.approx(roc_auc_score(np.repeat([1, 0], [len(own), len(others)]), own + others), abs=1e-14)
    assert 0 <= found.low <= found.value <= found.high <= 1


@given(scores, scores)
@settings(deadline=None)
def test_the_variance_is_delongs(own, others):
    """By the definition, from all pairs: variance of each image's mean over its pairs, divided by the number of such images."""
    own, others = np.array(own), np.array(others)
    wins = (own[:, None] > others) + 0.5 * (own[:, None] == others)
    variance = wins.mean(axis=1).var(ddof=1) / len(own) + wins.mean(axis=0).var(ddof=1) / len(others)
    found, value = area(own, others), wins.mean()
    if 0 < value < 1 and variance > 1e-12:
        half = 1.959963984540054 * np.sqrt(variance) / (value * (1 - value))
        centre = np.log(value / (1 - value))
        assert [found.low, found.high] == pytest.approx([1 / (1 + np.exp(half - centre)), 1 / (1 + np.exp(-half - centre))], abs=1e-9)


def test_the_interval_of_the_mean_knows_that_the_areas_go_together():
    p = predictions(400, 5)

    def mean(rows):
        return areas(p.probabilities()[rows], p.labels[rows], p.classes, 0.95)[1]

    random = np.random.default_rng(0)
    draws = [mean(random.integers(0, 400, 400)).value for _ in range(500)]
    found = mean(np.arange(400))
    assert found.high - found.low == pytest.approx(np.diff(np.quantile(draws, [0.025, 0.975]))[0], rel=0.12)
    two = predictions(300, 2)
    each, both = areas(two.probabilities(), two.labels, two.classes, 0.95)
    assert [both.low, both.high] == pytest.approx([each[0].low, each[0].high], abs=1e-9)  # two classes: one curve, seen twice


def test_one_image_of_a_class_has_an_area_but_no_interval():
    p = predictions(30, 3, labels=[2] + [0, 1] * 14 + [0])
    each, mean = areas(p.probabilities(), p.labels, p.classes, 0.95)
    assert (each[2].low, each[2].reason) == (None, "one image of c2 has no spread")
    assert each[2].value is not None
    assert each[0].low is not None
    assert (mean.low, mean.classes, mean.reason) == (None, 3, "one image has no spread (c2)")


def test_all_images_of_one_class_have_no_area():
    p = predictions(30, 3, labels=[1] * 30)
    each, mean = areas(p.probabilities(), p.labels, p.classes, 0.95)
    assert [value.reason for value in each] == ["no image of c0", "every image is of c1", "no image of c2"]
    assert (mean.value, mean.classes, mean.reason) == (None, 0, "not over c0, c1, c2: every image is of c1")


@pytest.mark.parametrize("count", [5, 300, 20_000])
def test_thinned_curves_are_scikit_learns_points_and_nearly_its_area(count):
    p = predictions(count, 3, seed=count)
    curves = roc(p)
    assert [curve.name for curve in curves] == ["c0", "c1", "c2"]
    for k, curve in enumerate(curves):
        scores = p.probabilities()[:, k]
        false, true, _ = roc_curve(p.labels == k, scores, drop_intermediate=False)
        points = list(zip(curve.false_positive, curve.true_positive, strict=True))
        assert set(points) <= set(zip(false.tolist(), true.tolist(), strict=True))
        assert (points[0], points[-1]) == ((0.0, 0.0), (1.0, 1.0))
        assert len(points) <= 200
        assert points == sorted(points)
        assert auc(curve.false_positive, curve.true_positive) == pytest.approx(roc_auc_score(p.labels == k, scores), abs=0.003)


def test_curves_of_many_points_are_kept_whole_if_asked():
    p = predictions(500, 2)
    false, true, _ = roc_curve(p.labels == 0, p.probabilities()[:, 0], drop_intermediate=False)
    assert roc(p, points=10_000)[0].false_positive == tuple(false)
    assert roc(p, points=10_000)[0].true_positive == tuple(true)


def test_classes_without_images_have_no_curve():
    assert [curve.name for curve in roc(predictions(40, 3, labels=[0, 1] * 20))] == ["c0", "c1"]
