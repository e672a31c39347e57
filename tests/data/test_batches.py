import mmap
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rung.data import batches as module
from rung.data.batches import Batches, OnDisk, held, is_mapped, resident
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


@pytest.mark.parametrize("shape", [(40, 16, 16, 3), (40, 9, 9, 1)])
def test_images_on_the_disk_give_the_bits_of_those_in_memory(tmp_path: Path, shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    values, cpu = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8), torch.device("cpu")
    rows = np.array([*range(39, 4, -1), 7, 7])
    values.tofile(tmp_path / "images")
    with open(tmp_path / "images", "rb") as file:
        content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
    images = np.frombuffer(content, np.uint8).reshape(shape)
    assert is_mapped(images[3:])
    assert not is_mapped(values)
    assert isinstance(held(images, rows, cpu), torch.Tensor)
    monkeypatch.setattr(module, "_SHARE_OF_MEMORY", 0.0)
    assert isinstance(held(values, rows, cpu), torch.Tensor)
    on_disk = held(images, rows, cpu)
    assert isinstance(on_disk, OnDisk)
    settings = Augment(rotation_degrees=20, shift_pixels=2, noise_fraction=0.1, brightness_fraction=0.2, cutmix_alpha=1.0, crop=8)
    labels = torch.arange(len(rows)) % 3
    mapped, other = (Batches(own, labels, 3, Pixels(), settings, 0, evaluation_batch_size=7) for own in (on_disk, resident(values[rows], cpu)))
    for found, expected in ((mapped.training(3, 8), other.training(3, 8)), (mapped.evaluation(), other.evaluation())):
        for one, wanted in zip(found, expected, strict=True):
            assert torch.equal(one.images, wanted.images)
            assert one.images.stride() == wanted.images.stride()
            assert torch.equal(one.targets, wanted.targets)
            assert torch.equal(one.rows, wanted.rows)
    assert mapped.at_once() == other.at_once()
    assert torch.equal(mapped.whole(), other.whole())
    assert torch.equal(mapped.corner().whole(), other.corner().whole())
    assert other.corner().whole().shape == (37, shape[3], 1, 1)


def test_memory_is_that_of_the_container_where_there_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LIMIT", tmp_path / "memory.max")
    machine = module._memory_bytes(torch.device("cpu"))
    for text, expected in (("max\n", machine), ("1048576\n", 2**20), (f"{10 * machine}\n", machine)):
        (tmp_path / "memory.max").write_text(text)
        assert module._memory_bytes(torch.device("cpu")) == expected


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


def test_mirroring_takes_turns() -> None:
    batches = made(200, Augment(flip_horizontal=True, flip_alternating=True))

    def mirrored(epoch: int) -> torch.Tensor:
        rows = torch.cat([batch.rows for batch in batches.training(epoch, 50)])
        seen = torch.cat([batch.images for batch in batches.training(epoch, 50)])[rows.argsort()]
        own = batches.images / 255
        as_it_is, turned = ((seen == images).flatten(1).all(1) for images in (own, own.flip(3)))
        assert (as_it_is ^ turned).all()
        return turned

    epochs = [mirrored(epoch) for epoch in range(4)]
    assert torch.equal(epochs[0], ~epochs[1])
    assert torch.equal(epochs[0], epochs[2])
    assert torch.equal(epochs[1], epochs[3])
    assert 70 < epochs[0].sum() < 130


def test_sizes_rise_over_the_whole_training_and_evaluation_sees_all() -> None:
    batches = made(40, Augment(rising_sizes=(4, 6, 8)), total_steps=12)
    sides = [[batch.images.shape[-1] for batch in batches.training(epoch, 10)] for epoch in range(3)]
    assert sides == [[4] * 4, [6] * 4, [8] * 4]
    two = replace(batches, total_steps=8)
    assert [batch.images.shape[-1] for epoch in range(2) for batch in two.training(epoch, 10)] == [4, 4, 4, 6, 6, 6, 8, 8]
    assert [batch.images.shape[-1] for batch in two.training(1, 10, 2)] == [8, 8]
    assert {batch.images.shape[-1] for batch in batches.evaluation()} == {8}
    whole = next(replace(batches, settings=Augment()).training(0, 40)).images
    assert torch.allclose(next(batches.training(0, 40)).images.mean((2, 3)), whole.mean((2, 3)), atol=0.05)
