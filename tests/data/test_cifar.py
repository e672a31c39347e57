"""CIFAR as officially given: small files of the same make always, the real ones where RUNG_TEST_DATA names them."""

from __future__ import annotations

import pickle
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rung.data.imageset import TEST, TRAIN, ImageSet
from rung.data.load import load
from rung.errors import DataError
from rung.recipe import Data, Pixels

FINE = ("apple", "bear", "lion", "shark", "trout")
COARSE = ("fish", "fruit", "large_carnivores")
COARSE_OF = (1, 2, 2, 0, 0)


def loaded(name: str, **data: Any) -> ImageSet:
    return load(Data(sources=(name,), **data), Pixels())


def small_batch(seed: int, rows: int, keys: type) -> dict[Any, Any]:
    random = np.random.default_rng(seed)
    fine = [k % 5 for k in range(rows)]
    values = {"data": random.integers(0, 256, (rows, 3072), dtype=np.uint8), "labels": [k % 10 for k in range(rows)], "fine_labels": fine}
    values["coarse_labels"] = [COARSE_OF[k] for k in fine]
    return {key.encode() if keys is bytes else key: value for key, value in values.items()}


def write_small(folder: Path, keys: type = bytes, protocol: int = 2) -> None:
    """Write both sets with ten rows a batch, keys as bytes or as text."""

    def text(words: tuple[str, ...]) -> list[Any]:
        return [w.encode() for w in words] if keys is bytes else list(words)

    def dump(path: Path, value: dict[Any, Any]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(pickle.dumps(value, protocol))

    label_names = text(tuple(f"class{k}" for k in range(10)))
    for k in range(1, 6):
        dump(folder / "cifar-10-batches-py" / f"data_batch_{k}", small_batch(k, 10, keys))
    dump(folder / "cifar-10-batches-py" / "test_batch", small_batch(6, 10, keys))
    dump(folder / "cifar-10-batches-py" / "batches.meta", {(b"label_names" if keys is bytes else "label_names"): label_names})
    dump(folder / "cifar-100-python" / "train", small_batch(7, 10, keys))
    dump(folder / "cifar-100-python" / "test", small_batch(8, 10, keys))
    names = {"fine_label_names": text(FINE), "coarse_label_names": text(COARSE)}
    dump(folder / "cifar-100-python" / "meta", {key.encode() if keys is bytes else key: value for key, value in names.items()})


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_small(tmp_path)
    monkeypatch.setenv("RUNG_DATA", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("keys", [bytes, str])
@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_n64_bytes_and_text_keys_both_work(small: Path, keys: type, protocol: int) -> None:
    expected = loaded("cifar10"), loaded("cifar100")
    write_small(small, keys, protocol)
    for name, reference in zip(("cifar10", "cifar100"), expected, strict=True):
        found = loaded(name)
        assert found.hash() == reference.hash()
        assert (found.sources, found.classes, found.coarse) == (reference.sources, reference.classes, reference.coarse)


def test_rows_are_planes_of_red_green_and_blue(small: Path) -> None:
    images = loaded("cifar10")
    row = small_batch(2, 10, bytes)[b"data"][3]
    at = images.sources.index("data_batch_2#3")
    for channel in range(3):
        assert np.array_equal(images.images[at, ..., channel].ravel(), row[channel * 1024 : (channel + 1) * 1024])
    assert images.parts.tolist() == [TRAIN] * 50 + [TEST] * 10
    assert images.root_names == (*(f"data_batch_{k}" for k in range(1, 6)), "test_batch")
    assert images.validation_rule == "fraction"  # 50 rows are not the customary 50,000


def test_rows_of_an_official_set_stay_though_an_image_is_in_two_classes(small: Path) -> None:
    path = small / "cifar-10-batches-py" / "data_batch_2"
    batch = small_batch(2, 10, bytes)
    batch[b"data"][4] = batch[b"data"][3]
    path.write_bytes(pickle.dumps(batch, 2))
    images = loaded("cifar10")
    assert len(images) == 60
    assert images.dropped == ()
    said = "1 images are there in two classes (such as data_batch_2#3 of 'class3' and data_batch_2#4 of 'class4'): they stay, for the set is an official one"
    assert said in images.warnings


def test_an_archive_is_read_as_its_folder_is(small: Path) -> None:
    expected = loaded("cifar10"), loaded("cifar100")
    for folder, archive in (("cifar-10-batches-py", "cifar-10-python.tar.gz"), ("cifar-100-python", "cifar-100-python.tar.gz")):
        with tarfile.open(small / archive, "w:gz") as made:
            made.add(small / folder, folder)
        for file in (small / folder).iterdir():
            file.unlink()
        (small / folder).rmdir()
    assert (loaded("cifar10").hash(), loaded("cifar100").hash()) == (expected[0].hash(), expected[1].hash())
    data = (small / "cifar-10-python.tar.gz").read_bytes()
    (small / "cifar-10-python.tar.gz").write_bytes(data[: len(data) // 2])
    with pytest.raises(DataError, match=r"cifar-10-python\.tar\.gz is damaged or incomplete"):
        loaded("cifar10")
    with tarfile.open(small / "cifar-10-python.tar.gz", "w:gz") as made:
        made.add(small / "cifar-100-python.tar.gz", "cifar-10-batches-py/readme")
    with pytest.raises(DataError, match=r"holds no file 'batches\.meta'"):
        loaded("cifar10")


def test_coarse_classes(small: Path) -> None:
    whole = loaded("cifar100")
    assert whole.classes == FINE
    assert whole.coarse == tuple(COARSE[k] for k in COARSE_OF)
    fish = loaded("cifar100:fish")
    assert (fish.name, fish.classes, fish.coarse) == ("cifar100:fish", ("shark", "trout"), ("fish", "fish"))
    assert all(whole.labels[whole.sources.index(s)] - 3 == k for s, k in zip(fish.sources, fish.labels, strict=True))
    with pytest.raises(DataError, match="no coarse class 'fihs': did you mean 'fish'"):
        loaded("cifar100:fihs")
    merged = loaded("cifar100", classes="swims=shark,trout; lion; bear")
    assert (merged.classes, merged.coarse) == (("bear", "lion", "swims"), ("large_carnivores", "large_carnivores", "fish"))
    assert loaded("cifar100", classes="any=shark,lion; bear").coarse is None


def damages() -> Iterator[tuple[str, dict[Any, Any], str]]:
    good = small_batch(1, 10, bytes)
    yield "no data", {k: v for k, v in good.items() if k != b"data"}, "data_batch_1 has no 'data', only"
    yield "few labels", good | {b"labels": [1, 2]}, "has 10 images and 2 labels"
    yield "wrong labels", good | {b"labels": list(range(1, 11))}, r"labels should be 0\.\.9, found 1\.\.10"
    yield "wrong shape", good | {b"data": np.zeros((10, 3073), np.uint8)}, r"should be uint8 \(N,3072\), found uint8 \(10, 3073\)"
    yield "wrong type", good | {b"data": np.zeros((10, 3072))}, "found float64"
    yield "no array", good | {b"data": [1, 2]}, "should be uint8"


@pytest.mark.parametrize(("value", "message"), [(v, m) for _, v, m in damages()], ids=[name for name, _, _ in damages()])
def test_files_that_are_not_official_say_what_is_wrong(small: Path, value: dict[Any, Any], message: str) -> None:
    (small / "cifar-10-batches-py" / "data_batch_1").write_bytes(pickle.dumps(value, 2))
    with pytest.raises(DataError, match=message):
        loaded("cifar10")


def test_a_hostile_pickle_is_refused_by_name(small: Path) -> None:
    (small / "cifar-10-batches-py" / "data_batch_3").write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    with pytest.raises(DataError, match=r"data_batch_3: it asks for os\.system"):
        loaded("cifar10")


@pytest.mark.cifar
def test_the_real_images(cifar_official: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNG_DATA", str(cifar_official))
    images = loaded("cifar10")
    assert images.images.shape == (60_000, 32, 32, 3)
    assert images.classes == ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
    assert np.bincount(images.labels[images.parts == TRAIN]).tolist() == [5000] * 10
    assert np.bincount(images.labels[images.parts == TEST]).tolist() == [1000] * 10
    assert images.validation_rule == "last_10000"
    assert loaded("cifar10", per_class=10, classes="cat; dog").validation_rule == "fraction"
    mean = images.images.mean(axis=(0, 1, 2)) / 255  # known of CIFAR-10, and blue is least: the planes are in order
    assert np.allclose(mean, (0.4919, 0.4827, 0.4472), atol=1e-3)
    neighbours = np.abs(np.diff(images.images[:1000].astype(int), axis=2)).mean()
    assert neighbours < 15  # rows read as pixels instead of planes would give over 30
