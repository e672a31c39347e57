"""Coarser groups of the classes: how they are read, and what the answers are as answers of them."""

from dataclasses import replace

import numpy as np
import pytest

from rung.errors import RecipeError, RunError
from rung.evaluate.categories import in_categories, parse
from rung.evaluate.ensemble import mean_answers
from rung.evaluate.metrics import Scores, score
from rung.evaluate.predictions import Predictions

CLASSES = ("camel", "cattle", "chimpanzee", "elephant")
TEXT = "herbivore = camel, cattle, elephant; omnivore = chimpanzee"


def answers(count: int = 200, seed: int = 0) -> Predictions:
    drawn = np.random.default_rng(seed)
    labels = np.random.default_rng(1).integers(0, 4, count)
    logits = (drawn.standard_normal((count, 4)) + 1.5 * np.eye(4)[labels]).astype(np.float32)
    return Predictions("validation", CLASSES, logits, labels, np.arange(count), np.arange(count) * 3)


def test_categories_are_read_in_natural_order() -> None:
    found = parse("z=camel,cattle; b10=elephant; chimpanzee", CLASSES)
    assert found.names == ("b10", "chimpanzee", "z")
    assert found.of.tolist() == [2, 2, 1, 0]


def test_probabilities_are_the_sums_of_those_of_the_classes() -> None:
    fine = answers()
    coarse = in_categories(fine, parse(TEXT, CLASSES))
    assert coarse.classes == ("herbivore", "omnivore")
    each = fine.probabilities()
    assert coarse.probabilities()[:, 0] == pytest.approx(each[:, [0, 1, 3]].sum(axis=1), abs=1e-6)
    assert coarse.labels.tolist() == [int(label == 2) for label in fine.labels]
    assert (coarse.rows == fine.rows).all()
    right = np.mean([(row[2] > 0.5) == (label == 2) for row, label in zip(each, fine.labels, strict=True)])
    assert score(coarse).accuracy.value == pytest.approx(right)


def test_a_category_may_win_though_none_of_its_classes_does() -> None:
    fine = answers(1)
    one = Predictions("test", CLASSES, np.log(np.array([[0.3, 0.3, 0.4, 0.0001]], dtype=np.float32)), np.array([0]), fine.rows, fine.digests)
    assert one.answers().tolist() == [2]
    assert in_categories(one, parse(TEXT, CLASSES)).answers().tolist() == [0]


def test_a_probability_of_nought_stays_finite() -> None:
    sure = Predictions("test", CLASSES, np.array([[0, 0, 500, 0]], dtype=np.float32), np.array([2]), np.array([0]), np.array([0]))
    coarse = in_categories(sure, parse(TEXT, CLASSES))
    assert np.isfinite(coarse.logits).all()
    assert coarse.answers().tolist() == [1]


def test_answers_of_an_ensemble_have_categories_too() -> None:
    members = [answers(seed=0), answers(seed=1)]
    together = in_categories(mean_answers(members), parse(TEXT, CLASSES)).probabilities()
    apart = np.mean([in_categories(one, parse(TEXT, CLASSES)).probabilities() for one in members], axis=0)
    assert together == pytest.approx(apart, abs=1e-6)


def test_scores_with_those_of_categories_come_back_from_json() -> None:
    fine = answers()
    coarse = score(in_categories(fine, parse(TEXT, CLASSES)))
    whole = replace(score(fine), categories=coarse)
    assert Scores.from_json(whole.to_json()) == whole
    before = whole.to_json()
    del before["categories"]
    assert Scores.from_json(before) == score(fine), "scores.json of before there were categories"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("h=camel,cattle,elefant; o=chimpanzee", r"^data.categories asks for 'elefant', which the data do not have: did you mean 'elephant'\?$"),
        ("h=camel,cattle,elephant; o=chimpanzee,camel", r"^data.categories uses 'camel' twice: an image can have one class only$"),
        ("h=camel; h=cattle", r"^data.categories makes 'h' twice"),
        (
            "h=camel; o=chimpanzee",
            r"^data.categories leaves out 'cattle', 'elephant': put each class into a category",
        ),
        ("h=camel,cattle,elephant,chimpanzee", r"^data.categories = '.*' makes 1 category of all classes: give two at least$"),
        ("h=", r"^data.categories: 'h=' needs a name and at least one class"),
        (" ; ", r"^data.categories = ' ; ' names no class"),
    ],
)
def test_what_does_not_fit_is_refused(text: str, sentence: str) -> None:
    with pytest.raises(RecipeError, match=sentence):
        parse(text, CLASSES)


def test_answers_of_other_classes_are_refused() -> None:
    with pytest.raises(RunError, match=r"^these answers are of the classes camel, .*, and the categories of a, b, c$"):
        in_categories(answers(), parse("x=a,b; c", ("a", "b", "c")))
