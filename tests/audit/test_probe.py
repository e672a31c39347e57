"""The probe of the checks: what it learns, that no row is answered by a layer that saw it, same seed same bits."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from rung.audit import probe as probes
from rung.audit.material import Material
from rung.data.imageset import TEST, TRAIN, ImageSet

Make = Callable[..., Material]


def test_digits_are_told_apart_out_of_fold_and_in_the_test_part(digits: ImageSet, material: Make) -> None:
    probe = material(digits).probe
    right = probe.class_scores((TRAIN,)).argmax(1) == probe.labels
    assert right[probe.part == TRAIN].mean() > 0.95
    assert right[probe.part == TEST].mean() > 0.95
    assert probe.parts == (0, 1, 2)


def test_no_row_is_answered_by_a_layer_that_saw_its_label(digits: ImageSet, material: Make) -> None:
    probe = material(digits).probe
    before = probe.class_scores((TRAIN,))
    other = probe.labels.copy()
    row = int(np.flatnonzero(probe.part == TRAIN)[5])
    other[row] = (other[row] + 1) % 10
    after = replace(probe, labels=other, known={}).class_scores((TRAIN,))
    same_fold = (probe.part == TRAIN) & (probe.fold == probe.fold[row])
    np.testing.assert_array_equal(before[same_fold], after[same_fold])
    assert (before[~same_fold] != after[~same_fold]).any(1).all()


def test_answers_are_those_of_ridge_regression(digits: ImageSet, material: Make) -> None:
    from sklearn.linear_model import Ridge

    probe = material(digits).probe
    train, test = probe.part == TRAIN, probe.part == TEST
    targets = probes.one_hot(probe.labels, 10)
    ridge = Ridge(alpha=probes._RIDGE * train.sum()).fit(probe.values[train, :-1].astype(np.float64), targets[train])
    np.testing.assert_allclose(probe.scores(targets, (TRAIN,))[test], ridge.predict(probe.values[test, :-1]), atol=2e-3)


def test_twins_share_a_fold(digits: ImageSet, material: Make) -> None:
    rows = np.random.default_rng(0).permutation(len(digits))[:600].reshape(-1, 2)
    probe = material(digits, twins=np.sort(rows, axis=1)).probe
    np.testing.assert_array_equal(probe.fold[rows[:, 0]], probe.fold[rows[:, 1]])
    assert np.bincount(probe.fold).min() > 250


def test_same_seed_same_bits_and_larger_sets_are_sampled(digits: ImageSet, unprobed: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probes, "MAX_ROWS", 300)
    one, same, other = (unprobed(digits, seed=seed).probe for seed in (0, 0, 1))
    assert len(one.rows) == 300
    assert (np.diff(one.rows) > 0).all()
    np.testing.assert_array_equal(one.values, same.values)
    assert (one.rows != other.rows).any()


@pytest.mark.parametrize("shape", [(40, 70, 50, 3), (40, 3, 3, 1), (2, 32, 32, 3), (40, 1, 1, 3)])
def test_any_size_of_image_gives_finite_features(shape: tuple[int, ...]) -> None:
    images = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    values = probes.features(images, np.arange(len(images)), 0)
    assert np.isfinite(values).all()
    assert (values[:, -1] == 1).all()
    flat = probes.features(np.full(shape, 7, np.uint8), np.arange(len(images)), 0)
    assert np.abs(flat[:, :-1]).max() < 1e-3
