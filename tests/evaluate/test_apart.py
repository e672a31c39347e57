"""Scores with and without the images that have a twin among the fitted ones."""

import numpy as np

from rung.evaluate.apart import SHOWN, with_twins_apart
from rung.evaluate.metrics import Scores, score
from rung.evaluate.predictions import Predictions


def predictions(count: int = 60) -> Predictions:
    draws = np.random.default_rng(0)
    labels = np.arange(count) % 3
    logits = draws.normal(size=(count, 3)).astype(np.float32)
    logits[:20][np.arange(20), labels[:20]] += 9  # the first twenty are known by heart
    return Predictions("test", ("a", "b", "c"), logits, labels, np.arange(count), np.arange(count))


def test_the_rest_is_scored_as_if_it_were_alone() -> None:
    made, twin = predictions(), np.arange(60) < 20
    scores = with_twins_apart(score(made), made, twin)
    alone = score(made.take(~twin))
    assert scores.twins == 20
    assert scores.accuracy == score(made).accuracy
    assert scores.without_twins == {name: getattr(alone, name) for name in SHOWN}
    assert scores.without_twins["accuracy"].value < scores.accuracy.value
    assert Scores.from_json(scores.to_json()) == scores


def test_without_twins_nothing_is_added_and_with_only_twins_nothing_is_scored() -> None:
    made = predictions()
    plain = score(made)
    assert with_twins_apart(plain, made, np.zeros(60, bool)) == plain
    only = with_twins_apart(plain, made, np.ones(60, bool))
    assert (only.twins, only.without_twins) == (60, {})


def test_scores_of_earlier_versions_are_read() -> None:
    values = score(predictions()).to_json()
    del values["twins"], values["without_twins"]
    assert Scores.from_json(values) == score(predictions())
