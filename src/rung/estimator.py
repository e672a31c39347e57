"""A scikit-learn estimator over the same training: for cross_val_score, Pipeline and GridSearchCV."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from rung import own as own_objects
from rung import recipe as recipe_module
from rung import workbench
from rung.data.batches import Batches, resident
from rung.data.load import from_arrays, image_array
from rung.errors import DataError, RecipeError
from rung.pipeline import own_parts
from rung.pipeline.execute import fit
from rung.pipeline.facts import following
from rung.pipeline.prepare import prepare
from rung.recipe import Recipe
from rung.training.forward import logits
from rung.training.journal import NoJournal


class ImageClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A classifier of images by a rung recipe, without a run folder.

    recipe: a name, a recipe.toml or a Recipe. epochs, learning_rate, batch_size: None leaves them to the recipe. validation_fraction: share
    of the rows given to fit that only choose (the best epoch, early stopping). seed: of every draw. settings: any other fields, {"train.optimizer": "sgd"}.
    image_shape: (H,W) or (H,W,C) of rows given flat, as scikit-learn's own sets have them; None: X is (N,H,W) or (N,H,W,C).

    X is uint8 0..255, or floating point 0..1. After fit: classes_ (K,), recipe_ as resolved, rows_ one dict an epoch, network_.
    """

    def __init__(
        self,
        recipe: str | Recipe = "default",
        *,
        epochs: int | None = None,
        learning_rate: float | None = None,
        batch_size: int | None = None,
        validation_fraction: float = 0.1,
        seed: int = 0,
        settings: Mapping[str, Any] | None = None,
        image_shape: tuple[int, ...] | None = None,
    ) -> None:
        self.recipe = recipe
        self.epochs = epochs
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.validation_fraction = validation_fraction
        self.seed = seed
        self.settings = settings
        self.image_shape = image_shape

    def fit(self, X: npt.ArrayLike, y: npt.ArrayLike) -> Self:
        """Train on images X, (N,H,W), (N,H,W,C) or flat rows with image_shape, and labels y (N,), of any type that sorts.

        Raises: DataError, RecipeError where they do not fit.
        """
        own_objects.stop_if_read()
        self.classes_, labels = np.unique(np.asarray(y), return_inverse=True)
        if len(self.classes_) < 2:
            raise DataError(f"fit was given {len(self.classes_)} class: two are needed to tell apart")
        named = {"epochs": self.epochs, "learning_rate": self.learning_rate, "batch_size": self.batch_size}
        settings = {f"train.{key}": value for key, value in named.items() if value is not None}
        settings |= {"split.validation_fraction": self.validation_fraction, "split.test_fraction": 0.0, "seed": self.seed}
        start = workbench.load_recipe(self.recipe)
        wanted = recipe_module.change(start, settings | dict(self.settings or {}))
        if wanted.data != start.data:
            raise RecipeError("settings of data.* choose what is read from files, and fit is given its images: choose them before, and leave data.* out")
        images = from_arrays(self._shaped(X), labels, classes=[str(name) for name in self.classes_], pixels=wanted.pixels)
        if followed := following(self.recipe, images):
            wanted = recipe_module.change(followed, settings | dict(self.settings or {}))
        wanted, own = own_parts.gather(wanted, None)
        prepared = prepare(wanted, images, own)
        journal = NoJournal()
        with own_parts.explained(own):
            self.network_, _ = fit(prepared, journal)
        self.recipe_, self.rows_ = prepared.recipe, journal.rows
        self.channels_ = images.images.shape[3]
        return self

    def predict_proba(self, X: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Return the probability of each class, float64 (N,K), in the order of classes_."""
        check_is_fitted(self, "network_")
        images = image_array(self._shaped(X), self.recipe_.pixels, self.channels_)
        device = torch.device(self.recipe_.compute.device)
        labels = torch.zeros(len(images), dtype=torch.int64, device=device)
        train = self.recipe_.train
        rows = Batches(
            resident(images, device),
            labels,
            len(self.classes_),
            self.recipe_.pixels,
            self.recipe_.augment,
            self.seed,
            evaluation_batch_size=train.evaluation_batch_size,
            views=train.evaluation_views,
        )
        return torch.softmax(logits(self.network_, rows, self.recipe_.compute.precision).double(), 1).cpu().numpy()

    def predict(self, X: npt.ArrayLike) -> npt.NDArray[Any]:
        """Return the likeliest class of each image, (N,), as y named it."""
        answers: npt.NDArray[Any] = self.classes_[self.predict_proba(X).argmax(axis=1)]
        return answers

    def _shaped(self, X: npt.ArrayLike) -> npt.NDArray[Any]:
        images = np.asarray(X)
        if self.image_shape is not None:
            if int(np.prod(images.shape[1:])) != int(np.prod(self.image_shape)):
                raise DataError(f"image_shape {self.image_shape} needs {int(np.prod(self.image_shape))} values a row, X has the shape {images.shape}")
            images = images.reshape(len(images), *self.image_shape)
        if images.ndim not in (3, 4):
            raise DataError(f"X has the shape {images.shape}: give (N,H,W) or (N,H,W,C), or image_shape=(H,W) for flat rows")
        return images
