"""Likely label errors: planted in digits, and none in clean ones."""

from collections.abc import Callable

import numpy as np
import pytest

from rung.audit.labels import likely_errors
from rung.audit.material import SHOWN, Material
from rung.data.imageset import ImageSet

Make = Callable[..., Material]


def planted(images: ImageSet, share: float) -> tuple[np.ndarray, np.ndarray]:
    draws = np.random.default_rng(2)
    bad = draws.random(len(images)) < share
    return np.where(bad, (images.labels + draws.integers(1, 10, len(images))) % 10, images.labels), bad


def test_clean_labels_are_not_suspected(digits: ImageSet, material: Make) -> None:
    assert [p for p in likely_errors(material(digits)) if p.severity != "note"] == []


@pytest.mark.parametrize(("share", "severity"), [(0.05, "warning"), (0.4, "error")])
def test_planted_errors_are_counted_and_the_first_shown_are_errors(share: float, severity: str, digits: ImageSet, material: Make) -> None:
    labels, bad = planted(digits, share)
    (problem,) = likely_errors(material(digits, labels=labels))
    assert problem.severity == severity
    assert problem.numbers["share_wrong"] == pytest.approx(bad.mean(), abs=0.03)
    rows = [row for (row,) in problem.groups]
    assert len(rows) == SHOWN
    assert bad[rows].mean() >= 0.7  # the odd digit that no one can read stands out too
    assert problem.count == problem.numbers["suspects"] == sum(problem.numbers[f"suspects_{part}"] for part in ("train", "validation", "test"))
    assert problem.numbers["suspects_expected_wrong"] / problem.count > 0.5
    assert digits.sources[rows[0]] in problem.sentence


def test_labels_are_left_as_they_are(digits: ImageSet, material: Make) -> None:
    labels, _ = planted(digits, 0.05)
    given = material(digits, labels=labels.copy())
    likely_errors(given)
    np.testing.assert_array_equal(given.images.labels, labels)


def test_too_few_images_a_class_are_not_judged(digits: ImageSet, material: Make) -> None:
    few = digits.take(np.arange(190))
    assert likely_errors(material(few, labels=planted(few, 0.2)[0])) == []
