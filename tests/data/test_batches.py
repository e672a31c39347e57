from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from rung.data.batches import Batches, resident
from rung.recipe import Augment, Pixels


def made(count: int, settings: Augment | None = None, **more: Any) -> Batches:
    images = np.random.default_rng(0).integers(0, 256, (count, 8, 8, 1), dtype=np.uint8)
    labels = torch.arange(count) % 3
    return Batches(resident(images, torch.device("cpu")), labels, 3, Pixels(size=8, colour="grey"), settings or Augment(), 0, **more)


def test_every_row_is_met_once_an_epoch_in_an_order_of_its_own() -> None:
    batches = made(117)
    orders = [torch.cat([batch.rows for batch in batches.training(epoch, 10)]).tolist() for epoch in range(3)]
    for order in orders:
        assert sorted(order) == list(range(117))
    assert orders[0] != orders[1] != orders[2]


def test_an_epoch_begun_in_the_middle_gives_the_same_batches() -> None:
    batches = made(50, Augment(rotation_degrees=20, noise_fraction=0.1, mixup_alpha=0.3))
    whole = list(batches.training(2, 8))
    for first in range(len(whole)):
        rest = list(batches.training(2, 8, first))
        assert len(rest) == len(whole) - first
        for expected, found in zip(whole[first:], rest, strict=True):
            assert torch.equal(expected.images, found.images)
            assert torch.equal(expected.targets, found.targets)


def test_an_image_is_augmented_alike_whatever_the_batch_size() -> None:
    batches = made(40, Augment(rotation_degrees=20, shift_fraction=0.1, brightness_fraction=0.2))

    def by_row(batch_size: int) -> dict[int, torch.Tensor]:
        return {int(row): image for batch in batches.training(1, batch_size) for row, image in zip(batch.rows, batch.images, strict=True)}

    small, large = by_row(7), by_row(40)
    assert all(torch.equal(small[row], large[row]) for row in range(40))


def test_epochs_are_augmented_differently() -> None:
    batches = made(20, Augment(shift_pixels=2.0))
    first, second = (torch.cat([b.images[b.rows.argsort()] for b in batches.training(epoch, 20)]) for epoch in (0, 1))
    assert not torch.equal(first, second)


def test_evaluation_is_never_augmented_and_in_order() -> None:
    batches = made(20, Augment(rotation_degrees=90, mixup_alpha=1.0), evaluation_batch_size=6)
    first, second = (list(batches.evaluation()) for _ in range(2))
    assert [len(b.rows) for b in first] == [6, 6, 6, 2]
    assert torch.cat([b.rows for b in first]).tolist() == list(range(20))
    assert all(torch.equal(a.images, b.images) for a, b in zip(first, second, strict=True))
    assert torch.equal(torch.cat([b.images for b in first]), batches.images / 255)


@pytest.mark.parametrize(("side", "rows"), [(8, 500), (64, 500), (128, 125), (224, 40), (4096, 1)])
def test_evaluation_takes_fewer_large_images_at_once(side: int, rows: int) -> None:
    images = torch.empty(600, 3, 1, 1, dtype=torch.uint8).expand(600, 3, side, side)
    batches = Batches(images, torch.zeros(600, dtype=torch.int64), 3, Pixels(), Augment(), 0)
    assert batches.at_once() == rows
    assert replace(batches, evaluation_batch_size=100).at_once() == max(rows // 5, 1)
    assert len(next(batches.evaluation()).rows) == rows


def test_a_last_batch_of_one_row_joins_the_one_before() -> None:
    assert [len(b.rows) for b in made(21).training(0, 10)] == [10, 11]
    assert [len(b.rows) for b in made(22).training(0, 10)] == [10, 10, 2]
    assert [len(b.rows) for b in made(1).training(0, 10)] == [1]
    assert [len(b.rows) for b in made(5).training(0, 10)] == [5]


def test_balanced_sampling_meets_classes_equally_often() -> None:
    labels = torch.tensor([0] * 900 + [1] * 90 + [2] * 10)
    batches = made(1000, balanced=True)
    batches = Batches(batches.images, labels, 3, batches.pixels, batches.settings, 0, balanced=True)
    counts = sum((torch.bincount(b.labels, minlength=3) for epoch in range(5) for b in batches.training(epoch, 100)), torch.zeros(3))
    assert torch.all((counts / 5000 - 1 / 3).abs() < 0.03)


def test_a_row_met_twice_in_a_balanced_epoch_is_augmented_twice() -> None:
    batches = made(30, Augment(noise_fraction=0.1), balanced=True)
    seen: dict[int, list[torch.Tensor]] = {}
    for batch in batches.training(0, 30):
        for row, image in zip(batch.rows.tolist(), batch.images, strict=True):
            seen.setdefault(row, []).append(image)
    twice = [images for images in seen.values() if len(images) > 1]
    assert twice
    assert not any(torch.equal(images[0], images[1]) for images in twice)
