import json
import time
from dataclasses import FrozenInstanceError

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as reference

from rung.errors import DataError, RecipeError, RunError
from rung.evaluate.metrics import Scores, confusion_table, score
from rung.evaluate.predictions import Predictions


def predictions(labels, logits, part="validation"):
    labels, logits = np.asarray(labels, np.int64), np.asarray(logits, np.float32)
    count, size = logits.shape
    return Predictions(part, tuple(f"c{k}" for k in range(size)), logits, labels, np.arange(count), np.arange(count) * 31)


def noisy(count, size, seed=0, strength=2.5):
    random = np.random.default_rng(seed)
    labels = random.integers(0, size, count)
    logits = random.normal(size=(count, size))
    logits[np.arange(count), labels] += strength
    return predictions(labels, logits)


@st.composite
def odd_cases(draw):
    """Few images, classes without images, classes never answered, many equal logits, 2 to 100 classes."""
    size = draw(st.sampled_from([2, 3, 6, 10, 100]))
    count = draw(st.integers(1, 60))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    present = random.choice(size, draw(st.integers(1, size)), replace=False)
    logits = random.normal(size=(count, size)) * draw(st.sampled_from([0.0, 0.1, 1.0, 8.0]))
    if draw(st.booleans()):
        logits = logits.round()
    logits[:, random.choice(size, draw(st.integers(0, size - 1)), replace=False)] -= 20
    return predictions(random.choice(present, count), logits)


def value_of(value):
    return np.nan if value.value is None else value.value


def check_against_scikit_learn(p):
    found = score(p)
    labels, answers, probabilities, every = p.labels, p.answers(), p.probabilities(), np.arange(len(p.classes))
    assert found.accuracy.value == pytest.approx(reference.accuracy_score(labels, answers), abs=1e-15)
    assert np.array_equal(found.confusion, reference.confusion_matrix(labels, answers, labels=every))
    if (probabilities[np.arange(len(labels)), labels] > 1e-15).all():  # scikit-learn clips smaller ones
        assert found.log_loss.value == pytest.approx(reference.log_loss(labels, probabilities, labels=every), abs=1e-12)
    if len(every) > 5:  # scikit-learn puts the last of equal scores first, rung the first: turned round they agree
        turned = reference.top_k_accuracy_score(len(every) - 1 - labels, p.logits[:, ::-1], k=5, labels=every)
        assert found.top_5.value == pytest.approx(turned, abs=1e-15)
    else:
        assert found.top_5 is None
    for kind in ("macro", "weighted"):
        wanted = reference.precision_recall_fscore_support(labels, answers, labels=every, average=kind, zero_division=np.nan)[:3]
        got = [value_of(getattr(found, f"{kind}_{name}")) for name in ("precision", "recall", "f1")]
        if kind == "weighted" and not np.isin(labels, answers).any():  # no weight at all: scikit-learn says 0
            assert np.isnan(got[0])
            got[0] = 0.0
        assert got == pytest.approx(wanted, abs=1e-12, nan_ok=True)
    *wanted, support = reference.precision_recall_fscore_support(labels, answers, labels=every, average=None, zero_division=np.nan)
    for k, row in enumerate(found.per_class):
        assert row.support == support[k]
        assert row.answered == (answers == k).sum()
        assert [value_of(row.precision), value_of(row.recall), value_of(row.f1)] == pytest.approx([w[k] for w in wanted], abs=1e-12, nan_ok=True)
        if 0 < support[k] < len(labels):
            assert row.auc.value == pytest.approx(reference.roc_auc_score(labels == k, probabilities[:, k]), abs=1e-12)
        else:
            assert row.auc.value is None
            assert row.auc.reason
    return found


def check_honest(found):
    """Nothing undefined is a number, nothing is NaN, no value lies outside its interval, every gap has its reason."""
    values = [*found.values().values(), *(v for row in found.per_class for v in (row.precision, row.recall, row.f1, row.auc))]
    for value in values:
        if value.value is None or value.low is None:
            assert value.reason
            assert (value.low, value.high, value.covers) == (None, None, "nothing")
        else:
            assert value.low <= value.value <= value.high
            assert value.covers == "images"
            assert np.isfinite([value.value, value.low, value.high]).all()
        assert all(type(x) is float for x in (value.value, value.low, value.high) if x is not None)


@given(odd_cases())
@settings(max_examples=100, deadline=None)
def test_equal_to_scikit_learn_in_odd_cases(p):
    found = check_against_scikit_learn(p)
    check_honest(found)
    assert Scores.from_json(json.loads(json.dumps(found.to_json(), allow_nan=False))) == found


@pytest.mark.parametrize(("count", "size"), [(1, 2), (1, 100), (2000, 2), (3000, 10), (3000, 100)])
def test_equal_to_scikit_learn_in_plain_cases(count, size):
    check_honest(check_against_scikit_learn(noisy(count, size)))


def test_macro_auc_is_scikit_learns_where_every_class_is_there():
    p = noisy(2000, 10)
    wanted = reference.roc_auc_score(p.labels, p.probabilities(), multi_class="ovr", average="macro")
    assert score(p).macro_auc.value == pytest.approx(wanted, abs=1e-12)
    assert score(p).macro_auc.classes == 10


def test_the_brier_score_is_scikit_learns_for_two_classes():
    p = noisy(500, 2)
    assert score(p).brier.value == pytest.approx(2 * reference.brier_score_loss(p.labels, p.probabilities()[:, 1]), abs=1e-12)


def test_a_class_that_is_never_answered_has_no_precision_and_says_so():
    found = score(predictions([0] * 30 + [1] * 30 + [2] * 30, [[1, 0, -5]] * 60 + [[0, 1, -5]] * 30))
    assert found.per_class[2].precision.value is None
    assert found.per_class[2].precision.reason == "c2 was never answered"
    assert found.per_class[2].recall.value == 0
    assert found.per_class[2].f1.value == 0
    assert found.macro_precision.value == pytest.approx((0.5 + 0) / 2)
    assert found.macro_precision.classes == 2
    assert found.macro_precision.reason == "not over c2: never answered"
    assert (found.macro_recall.classes, found.macro_recall.reason) == (3, "")


def test_a_class_without_images_has_no_recall_and_no_auc_and_says_so():
    found = score(predictions([0, 1] * 40, [[1, 0, -5], [0, 1, -4]] * 40))
    assert (found.per_class[2].recall.value, found.per_class[2].auc.value) == (None, None)
    assert found.per_class[2].auc.reason == "no image of c2"
    assert found.macro_recall.value == 1
    assert found.macro_recall.classes == 2
    assert found.macro_auc.classes == 2
    assert found.macro_auc.reason == "not over c2: without images"


def test_weighted_recall_is_the_accuracy_with_its_interval():
    found = score(noisy(700, 10))
    assert (found.weighted_recall.value, found.weighted_recall.low, found.weighted_recall.high) == (
        found.accuracy.value,
        found.accuracy.low,
        found.accuracy.high,
    )


def test_a_perfect_score_is_not_certain():
    p = noisy(100, 5, strength=50)
    found = score(p)
    for value in (found.accuracy, found.macro_f1, found.macro_precision, found.weighted_f1, found.per_class[0].f1, found.per_class[0].auc, found.macro_auc):
        assert (value.value, value.high) == (1, 1)
        assert value.low < 0.99


def test_log_loss_is_not_clipped():
    assert score(predictions([0, 1], [[0, 800], [0, 800]])).log_loss.value == 400


def test_scores_do_not_depend_on_the_order_of_images():
    p = noisy(500, 10)
    order = np.random.default_rng(1).permutation(500)
    turned = Predictions(p.part, p.classes, p.logits[order], p.labels[order], p.rows[order], p.digests[order])
    for name, value in score(p).values().items():
        other = score(turned).values()[name]
        assert [value.value, value.low, value.high] == pytest.approx([other.value, other.low, other.high], abs=1e-12), name


def test_the_same_predictions_give_the_same_numbers():
    own = {"half": lambda probabilities, labels: float((probabilities[:, 0] > 0.5).mean())}
    assert score(noisy(300, 7), own=own) == score(noisy(300, 7), own=own)


def test_a_higher_level_gives_wider_intervals():
    narrow, wide = score(noisy(400, 6), level=0.8), score(noisy(400, 6), level=0.99)
    for name, value in narrow.values().items():
        other = wide.values()[name]
        assert other.low < value.low, name
        assert other.high > value.high or other.high == value.value == 1, name


def test_costs_are_rows_true_columns_answered():
    p = predictions([0, 0, 1, 1], [[1, 0], [0, 1], [0, 1], [0, 1]])
    found = score(p, costs=[[0, 10], [3, 0]])
    assert found.cost.value == pytest.approx(10 / 4)
    assert found.costs == ((0.0, 10.0), (3.0, 0.0))
    assert score(p).cost is None


def test_a_cost_of_one_for_each_mistake_is_the_error_rate_with_its_interval():
    p = noisy(300, 4)
    found = score(p, costs=1 - np.eye(4))
    assert found.cost.value == pytest.approx(1 - found.accuracy.value)
    assert [found.cost.low, found.cost.high] == pytest.approx([1 - found.accuracy.high, 1 - found.accuracy.low], abs=1e-12)


def test_own_metrics_get_probabilities_and_labels_and_an_interval():
    p = noisy(2000, 5)

    def right(probabilities, labels):
        assert probabilities.dtype == np.float64
        assert probabilities.shape == (len(labels), 5)
        return np.float32((probabilities.argmax(axis=1) == labels).mean())

    found = score(p, own={"right": right})
    assert found.own["right"].value == pytest.approx(found.accuracy.value, abs=1e-7)
    assert found.own["right"].high - found.own["right"].low == pytest.approx(found.accuracy.high - found.accuracy.low, rel=0.6)
    assert found.values()["right"] == found.own["right"]
    assert Scores.from_json(json.loads(json.dumps(found.to_json()))) == found


def test_own_metrics_that_need_all_images_or_get_few_have_no_interval_and_say_so():
    def whole(probabilities, labels):
        if len(labels) != 100:
            raise ValueError("all hundred, please")
        return 1

    value = score(noisy(100, 3), own={"whole": whole}).own["whole"]
    assert (value.value, value.low) == (1.0, None)
    assert "all hundred, please" in value.reason
    assert "too few" in score(noisy(20, 3), own={"one": lambda probabilities, labels: 1}).own["one"].reason


def test_own_metrics_cannot_change_the_other_scores():
    def spoil(probabilities, labels):
        probabilities[:] = 0
        labels[:] = 0
        return 0

    p = noisy(100, 3)
    before = p.labels.copy()
    assert score(p, own={"a": spoil, "b": lambda probabilities, labels: probabilities.sum()}).own["b"].value == pytest.approx(100)
    assert np.array_equal(p.labels, before)


@pytest.mark.parametrize(
    ("metric", "message"),
    [
        (lambda p, y: "high", "your metric 'mine' returned 'high', expected one number"),
        (lambda p, y: None, "returned None, expected one number"),
        (lambda p, y: True, "returned True"),
        (lambda p, y: p.sum(axis=0), "expected one number"),
        (lambda p, y: float("nan"), "returned nan, expected a finite number"),
        (lambda p, y: np.inf, "returned inf, expected a finite number"),
        (lambda p, y: 1 // 0, r"your metric 'mine' failed on 50 images: ZeroDivisionError"),
        (lambda p: 1.0, "failed on 50 images: TypeError"),
    ],
)
def test_own_metrics_that_fail_are_named(metric, message):
    with pytest.raises(RecipeError, match=message):
        score(noisy(50, 3), own={"mine": metric})


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"level": 95}, RecipeError, "level = 95: expected a share between 0 and 1"),
        ({"costs": np.zeros((2, 2))}, DataError, r"cost table has the shape \(2, 2\), expected \(3, 3\)"),
        ({"costs": np.full((3, 3), np.nan)}, DataError, "cost table has nan in row 0, column 0"),
        ({"costs": [["a"] * 3] * 3}, DataError, "not a table of numbers"),
        ({"own": {"accuracy": max}}, RecipeError, "cannot be named 'accuracy'"),
    ],
)
def test_wrong_arguments_are_named(arguments, error, message):
    with pytest.raises(error, match=message):
        score(noisy(10, 3), **arguments)


def test_nothing_to_score_is_an_error():
    with pytest.raises(RunError, match="there are no validation images"):
        score(predictions(np.zeros(0), np.zeros((0, 3))))
    with pytest.raises(RunError, match="cannot score these predictions: the answers to 1 of 2"):
        score(predictions([0, 1], [[0, np.nan], [0, 1]]))


def test_json_has_a_fixed_order_and_the_fields_of_the_record():
    values = score(noisy(50, 6), costs=np.ones((6, 6)) - np.eye(6)).to_json()
    assert list(values)[:7] == ["part", "classes", "images", "level", "accuracy", "top_5", "macro_precision"]
    assert list(values["accuracy"])[:6] == ["value", "low", "high", "covers", "level", "method"]
    assert list(values) == list(score(noisy(7, 2)).to_json())


@pytest.mark.parametrize("change", [{"accuracy": None, "confusion": 3}, {"per_class": [{"name": "a"}]}, {"classes": None}, {"surprise": 1}])
def test_other_json_is_refused(change):
    with pytest.raises(RunError, match="not scores that rung wrote"):
        Scores.from_json(score(noisy(10, 3)).to_json() | change)
    with pytest.raises(RunError, match="not scores that rung wrote"):
        Scores.from_json({})


def test_the_table_has_a_row_for_each_class():
    found = score(noisy(90, 3))
    rows = found.table()
    assert [row["class"] for row in rows] == ["c0", "c1", "c2"]
    assert sum(row["support"] for row in rows) == 90
    assert rows[1]["recall_low"] == found.per_class[1].recall.low
    assert rows[1]["auc"] == found.per_class[1].auc.value


def test_scores_are_frozen():
    found = score(noisy(10, 3))
    with pytest.raises(FrozenInstanceError):
        found.images = 3


def test_confusion_of_a_known_case():
    assert confusion_table(predictions([0, 0, 1], [[0, 1], [1, 0], [0, 1]])).tolist() == [[1, 1], [0, 1]]


@pytest.mark.parametrize(("count", "size", "limit_s"), [(50_000, 10, 2.0), (10_000, 100, 3.0)])
def test_scoring_is_quick(count, size, limit_s):
    p = noisy(count, size)
    started = time.process_time()
    score(p)
    assert time.process_time() - started < limit_s
