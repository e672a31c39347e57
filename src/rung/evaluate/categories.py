"""Categories: coarser groups of the classes. A network that tells the classes is scored, besides, by whether it tells the categories."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from rung.data import classes as naming
from rung.errors import RecipeError, RunError
from rung.evaluate.predictions import Predictions
from rung.words import plural

FIELD: Final = "data.categories"


@dataclass(frozen=True)
class Categories:
    """Names of categories in natural order, and for each class the index of its category, int64 (K,); classes: as they were when it was made."""

    names: tuple[str, ...]
    of: npt.NDArray[np.int64]
    classes: tuple[str, ...]


def parse(text: str, classes: Sequence[str]) -> Categories:
    """Read "herbivore=camel,cattle; omnivore=chimpanzee"; a class that stands alone is a category of its own.

    Raises: RecipeError for a class that is not there, is in two categories or in none, and for fewer than two categories.
    """
    wanted = naming.parse(text, classes, FIELD)
    names, of = naming.mapping(wanted, classes)
    left = [name for name, index in zip(classes, of, strict=True) if index < 0]
    if left:
        raise RecipeError(f"{FIELD} leaves out {', '.join(map(repr, left))}: put each class into a category, or leave it out of the data by data.classes")
    if len(names) < 2:
        raise RecipeError(f"{FIELD} = '{text}' makes {plural(len(names), 'category', 'categories')} of all classes: give two at least")
    return Categories(names, of, tuple(classes))


def in_categories(predictions: Predictions, categories: Categories) -> Predictions:
    """Return the answers as answers of categories: the probability of one is the sum of those of its classes; logits are their logarithms.

    Works for the answers of an ensemble as well. Raises: RunError if they are of other classes.
    """
    if predictions.classes != categories.classes:
        raise RunError(f"these answers are of the classes {', '.join(predictions.classes)}, and the categories of {', '.join(categories.classes)}")
    sums = predictions.probabilities() @ np.eye(len(categories.names))[categories.of]
    logits = np.log(np.maximum(sums, np.finfo(np.float32).tiny)).astype(np.float32)
    return replace(predictions, classes=categories.names, logits=logits, labels=categories.of[predictions.labels])
