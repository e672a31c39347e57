import numpy as np
import pytest

from rung.evaluate.metrics import confusion_table, score
from rung.evaluate.predictions import Predictions
from rung.explain.mistakes import pairs, standings, worst

ANIMALS = ("cat", "dog", "frog", "horse")


def predictions(count=400, strength=1.0, seed=0):
    random = np.random.default_rng(seed)
    labels = random.integers(0, 4, count)
    logits = random.normal(size=(count, 4)).astype(np.float32)
    logits[np.arange(count), labels] += strength
    return Predictions("test", ANIMALS, logits, labels, random.permutation(count) + 1000, np.arange(count))


def test_pairs_count_both_ways_and_share_all_errors():
    found = pairs([[90, 8, 2, 0], [12, 80, 0, 0], [1, 0, 9, 0], [0, 0, 0, 5]], ANIMALS)
    assert [(p.first, p.second, p.first_as_second, p.second_as_first, p.errors) for p in found] == [("cat", "dog", 8, 12, 20), ("cat", "frog", 2, 1, 3)]
    assert found[0].share.value == pytest.approx(20 / 23)
    assert found[0].share.low < 20 / 23 < found[0].share.high
    assert [p.hardest for p in found] == [True, False]


def test_pairs_are_those_of_the_scores_and_sum_to_all_errors():
    p = predictions()
    found = pairs(score(p).confusion, p.classes)
    assert sum(pair.errors for pair in found) == (p.answers() != p.labels).sum()
    assert [pair.errors for pair in found] == sorted((pair.errors for pair in found), reverse=True)
    assert sum(pair.share.value for pair in found) == pytest.approx(1)


def test_no_errors_no_pairs():
    assert pairs(np.diag([3, 4]), ("a", "b")) == ()


def test_which_pair_comes_first_by_chance_is_not_called_the_hardest_alone():
    """Errors spread evenly over all pairs of ten classes: nearly always several pairs are among the hardest."""
    random = np.random.default_rng(0)
    names = [str(k) for k in range(10)]
    alone = 0
    for _ in range(200):
        counts = random.multinomial(500, np.full(100, 0.01)).reshape(10, 10)
        alone += sum(p.hardest for p in pairs(counts, names)) == 1
    assert alone <= 4


def test_the_hardest_are_told_by_a_sign_test_for_all_pairs_together():
    """70 against 55 and 46 errors: two-sided p 0.21 and 0.032, too large for six pairs; against 35: 0.0008."""
    found = pairs([[0, 70, 55, 0], [0, 0, 46, 0], [0, 0, 0, 35], [0, 0, 0, 0]], ANIMALS)
    assert [(p.errors, p.hardest) for p in found] == [(70, True), (55, True), (46, True), (35, False)]


def test_standings_name_only_what_the_images_can_tell():
    found = standings([[99, 1, 0, 0], [15, 85, 0, 0], [60, 0, 40, 0], [2, 0, 0, 2]], ANIMALS)
    assert [(s.name, s.side) for s in found] == [("cat", "above"), ("dog", "above"), ("frog", "below")]
    assert found[0].mean == pytest.approx((0.99 + 0.85 + 0.40 + 0.5) / 4)
    assert found[2].value.high < found[2].mean
    assert found[0].value.level == pytest.approx(1 - 0.05 / 4)


def test_standings_compare_with_the_macro_recall():
    p = predictions(2000)
    p.logits[:, 0] += 1  # says cat too often
    p.logits[:1000, 1] -= 1
    found = standings(confusion_table(p), p.classes)
    assert found
    assert all(s.mean == pytest.approx(score(p).macro_recall.value) for s in found)


def test_one_error_in_36_is_not_below_an_average_of_99_7():
    """Were every class right on 99.7 %, one class of ten in ten would err once or more on its 36 images."""
    counts = np.diag([36] * 10)
    counts[8, 8], counts[8, 1] = 35, 1
    assert standings(counts, [str(k) for k in range(10)]) == ()
    counts[8, 8], counts[8, 1] = 30, 6
    assert [(s.name, s.side) for s in standings(counts, [str(k) for k in range(10)])] == [("8", "below")]


@pytest.mark.parametrize("classes", [2, 10, 100])
@pytest.mark.parametrize("images", [1, 36, 1000])
def test_a_single_error_never_puts_a_class_below_the_average(images, classes):
    counts = np.diag([images] * classes)
    counts[0, 0], counts[0, 1] = images - 1, 1
    assert standings(counts, [str(k) for k in range(classes)]) == ()


@pytest.mark.parametrize(("share", "images"), [(0.6, 250), (0.97, 36), (0.997, 36), (0.997, 1000)])
def test_equal_classes_are_seldom_told_apart(share, images):
    random = np.random.default_rng(1)
    named = 0
    for _ in range(300):
        hits = random.binomial(images, share, 10)
        counts = np.diag(hits)
        counts[np.arange(10), (np.arange(10) + 1) % 10] = images - hits
        named += bool(standings(counts, [str(k) for k in range(10)]))
    assert named <= 26  # 5 % and three deviations


def test_classes_without_a_score_are_left_out():
    assert standings([[100, 0, 0], [60, 40, 0], [0, 0, 0]], ("a", "b", "c"))[0].mean == pytest.approx(0.7)
    assert standings(np.zeros((2, 2)), ("a", "b")) == ()


def test_the_worst_are_wrong_and_most_confident_first():
    p = predictions()
    probabilities, answers = p.probabilities(), p.answers()
    found = worst(p, 10)
    assert len(found) == 10
    assert [a.confidence for a in found] == sorted((a.confidence for a in found), reverse=True)
    for a in found:
        assert a.row == p.rows[a.index]
        assert a.true == ANIMALS[p.labels[a.index]] != a.answered == ANIMALS[answers[a.index]]
        assert a.true_confidence == probabilities[a.index, p.labels[a.index]]
    wrong = answers != p.labels
    assert found[0].confidence == probabilities.max(axis=1)[wrong].max()
    assert len(worst(p, 10_000)) == wrong.sum()


def test_a_perfect_network_has_no_worst_answer():
    assert worst(predictions(strength=50.0), 5) == ()
