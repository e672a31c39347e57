"""How small a difference in accuracy a test part can show."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from rung.audit.material import Material
from rung.audit.problem import Problem
from rung.words import count, percent, plural, points, quoted

NAME: Final = "test-size"
LEVEL: Final = 0.95
POWER: Final = 0.8
_ACCURACIES: Final = (0.7, 0.9, 0.97)
_SPOKEN: Final = 0.9
_COARSE: Final = 0.05  # a test part that shows nothing finer, on the same images, is worth a warning; a thousand images show 3 points
_FEW: Final = 30  # test images of a class, below which its own accuracy is hardly known


def test_size(material: Material) -> list[Problem]:
    """How small a difference in accuracy the test part can show, at 95 % confidence and 80 % power, on the same images or on others."""
    rows, name = (material.splits.test, "test") if len(material.splits.test) else (material.splits.validation, "validation")
    if not len(rows):
        return []
    numbers: dict[str, float] = {"images": len(rows)}
    for accuracy in _ACCURACIES:
        numbers[f"unpaired_at_{accuracy:.0%}"] = unpaired(len(rows), accuracy)
        numbers[f"paired_at_{accuracy:.0%}"] = paired(len(rows), 1 - accuracy)
    of_class = np.bincount(material.images.labels[rows], minlength=len(material.images.classes))
    smallest = int(of_class.argmin())
    numbers["smallest_class_images"] = int(of_class[smallest])
    few = (
        f" Class {quoted(material.images.classes[smallest])} has {plural(int(of_class[smallest]), f'{name} image')}: its own accuracy is hardly known."
        if of_class[smallest] < _FEW
        else ""
    )
    same, other = numbers[f"paired_at_{_SPOKEN:.0%}"], numbers[f"unpaired_at_{_SPOKEN:.0%}"]
    without = "There is no test part. " if name == "validation" else ""
    return [
        Problem(
            NAME,
            "warning" if same > _COARSE else "note",
            f"{without}With {count(len(rows))} {name} images, two networks near {percent(_SPOKEN, 0)} must differ by {points(same)} to be told apart on the "
            f"same images (if they share half of their errors), and by {points(other)} if each was scored on images of its own: at {percent(LEVEL, 0)} "
            f"confidence, in {percent(POWER, 0)} of trials.{few}",
            "Do not act on smaller differences. Score both on the same images, over several seeds; half the difference takes four times as many images.",
            numbers=numbers,
        )
    ]


def paired(count: int, discordant: float, level: float = LEVEL, power: float = POWER) -> float:
    """Return the smallest difference in accuracy (0..1) that `count` images show of two networks judged on the same images by McNemar's test.

    discordant: share of images that one of the two gets right and the other wrong, at equal accuracy. Where no difference can be shown, it is 1.
    (R. Connor, "Sample size for testing differences in proportions for the paired-sample design", Biometrics 43, 1987.)
    """
    alpha, beta = _quantiles(level, power)
    return _smallest(lambda d: d * np.sqrt(count) - alpha * np.sqrt(max(discordant, d)) - beta * np.sqrt(max(discordant, d) - d**2))


def unpaired(count: int, accuracy: float, level: float = LEVEL, power: float = POWER) -> float:
    """Return the smallest difference in accuracy (0..1), below `accuracy`, that shows where each of two networks is judged on `count` images of its own.

    The test of two proportions, without correction for continuity (J. Fleiss, "Statistical methods for rates and proportions", 1981). Where no difference
    can be shown, it is 1.
    """
    alpha, beta = _quantiles(level, power)

    def margin(d: float) -> float:
        lower, mean = max(accuracy - d, 0), max(accuracy - d / 2, 0)
        return float(d * np.sqrt(count) - alpha * np.sqrt(2 * mean * (1 - mean)) - beta * np.sqrt(accuracy * (1 - accuracy) + lower * (1 - lower)))

    return _smallest(margin, accuracy)


def _quantiles(level: float, power: float) -> tuple[float, float]:
    from scipy.special import ndtri

    return float(ndtri((1 + level) / 2)), float(ndtri(power))


def _smallest(margin: Callable[[float], float], most: float = 1.0) -> float:
    from scipy.optimize import brentq

    return float(brentq(margin, 0, most)) if margin(most) > 0 else 1.0
