"""Likely label errors: planted in digits, and none in clean ones."""

from collections.abc import Callable

import numpy as np
import pytest

from rung.audit.labels import likely_errors
from rung.audit.material import SHOWN, Material
from rung.audit.noise import exchange
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
    assert 0 < problem.numbers["share_wrong_low"] < problem.numbers["share_wrong"] < problem.numbers["share_wrong_high"] < 1
    assert "surely more than" in problem.sentence
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


def test_a_class_of_which_a_quarter_carries_the_label_of_another_is_named(scenes: ImageSet, material: Make) -> None:
    rows = np.flatnonzero(scenes.labels == 0)
    rows = np.random.default_rng(3).permutation(rows)[: len(rows) // 4]
    labels = scenes.labels.copy()
    labels[rows] = 2
    (problem,) = [p for p in likely_errors(material(scenes, labels=labels)) if "exchanged" in p.sentence]
    assert problem.severity == "warning"
    assert "a and c seem to be exchanged" in problem.sentence
    assert abs(problem.numbers["exchanged_one_way"] - 0.25) < 0.08
    assert problem.numbers["exchanged_other_way"] < 0.05
    assert len({row for (row,) in problem.groups} & set(rows.tolist())) >= 0.8 * len(problem.groups) > 0


def test_exchanged_labels_are_told_from_classes_that_are_hard_to_tell_apart() -> None:
    draws = np.random.default_rng(0)
    is_first = np.arange(2_000) < 1_000
    hard = draws.normal(size=2_000) + np.where(is_first, 1, -1)
    assert exchange(hard, is_first).gain < 5
    clear = draws.normal(size=2_000) + np.where(is_first, 3, -3)
    found = exchange(clear, is_first ^ (np.arange(2_000) % 1_000 < 100) & is_first)  # a tenth of the first class is labelled as the second
    assert found.gain > 50
    assert abs(found.second - 0.1) < 0.02
    assert found.first < 0.02
    assert (found.wrong > 0.5).sum() == pytest.approx(100, abs=10)
