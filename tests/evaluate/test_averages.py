import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rung.evaluate import averages

NAMES = ("macro_precision", "macro_recall", "macro_f1", "weighted_precision", "weighted_recall", "weighted_f1")


def table(size, seed, images=300):
    random = np.random.default_rng(seed)
    shares = random.dirichlet(np.full(size * size, 0.3)).reshape(size, size) + 2 * np.eye(size) / size
    return random.multinomial(images * size, (shares / shares.sum()).ravel()).reshape(size, size)


def names(size):
    return [f"c{k}" for k in range(size)]


@given(size=st.integers(2, 6), seed=st.integers(0, 10**6), name=st.sampled_from(["precision", "recall", "f1"]), weighted=st.booleans())
@settings(deadline=None)
def test_the_change_of_one_more_image_is_the_derivative(size, seed, name, weighted):
    counts = table(size, seed).astype(np.float64) + 1
    every = np.ones(size, bool)
    value, change, _ = averages._change(counts, name, weighted, every)
    for row in range(size):
        for column in range(size):
            more, less = counts.copy(), counts.copy()
            more[row, column] += 0.01
            less[row, column] -= 0.01
            slope = (averages._change(more, name, weighted, every)[0] - averages._change(less, name, weighted, every)[0]) / 0.02
            assert change[row, column] == pytest.approx(slope, abs=1e-7)
    assert (counts * change).sum() == pytest.approx(0, abs=1e-9)
    assert 0 <= value <= 1


@pytest.mark.parametrize("name", NAMES)
def test_the_width_is_that_of_drawing_the_table_anew(name):
    counts = table(4, 3, 1000)
    found = averages.means(counts, names(4), 0.95)[name]
    random = np.random.default_rng(0)
    draws = [averages.means(d.reshape(4, 4), names(4), 0.95)[name].value for d in random.multinomial(counts.sum(), counts.ravel() / counts.sum(), size=800)]
    assert found.high - found.low == pytest.approx(np.diff(np.quantile(draws, [0.025, 0.975]))[0], rel=0.08)


def test_rare_classes_that_happen_to_be_all_right_do_not_look_certain():
    counts = np.diag([1000, 6, 6, 6])
    counts[0, 0] -= 1
    counts[0, 1] += 1
    found = averages.means(counts, names(4), 0.95)
    assert found["macro_recall"].low < 0.97
    assert found["weighted_f1"].low > 0.98


def test_few_images_a_class_are_said_and_too_few_get_no_interval():
    few = averages.means(np.eye(3, dtype=np.int64) * 10, names(3), 0.95)["macro_f1"]
    assert few.low is not None
    assert few.reason == "10 images a class are few: the interval is somewhat too narrow"
    too_few = averages.means(np.eye(3, dtype=np.int64) * 3, names(3), 0.95)
    assert (too_few["macro_f1"].value, too_few["macro_f1"].low, too_few["macro_f1"].covers) == (1, None, "nothing")
    assert too_few["macro_f1"].reason == "3 images a class are too few for an interval"
    assert too_few["weighted_recall"].low is not None


def test_a_network_that_always_says_one_class():
    found = averages.means(np.array([[0, 40], [0, 40]]), names(2), 0.95)
    assert found["macro_precision"].value == 0.5
    assert found["macro_precision"].classes == 1
    assert found["macro_precision"].reason == "not over c0: never answered"
    assert found["macro_recall"].value == 0.5
    assert found["macro_f1"].value == pytest.approx(1 / 3)


def test_without_weight_there_is_no_weighted_mean():
    found = averages.means(np.array([[0, 40], [0, 0]]), names(2), 0.95)["weighted_precision"]
    assert (found.value, found.classes, found.reason) == (None, 0, "no class that was answered has images")
