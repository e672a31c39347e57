from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer

from rung import ImageClassifier
from rung.errors import DataError, RecipeError

QUICK: dict[str, Any] = {"recipe": "digits", "epochs": 3, "settings": {"compute.threads": 1}, "image_shape": (8, 8)}


@pytest.fixture(scope="module")
def digits() -> Any:
    images, labels = load_digits(n_class=4, return_X_y=True)
    return images[:300] / 16, np.array(["zero", "one", "two", "three"])[labels[:300]]


def test_it_learns_and_answers_in_the_words_of_y(digits: Any) -> None:
    x, y = digits
    model = ImageClassifier(**QUICK).fit(x, y)
    assert list(model.classes_) == ["one", "three", "two", "zero"]
    assert set(model.predict(x)) <= set(y)
    assert model.predict_proba(x).shape == (300, 4)
    assert np.allclose(model.predict_proba(x).sum(axis=1), 1)
    assert model.score(x, y) > 0.8
    assert len(model.rows_) == 3


def test_it_is_repeatable_and_clones(digits: Any) -> None:
    x, y = digits
    model = ImageClassifier(**QUICK).fit(x, y)
    again = clone(model).fit(x, y)
    assert np.array_equal(model.predict_proba(x), again.predict_proba(x))


def test_it_works_in_cross_validation_a_pipeline_and_a_grid(digits: Any) -> None:
    x, y = digits
    pipeline = Pipeline([("as it is", FunctionTransformer()), ("classifier", ImageClassifier(**{**QUICK, "epochs": 2}))])
    assert cross_val_score(pipeline, x, y, cv=2).shape == (2,)
    grid = GridSearchCV(ImageClassifier(**{**QUICK, "epochs": 1}), {"learning_rate": [1e-6, 0.01]}, cv=2).fit(x, y)
    assert grid.best_params_ == {"learning_rate": 0.01}


def test_what_it_cannot_use_is_said(digits: Any) -> None:
    x, y = digits
    with pytest.raises(DataError, match="X has the shape"):
        ImageClassifier().fit(x, y)
    with pytest.raises(DataError, match=r"image_shape \(9, 9\) needs 81 values"):
        ImageClassifier(image_shape=(9, 9)).fit(x, y)
    with pytest.raises(DataError, match="two are needed"):
        ImageClassifier(**QUICK).fit(x, ["zero"] * 300)
    with pytest.raises(RecipeError, match=r"leave data\.\* out"):
        ImageClassifier(**{**QUICK, "settings": {"data.per_class": 3}}).fit(x, y)
    with pytest.raises(RecipeError, match="did you mean 'digits'"):
        ImageClassifier("digit").fit(x, y)
