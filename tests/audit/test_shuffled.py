"""Labels shuffled against their images, in digits: all, one part, a run of rows, slipped by a row, numbered otherwise."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from rung.audit import labels as label_errors
from rung.audit.material import Material
from rung.audit.shuffled import misplaced, shuffled
from rung.data.imageset import TEST, TRAIN, VALIDATION, ImageSet

Make = Callable[..., Material]
DRAWS = np.random.default_rng(5)


def test_labels_that_belong_to_their_images_are_not_accused(digits: ImageSet, scenes: ImageSet, material: Make) -> None:
    assert shuffled(material(digits)) == []
    assert shuffled(material(scenes)) == []
    by_class = digits.take(np.argsort(digits.labels, kind="stable"))
    assert shuffled(material(by_class)) == []


def test_all_labels_shuffled(digits: ImageSet, material: Make) -> None:
    (problem,) = shuffled(material(digits, labels=DRAWS.permutation(digits.labels)))
    assert problem.severity == "error"
    assert "No label can be told from its image better than by chance" in problem.sentence
    assert problem.count == len(digits)


def test_one_part_shuffled_is_named_whichever_it_is(digits: ImageSet, material: Make) -> None:
    for part, name in ((TEST, "test"), (TRAIN, "train")):
        mixed = digits.labels.copy()
        mixed[digits.parts == part] = DRAWS.permutation(mixed[digits.parts == part])
        found = misplaced(material(digits, labels=mixed))
        assert [f.problem.severity for f in found] == ["error"]
        assert f"labels of the {name} part do not belong" in found[0].problem.sentence
        np.testing.assert_array_equal(found[0].positions, np.flatnonzero(digits.parts == part))


def test_a_run_of_rows_is_found_with_its_ends_and_left_out_of_label_errors(digits: ImageSet, material: Make) -> None:
    mixed = digits.labels.copy()
    mixed[500:620] = DRAWS.permutation(mixed[500:620])
    given = material(digits, labels=mixed)
    (problem,) = shuffled(given)
    assert abs(problem.numbers["first_row"] - 500) <= 8
    assert abs(problem.numbers["last_row"] - 619) <= 8
    assert problem.numbers["agreement"] < 0.25
    assert "slipped" not in problem.sentence
    assert label_errors.likely_errors(given) == []


def test_a_slip_by_one_row_is_told(digits: ImageSet, material: Make) -> None:
    mixed = digits.labels.copy()
    mixed[400:700] = np.roll(mixed[400:700], 1)
    (problem,) = shuffled(material(digits, labels=mixed))
    assert "1 row before theirs" in problem.sentence
    (problem,) = shuffled(material(digits, labels=np.roll(digits.labels, -2)))
    assert "2 rows after theirs" in problem.sentence


def test_too_few_images_are_not_judged(digits: ImageSet, material: Make) -> None:
    few = digits.take(np.arange(150))
    assert shuffled(material(few, labels=DRAWS.permutation(few.labels))) == []


def test_rare_classes_do_not_look_shuffled(digits: ImageSet, material: Make) -> None:
    kept = np.sort(np.concatenate([np.flatnonzero(digits.labels == 0), np.flatnonzero(digits.labels == 8)[:12]]))
    lopsided = digits.take(kept)
    assert shuffled(material(lopsided, labels=(lopsided.labels == 8).astype(np.int64))) == []


def test_a_slip_is_told_where_validation_was_drawn_from_the_same_rows(digits: ImageSet, material: Make) -> None:
    fitted = digits.parts != TEST
    mixed = digits.labels.copy()
    mixed[fitted] = np.roll(mixed[fitted], 1)
    parts = np.where(fitted, np.where(np.arange(len(digits)) % 5 == 2, VALIDATION, TRAIN), TEST).astype(np.int8)
    found = shuffled(material(replace(digits, parts=parts), labels=mixed))
    assert len(found) == 2
    assert all("1 row before theirs" in problem.sentence for problem in found)
