"""Drift between parts: planted in made photographs, and none between parts drawn alike."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from scipy.ndimage import gaussian_filter
from sklearn.metrics import roc_auc_score

from rung.audit.drift import drift, ranked_above
from rung.audit.material import Material
from rung.data.imageset import TEST, ImageSet

Make = Callable[..., Material]
Images = npt.NDArray[np.uint8]


def test_parts_drawn_alike_do_not_differ(digits: ImageSet, scenes: ImageSet, material: Make) -> None:
    assert drift(material(digits)) == []
    assert drift(material(scenes)) == []


@pytest.mark.parametrize(
    ("change", "words", "figure"),
    [
        (lambda x: np.clip(x.astype(int) + 25, 0, 255), "their brightness is higher by 2", "brightness_moved_by_deviations"),
        (lambda x: x * [1.0, 1.0, 0.7], "their warmth of colour is higher by", "warmth_of_colour_moved_by_deviations"),
        (lambda x: gaussian_filter(x, (0, 1.5, 1.5, 0)), "their sharpness is lower by", "sharpness_moved_by_deviations"),
    ],
)
def test_test_images_made_otherwise_are_a_warning_with_what_moved(
    change: Callable[[Images], Images], words: str, figure: str, scenes: ImageSet, material: Make
) -> None:
    pixels = scenes.images.copy()
    pixels[scenes.parts == TEST] = change(pixels[scenes.parts == TEST]).astype(np.uint8)
    (problem,) = drift(material(scenes, pixels=pixels))
    assert (problem.check, problem.severity, problem.count) == ("drift", "warning", 300)
    assert "Test images differ from training images" in problem.sentence
    assert words in problem.sentence
    assert abs(problem.numbers[figure]) > 0.3
    assert problem.numbers["area_under_curve"] > 0.6
    assert (scenes.parts[[row for (row,) in problem.groups]] == TEST).all()


def test_other_shares_of_classes_are_told_and_are_no_difference_of_images(digits: ImageSet, material: Make) -> None:
    test = np.flatnonzero(digits.parts == TEST)
    fewer = test[(digits.labels[test] < 5) & (np.arange(len(test)) % 4 > 0)]
    (problem,) = drift(material(digits.take(np.setdiff1d(np.arange(len(digits)), fewer))))
    assert problem.severity == "warning"
    assert "Classes have other shares in test than in training" in problem.sentence
    assert problem.numbers["images_of_another_class_share"] > 0.15


def test_a_few_images_are_not_judged(scenes: ImageSet, material: Make) -> None:
    rows = np.arange(940)
    bright = np.where(scenes.parts[rows, None, None, None] == TEST, 255, scenes.images[rows])
    assert drift(material(scenes.take(rows), pixels=bright.astype(np.uint8))) == []


def test_the_area_is_that_of_scikit_learn_in_each_stratum() -> None:
    draws = np.random.default_rng(0)
    scores, positive, strata = draws.integers(0, 20, 400).astype(float), draws.random(400) < 0.3, draws.integers(0, 3, 400)
    area, sure = ranked_above(scores, positive, np.zeros(400, np.int64))
    assert area == pytest.approx(roc_auc_score(positive, scores))
    assert abs(sure) < 4
    pairs = [positive[strata == k].sum() * (~positive[strata == k]).sum() for k in range(3)]
    areas = [roc_auc_score(positive[strata == k], scores[strata == k]) for k in range(3)]
    assert ranked_above(scores, positive, strata)[0] == pytest.approx(np.average(areas, weights=pairs))
    assert ranked_above(scores, np.zeros(400, bool), strata) == (0.5, 0.0)
