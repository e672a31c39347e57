import numpy as np
import pytest
import torch

from rung import keys


def test_numpy_and_torch_draw_the_same_bits() -> None:
    rows = np.arange(-3, 1000, dtype=np.int64)
    stream = keys.stream(7, "augment", 3)
    by_numpy = keys.uniform(keys.row_keys(stream, rows), 5)
    by_torch = keys.uniform(keys.row_keys(stream, torch.from_numpy(rows)), 5)
    assert np.array_equal(by_numpy, by_torch.double().numpy())


def test_known_values_stay() -> None:
    """A change of these breaks every stored run: it needs a word in the changelog."""
    assert keys.stream(0, "order", 0) == -2999310506709620926
    assert keys.permutation(0, "order", 0, 8).tolist() == [2, 6, 0, 5, 1, 3, 4, 7]
    assert keys.uniform(keys.row_keys(keys.stream(1, "x", 2), np.arange(3)), 0).tolist() == [0.11677628755569458, 0.3174235224723816, 0.8034374117851257]


@pytest.mark.parametrize("other", [(1, "a", 0), (0, "b", 0), (0, "a", 1)])
def test_each_argument_changes_the_stream(other: tuple[int, str, int]) -> None:
    assert keys.stream(*other) != keys.stream(0, "a", 0)


def test_draws_are_uniform_and_independent() -> None:
    rows = np.arange(200_000, dtype=np.int64)
    row_keys = keys.row_keys(keys.stream(0, "x"), rows)
    first, second = keys.uniform(row_keys, 0), keys.uniform(row_keys, 1)
    assert first.min() >= 0
    assert first.max() < 1
    counts = np.histogram(first, bins=64, range=(0, 1))[0]
    assert ((counts - 3125) ** 2 / 3125).sum() < 110  # chi-squared with 63 degrees of freedom: 103 is the 99.9 % point
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.01
    assert abs(np.corrcoef(first[:-1], first[1:])[0, 1]) < 0.01


def test_no_two_rows_or_epochs_share_a_draw() -> None:
    rows = np.arange(10_000, dtype=np.int64)
    drawn = np.concatenate([keys.row_keys(keys.stream(0, "augment", epoch), rows) for epoch in range(5)])
    assert len(np.unique(drawn)) == len(drawn)


def test_permutation_is_one() -> None:
    order = keys.permutation(3, "order", 1, 1000)
    assert np.array_equal(np.sort(order), np.arange(1000))
    assert not np.array_equal(order, keys.permutation(3, "order", 2, 1000))


def test_torch_seed_is_accepted_by_torch() -> None:
    for seed in range(50):
        torch.Generator().manual_seed(keys.torch_seed(seed, "dropout", seed))
