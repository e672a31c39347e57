"""Mistakes planted among files of real CIFAR-10 images: each function writes a folder, a table or pickles and returns what `rung.check` is given."""

from __future__ import annotations

import csv
import io
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image

from benchmarks.faulty import DRAWS, Images, Rows, Sample, brighter, named, some

Save = Callable[[Images, int], tuple[str, bytes]]  # an image, uint8 (32,32,3), and its row -> ending and bytes of its file
POINTER: Final = b"version https://git-lfs.github.com/spec/v1\noid sha256:%064d\nsize 2411\n"
WEB_PAGE: Final = b"<!DOCTYPE html><html><head><title>404 Not Found</title></head><body></body></html>\n"


def encoded(image: Images, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(image)).save(buffer, kind, **options)
    return buffer.getvalue()


def png(image: Images, row: int) -> tuple[str, bytes]:
    return "png", encoded(image)


def as_folder(given: Sample, folder: Path, save: Save = png) -> Path:
    """Write train and test folders with a folder for each class, and return where they lie."""
    place = folder / "images"
    for row, (image, label, tested) in enumerate(zip(given.images, given.labels, given.tested, strict=True)):
        of_class = place / ("test" if tested else "train") / given.classes[label]
        of_class.mkdir(parents=True, exist_ok=True)
        ending, data = save(image, row)
        (of_class / f"{row:05d}.{ending}").write_bytes(data)
    return place


def spoiled(change: Callable[[bytes], bytes], count: int) -> Callable[[Sample, Path], Path]:
    """Write a folder in which so many training files are changed, as bytes."""

    def plant(given: Sample, folder: Path) -> Path:
        hit = set(some(given.train, count).tolist())
        return as_folder(given, folder, lambda image, row: ("png", change(encoded(image)) if row in hit else encoded(image)))

    return plant


def cut_short(data: bytes) -> bytes:
    return data[: len(data) // 2]


def noise(data: bytes) -> bytes:
    """Bytes that are no image."""
    return np.random.default_rng(DRAWS).bytes(len(data))


def resaved(change: Callable[[Image.Image], Image.Image], count: int, ending: str = "png") -> Callable[[Sample, Path], Path]:
    """Write a folder in which so many training images are changed before they are saved."""

    def plant(given: Sample, folder: Path) -> Path:
        hit = set(some(given.train, count).tolist())
        kind = {"png": "PNG", "jpg": "JPEG"}[ending]

        def save(image: Images, row: int) -> tuple[str, bytes]:
            if row not in hit:
                return png(image, row)
            return ending, encoded(np.asarray(change(Image.fromarray(image))), kind)

        return as_folder(given, folder, save)

    return plant


def to_size(width: int, height: int) -> Callable[[Image.Image], Image.Image]:
    return lambda image: image.resize((width, height), Image.Resampling.BILINEAR)


def by_class(usual: Save, other: Save, *names: str) -> Callable[[Sample, Path], Path]:
    """Write a folder in which the files of some classes are made in another way."""

    def plant(given: Sample, folder: Path) -> Path:
        others = set(named(given, *names).tolist())
        return as_folder(given, folder, lambda image, row: (other if row in others else usual)(image, row))

    return plant


def by_part(usual: Save, other: Save) -> Callable[[Sample, Path], Path]:
    """Write a folder in which the files of the test part are made in another way."""
    return lambda given, folder: as_folder(given, folder, lambda image, row: (other if given.tested[row] else usual)(image, row))


def jpeg(quality: int) -> Save:
    return lambda image, row: ("jpg", encoded(image, "JPEG", quality=quality))


def uncompressed(image: Images, row: int) -> tuple[str, bytes]:
    return "png", encoded(image, compress_level=0)


def of_size(width: int, height: int) -> Save:
    return lambda image, row: ("png", encoded(np.asarray(to_size(width, height)(Image.fromarray(image)))))


def in_two_folders(given: Sample, folder: Path) -> Path:
    """The files of six training images lie in the folder of another class too."""
    place = as_folder(given, folder)
    for row in some(given.train, 6):
        own, other = (given.classes[(given.labels[row] + k) % len(given.classes)] for k in (0, 1))
        (place / "train" / other / f"copy{row}.png").write_bytes((place / "train" / own / f"{row:05d}.png").read_bytes())
    return place


def _table(given: Sample, folder: Path, columns: list[str], cells: Callable[[int], list[str]]) -> Path:
    """Write files and a table of them: path, class, part, and further columns."""
    place = as_folder(given, folder)
    with (folder / "images.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", *columns])
        for row, (label, tested) in enumerate(zip(given.labels, given.tested, strict=True)):
            path = place / ("test" if tested else "train") / given.classes[label] / f"{row:05d}.png"
            writer.writerow([path.relative_to(folder), *cells(row)])
    return folder / "images.csv"


def misspelt(given: Sample, folder: Path) -> Path:
    """In a table, every twentieth training image of one class has another spelling."""
    airplanes = set(np.intersect1d(named(given, "airplane"), given.train)[::20].tolist())

    def cells(row: int) -> list[str]:
        return ["airplan" if row in airplanes else given.classes[given.labels[row]], "test" if given.tested[row] else "train"]

    return _table(given, folder, ["label", "split"], cells)


def subjects(given: Sample, folder: Path) -> Path:
    """In a table, images have a subject each, eight images to a subject, and subjects are in train and in test."""

    def cells(row: int) -> list[str]:
        return [given.classes[given.labels[row]], "test" if given.tested[row] else "train", f"s{row % (len(given.labels) // 8)}"]

    return _table(given, folder, ["label", "split", "subject"], cells)


def bursts(given: Sample, folder: Path) -> Path:
    """Bursts of five shots of one picture, numbered through, of which about each fifth file is a test image."""
    draws = np.random.default_rng(DRAWS)
    for first, row in enumerate(range(0, len(given.labels), 5)):
        for shot in range(5):
            place = folder / "images" / ("test" if draws.random() < 0.2 else "train") / given.classes[given.labels[row]]
            place.mkdir(parents=True, exist_ok=True)
            left, top = draws.uniform(0, 8, 2)
            frame = Image.fromarray(given.images[row]).resize((32, 32), Image.Resampling.BICUBIC, box=(left, top, left + 24, top + 24))
            (place / f"IMG_{5 * first + shot:05d}.png").write_bytes(encoded(brighter(np.asarray(frame), int(draws.integers(-30, 31)))))
    return folder / "images"


def _pickles(given: Sample, folder: Path, rows_of: Callable[[Images], Images]) -> Path:
    """Write pickled pandas tables: pixel columns and a column `label`, training images in two files and test images in one."""
    import pandas as pd

    place = folder / "tables"
    place.mkdir()
    files = {"train_batch1": given.train[::2], "train_batch2": given.train[1::2], "test_batch1": given.test}
    for name, rows in files.items():
        pixels = rows_of(given.images[rows])
        frame = pd.DataFrame(pixels, columns=[f"pixel{k}" for k in range(pixels.shape[1])])
        frame["label"] = given.labels[rows]
        frame.to_pickle(place / f"{name}.pkl")
    return place


def colour_tables(given: Sample, folder: Path) -> Path:
    """Pickled tables of colour planes: 1,024 red values, then green, then blue."""
    return _pickles(given, folder, lambda images: images.transpose(0, 3, 1, 2).reshape(len(images), -1))


def grey_tables(given: Sample, folder: Path) -> Path:
    """Pickled tables of grey values, whole numbers kept as floating point, as a known notebook has them."""
    weights = np.array([0.299, 0.587, 0.114], np.float32)
    return _pickles(given, folder, lambda images: np.rint(images.astype(np.float32) @ weights).astype(np.float64).reshape(len(images), -1))


def official(given: Sample, folder: Path) -> Path:
    """Write the official pickles, training images in five files, and return the folder that RUNG_DATA names."""
    place = folder / "cifar-10-batches-py"
    place.mkdir()
    for name, rows in _batches(given):
        planes = given.images[rows].transpose(0, 3, 1, 2).reshape(len(rows), -1)
        batch = {b"batch_label": name.encode(), b"labels": given.labels[rows].tolist(), b"data": np.ascontiguousarray(planes)}
        (place / name).write_bytes(pickle.dumps(batch | {b"filenames": [b"%d.png" % row for row in rows]}, 2))
    meta = {b"num_cases_per_batch": 10_000, b"label_names": [name.encode() for name in given.classes], b"num_vis": 3072}
    (place / "batches.meta").write_bytes(pickle.dumps(meta, 2))
    return folder


def _batches(given: Sample) -> Iterator[tuple[str, Rows]]:
    for k, rows in enumerate(np.array_split(given.train, 5)):
        yield f"data_batch_{k + 1}", rows
    yield "test_batch", given.test
