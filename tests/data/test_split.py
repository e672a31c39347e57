from typing import Any

import numpy as np
import pytest

from rung.data.imageset import TEST, TRAIN, VALIDATION, ImageSet
from rung.data.split import Splits, make_splits
from rung.errors import DataError
from rung.recipe import Split


def made(labels: list[int], parts: list[int] | None = None, roots: list[int] | None = None, **more: Any) -> ImageSet:
    count = len(labels)
    return ImageSet(
        name="made",
        images=np.zeros((count, 2, 2, 1), np.uint8),
        labels=np.array(labels, np.int64),
        classes=("a", "b", "c"),
        sources=tuple(f"made#{row}" for row in range(count)),
        parts=np.array(parts if parts is not None else [TRAIN] * count, np.int8),
        roots=np.array(roots if roots is not None else [0] * count, np.int64),
        root_names=("train1", "train2"),
        digests=np.arange(count, dtype=np.int64),
        **more,
    )


def whole(splits: Splits) -> list[int]:
    return sorted([*splits.train, *splits.validation, *splits.test])


def test_every_row_is_in_one_part_and_classes_keep_their_shares() -> None:
    images = made([0] * 50 + [1] * 100 + [2] * 10)
    splits = make_splits(images, Split(), 0)
    assert whole(splits) == list(range(160))
    assert np.bincount(images.labels[splits.test]).tolist() == [10, 20, 2]
    assert np.bincount(images.labels[splits.validation]).tolist() == [8, 16, 2]


def test_the_seed_decides_and_the_same_seed_decides_alike() -> None:
    images = made([0] * 50 + [1] * 50)
    first, again, other = (make_splits(images, Split(), seed) for seed in (0, 0, 1))
    assert np.array_equal(first.test, again.test)
    assert not np.array_equal(first.test, other.test)


def test_given_parts_are_left_alone() -> None:
    images = made([0, 1] * 6, parts=[TRAIN] * 6 + [VALIDATION] * 4 + [TEST] * 2)
    splits = make_splits(images, Split(), 0)
    assert (splits.train.tolist(), splits.validation.tolist(), splits.test.tolist()) == ([0, 1, 2, 3, 4, 5], [6, 7, 8, 9], [10, 11])


def test_a_root_can_be_the_validation_part() -> None:
    images = made([0, 1] * 6, parts=[TRAIN] * 10 + [TEST] * 2, roots=[0] * 6 + [1] * 4 + [0] * 2)
    splits = make_splits(images, Split(validation_roots=("train2",)), 0)
    assert splits.validation.tolist() == [6, 7, 8, 9]
    with pytest.raises(DataError, match="names 'train5': did you mean"):
        make_splits(images, Split(validation_roots=("train5",)), 0)


def test_a_root_that_is_the_validation_part_gives_nothing_to_a_drawn_test_part() -> None:
    images = made([0, 1] * 50, roots=[0] * 60 + [1] * 40)
    splits = make_splits(images, Split(validation_roots=("train2",)), 0)
    assert splits.validation.tolist() == list(range(60, 100))
    assert len(splits.test) == 12
    assert whole(splits) == list(range(100))


def test_validation_rows_that_a_named_root_displaces_are_said() -> None:
    images = made([0, 1] * 6, parts=[TRAIN] * 8 + [VALIDATION] * 2 + [TEST] * 2, roots=[0] * 6 + [1] * 2 + [0] * 4)
    splits = make_splits(images, Split(validation_roots=("train2",)), 0)
    assert (splits.train.tolist(), splits.validation.tolist()) == ([0, 1, 2, 3, 4, 5], [6, 7])
    assert "2 other rows that the data give as validation are not used" in splits.how


def test_official_cifar_keeps_its_last_10000_training_rows_for_validation() -> None:
    images = made([0, 1] * 10_500, parts=[TRAIN] * 20_000 + [TEST] * 1000, validation_rule="last_10000")
    splits = make_splits(images, Split(), 0)
    assert splits.validation.tolist() == list(range(10_000, 20_000))
    assert splits.train.tolist() == list(range(10_000))


def test_folds_are_even_stratified_and_cover_all_once() -> None:
    images = made([0] * 21 + [1] * 33 + [2] * 7)
    splits = [make_splits(images, Split(folds=4, fold=fold, test_fraction=0.0), 0) for fold in range(4)]
    assert sorted(np.concatenate([s.validation for s in splits]).tolist()) == list(range(61))
    sizes = [len(s.validation) for s in splits]
    assert max(sizes) - min(sizes) <= 1
    for s in splits:
        assert len(np.intersect1d(s.train, s.validation)) == 0
        counts = np.bincount(images.labels[s.validation], minlength=3)
        assert np.all(np.abs(counts - np.array([21, 33, 7]) / 4) <= 1)


def test_a_class_of_one_row_stays_in_training() -> None:
    images = made([0] * 10 + [1] * 10 + [2])
    splits = make_splits(images, Split(), 0)
    assert 20 in splits.train


def test_fitting_on_both_leaves_no_validation_part() -> None:
    images = made([0, 1] * 50)
    splits = make_splits(images, Split(fit_on="train+validation"), 0)
    assert len(splits.validation) == 0
    assert whole(splits) == list(range(100))
    assert "no validation score" in splits.how


@pytest.mark.parametrize(
    ("images", "split", "words"),
    [
        (made([0, 1] * 5), Split(validation_fraction=0.0), "nothing to choose on"),
        (made([0, 1] * 2), Split(folds=9, test_fraction=0.0), "more folds than the 4 rows"),
        (made([0, 1] * 5, parts=[VALIDATION] * 10), Split(), "the training part of made would be empty"),
        (made([0, 1, 2]), Split(), "the validation part of made would be empty"),
    ],
)
def test_what_cannot_be_split_is_refused(images: ImageSet, split: Split, words: str) -> None:
    with pytest.raises(DataError, match=words):
        make_splits(images, split, 0)
