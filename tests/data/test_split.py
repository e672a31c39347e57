from typing import Any

import numpy as np
import pytest

from rung.data.imageset import TEST, TRAIN, VALIDATION, ImageSet
from rung.data.split import Splits, make_splits
from rung.data.twins import Twins
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


def test_a_validation_root_without_rows_says_why() -> None:
    images = made([0] * 10 + [1] * 10)  # all of train1
    with pytest.raises(DataError, match=r"validation_roots = train2: no row of it is left .* data.per_class keeps the first"):
        make_splits(images, Split(validation_roots=("train2",)), 0)


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


def twins_of(*pairs: tuple[int, int]) -> Twins:
    return Twins(np.array(pairs, np.int64).reshape(-1, 2), np.zeros(len(pairs), bool), np.ones(len(pairs), np.float32))


def part_of(splits: Splits, count: int) -> np.ndarray:
    part = np.full(count, -1)
    for number, rows in enumerate((splits.train, splits.validation, splits.test)):
        part[rows] = number
    return part


def parts_are_not_parted(splits: Splits, units: list[list[int]], count: int) -> bool:
    part = part_of(splits, count)
    return all(len(set(part[unit].tolist())) == 1 for unit in units)


def test_without_twins_the_parts_are_what_they_were() -> None:
    images = made([0] * 50 + [1] * 100 + [2] * 10)
    splits = make_splits(images, Split(), 3, twins_of())
    assert [splits.test[:4].tolist(), splits.validation[:4].tolist()] == [[3, 4, 14, 17], [2, 5, 8, 12]]
    folded = make_splits(images, Split(folds=5, fold=2, test_fraction=0), 3, twins_of())
    assert folded.validation[:5].tolist() == [8, 9, 16, 24, 36]
    assert "kept together" not in splits.how


@pytest.mark.parametrize("split", [Split(), Split(folds=4, fold=1), Split(test_fraction=0.0), Split(validation_fraction=0.5)])
@pytest.mark.parametrize("seed", range(4))
def test_twins_and_groups_stay_in_one_part_and_classes_keep_their_shares(split: Split, seed: int) -> None:
    # row 0 ~ 60 across classes, 1 = 2 = 3 by group, 3 ~ 4 links the group with a twin, ten pairs in class 1
    groups = np.arange(160)
    groups[[1, 2, 3]] = 1
    pairs = [(0, 60), (3, 4), *((100 + 2 * k, 101 + 2 * k) for k in range(10))]
    images = made([0] * 50 + [1] * 100 + [2] * 10, groups=groups)
    splits = make_splits(images, split, seed, twins_of(*pairs))
    assert whole(splits) == list(range(160))
    assert parts_are_not_parted(splits, [[0, 60], [1, 2, 3, 4], *([100 + 2 * k, 101 + 2 * k] for k in range(10))], 160)
    assert "kept together as twins or groups: 26 rows in 12 units" in splits.how
    plain = make_splits(made([0] * 50 + [1] * 100 + [2] * 10), split, seed)
    for name in ("validation", "test"):
        wanted, got = (np.bincount(images.labels[getattr(s, name)], minlength=3) for s in (plain, splits))
        assert np.abs(wanted - got).max() <= 4


def test_large_groups_are_parted_whole_and_no_class_is_emptied() -> None:
    # three subjects of 20 rows in each of two classes: a fifth is less than one subject
    images = made([0] * 60 + [1] * 60, groups=np.repeat(np.arange(6), 20))
    splits = make_splits(images, Split(test_fraction=0.0), 0)
    assert np.bincount(images.labels[splits.validation], minlength=2).tolist() == [20, 20]
    two = made([0] * 60 + [1] * 60, groups=np.r_[[0] * 50, [1] * 10, [2] * 55, [3] * 5])
    small = make_splits(two, Split(test_fraction=0.0, validation_fraction=0.05), 0)
    assert np.bincount(two.labels[small.validation], minlength=2).tolist() == [10, 5]
    one = made([0] * 60 + [1] * 60, groups=np.r_[[0] * 60, np.arange(1, 61)])
    assert np.bincount(one.labels[make_splits(one, Split(test_fraction=0.0), 0).validation], minlength=2).tolist() == [0, 12]


def test_folds_of_groups_are_even() -> None:
    images = made([0] * 100, groups=np.repeat(np.arange(10), 10))
    sizes = [len(make_splits(images, Split(folds=5, fold=fold, test_fraction=0.0), 0).validation) for fold in range(5)]
    assert sizes == [20] * 5


def test_given_parts_are_left_alone_though_they_part_twins() -> None:
    images = made([0, 1] * 6, parts=[TRAIN] * 6 + [VALIDATION] * 4 + [TEST] * 2)
    splits = make_splits(images, Split(), 0, twins_of((0, 10), (1, 7), (2, 3)))
    assert splits.train.tolist() == [0, 1, 2, 3, 4, 5]
    assert splits.test.tolist() == [10, 11]
    assert "kept together" not in splits.how


def test_twins_can_be_left_out_of_train() -> None:
    images = made([0, 1] * 6, parts=[TRAIN] * 6 + [VALIDATION] * 4 + [TEST] * 2)
    twins = twins_of((0, 10), (1, 7), (2, 3), (8, 11))
    splits = make_splits(images, Split(drop_twins=True), 0, twins)
    assert (splits.train.tolist(), splits.validation.tolist(), splits.test.tolist()) == ([2, 3, 4, 5], [6, 7, 8, 9], [10, 11])
    assert "left out of train: 2 rows that have a twin in another part (split.drop_twins)" in splits.how
    both = make_splits(images, Split(drop_twins=True, fit_on="train+validation"), 0, twins)
    assert both.train.tolist() == [1, 2, 3, 4, 5, 6, 7, 9]
    with pytest.raises(DataError, match="the training part of made would be empty"):
        make_splits(images, Split(drop_twins=True), 0, twins_of(*((row, 10) for row in range(6))))
