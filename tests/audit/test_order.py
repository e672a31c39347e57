"""Classes numbered otherwise in one part: found by the check of that name, and by no other."""

from collections.abc import Callable

import numpy as np
import pytest

from rung.audit import labels as label_errors
from rung.audit.material import Material
from rung.audit.order import differing
from rung.audit.shuffled import shuffled
from rung.data.imageset import TEST, TRAIN, VALIDATION, ImageSet

Make = Callable[..., Material]
DRAWS = np.random.default_rng(3)


def test_classes_in_one_order_are_not_accused(digits: ImageSet, scenes: ImageSet, material: Make) -> None:
    assert differing(material(digits)) == []
    assert differing(material(scenes)) == []


def test_shuffled_and_wrong_labels_are_no_other_order(digits: ImageSet, material: Make) -> None:
    mixed = digits.labels.copy()
    mixed[digits.parts == TEST] = DRAWS.permutation(mixed[digits.parts == TEST])
    assert differing(material(digits, labels=mixed)) == []
    wrong = np.where(DRAWS.random(len(digits)) < 0.3, DRAWS.integers(0, 10, len(digits)), digits.labels)
    assert differing(material(digits, labels=wrong)) == []


@pytest.mark.parametrize(
    ("numbers", "classes"),
    [([0, 1, 2, 7, 4, 5, 6, 3, 8, 9], 2), ([0, 1, 2, 4, 5, 3, 6, 7, 8, 9], 3), ([1, 2, 3, 4, 5, 6, 7, 8, 9, 0], 10), ([0, 1, 2, 3, 4, 5, 6, 7, 9, 8], 2)],
)
@pytest.mark.parametrize("part", [TEST, VALIDATION])
def test_another_order_in_one_part_is_one_error_and_nothing_else(numbers: list[int], classes: int, part: int, digits: ImageSet, material: Make) -> None:
    here = digits.parts == part
    given = material(digits, labels=np.where(here, np.array(numbers)[digits.labels], digits.labels))
    (problem,) = differing(given)
    assert (problem.check, problem.severity, problem.count) == ("class-order", "error", classes)
    assert f"another order in {'test' if part == TEST else 'validation'} than in train" in problem.sentence
    for own, meant in enumerate(np.argsort(numbers)):
        assert (f"“{own}” there looks like “{meant}” of train" in problem.sentence) <= (own != meant)
    assert problem.numbers["right_in_other_order"] > 0.8 > problem.numbers["right_as_given"]
    (row,) = problem.groups[0]
    assert problem.remarks[row].startswith("looks like ")
    assert given.images.parts[row] == part
    assert shuffled(given) == []
    assert [p for p in label_errors.likely_errors(given) if p.severity != "note"] == []


def test_without_training_images_or_with_few_of_a_class_nothing_is_said(digits: ImageSet, material: Make) -> None:
    other = np.where(digits.parts == TEST, (digits.labels + 1) % 10, digits.labels)
    given = material(digits, labels=other)
    kept = np.flatnonzero(digits.parts != TRAIN)
    assert differing(material(given.images.take(kept))) == []
    few = np.sort(np.concatenate([kept[digits.parts[kept] == TEST][:40], np.flatnonzero(digits.parts == TRAIN)]))
    assert differing(material(given.images.take(few))) == []
