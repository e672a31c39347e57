"""The counts of a data set, against counting by hand."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from rung.data.describe import describe
from rung.data.load import from_arrays, load
from rung.recipe import Data, Pixels


def test_counts_by_part_class_and_root(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for part, count in (("train", 40), ("test", 20)):
        for name in ("a", "b"):
            (tmp_path / part / name).mkdir(parents=True)
            for k in range(count):
                Image.fromarray(random.integers(0, 256, (9, 9, 3), dtype=np.uint8)).save(tmp_path / part / name / f"{k}.png")
    (tmp_path / "train" / "a" / "0.png").write_bytes(b"")
    Image.fromarray(random.integers(0, 256, (9, 9), dtype=np.uint8)).save(tmp_path / "train" / "a" / "1.png")
    report = describe(load(Data(sources=(str(tmp_path),)), Pixels()))
    assert report.counts == {"train": {"a": 39, "b": 40}, "test": {"a": 20, "b": 20}}
    assert report.roots == {"train": 79, "test": 40}
    assert report.shape == (9, 9, 3)
    assert report.grey == 1
    assert [note.path for note in report.dropped] == ["train/a/0.png"]
    values = report.to_json()
    assert json.loads(json.dumps(values)) == values
    assert values["dropped"] == [{"path": "train/a/0.png", "reason": "is empty (0 bytes)"}]
    assert list(values["counts"]) == ["train", "test"]


def test_exact_copies_within_and_across_parts() -> None:
    images = np.random.default_rng(0).integers(0, 256, (20, 8, 8, 3), dtype=np.uint8)
    images[4] = images[6] = images[0]  # two copies within train
    images[15] = images[1]  # a test image that is in train
    images[16] = images[18] = images[2]  # and two copies of another
    images[12] = images[10]
    labels = [0, 1] * 10
    given = from_arrays(
        images[:10], labels[:10], validation_images=images[10:14], validation_labels=labels[10:14], test_images=images[14:], test_labels=labels[14:]
    )
    assert describe(given).duplicates == {"train": 2, "validation": 1, "test": 1, "train & test": 3}


def test_parts_that_training_takes_from_train_are_named() -> None:
    images = np.random.default_rng(0).integers(0, 256, (20, 8, 8, 3), dtype=np.uint8)
    labels = np.arange(20) % 2
    alone = from_arrays(images, labels)
    tested = from_arrays(images, labels, test_images=images, test_labels=labels)
    whole = from_arrays(images, labels, test_images=images, test_labels=labels, validation_images=images, validation_labels=labels)
    assert [describe(data).to_take for data in (alone, tested, replace(tested, validation_rule="last_10000"), whole)] == [
        "rung train takes test (20% of each class) and validation (20% of the rest of each class) from train, unless the recipe says otherwise",
        "rung train takes validation (20% of each class) from train, unless the recipe says otherwise",
        "rung train takes validation (the last 10,000 rows) from train, unless the recipe says otherwise",
        "",
    ]


def test_coarse_groups_are_by_class() -> None:
    from dataclasses import replace

    images = from_arrays(np.random.default_rng(0).integers(0, 256, (4, 8, 8), dtype=np.uint8), [0, 1, 2, 0])
    report = describe(replace(images, coarse=("x", "y", "x")))
    assert report.to_json()["coarse"] == {"0": "x", "1": "y", "2": "x"}
    assert report.grey == 4
    assert describe(images).to_json()["coarse"] is None
    assert report.hash == images.hash()
