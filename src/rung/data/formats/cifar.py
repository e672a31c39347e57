"""CIFAR-10 and CIFAR-100 as officially given: pickles in a folder, or in their archive.

A. Krizhevsky, "Learning multiple layers of features from tiny images", 2009; https://www.cs.toronto.edu/~kriz/cifar.html
A row holds 1,024 red values, then 1,024 green, then 1,024 blue: planes, not pixels.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rung.data import drive, fetch
from rung.data.formats import archives, pickles
from rung.data.found import Found, Progress
from rung.data.imageset import TEST, TRAIN
from rung.errors import DataError, did_you_mean

_CUSTOMARY_TRAINING_ROWS = 50_000


def read(name: str, progress: Progress | None = None) -> Found:
    """Return "cifar10", "cifar100" or one coarse class of the latter, "cifar100:fish".

    Raises: DataError for a coarse class that does not exist and for files that are not what they should be.
    """
    name, colon, coarse = name.partition(":")
    official = fetch.CIFAR10 if name == "cifar10" else fetch.CIFAR100
    path = fetch.locate(official, progress)
    content = {file: _Batch(file, value) for file, value in _unpickled(path, official.files)}
    for file in official.files:
        if file not in content:
            raise DataError(f"{path} holds no file '{file}': it is not the official data set; get it again")
    found = _ten(content, official) if name == "cifar10" else _hundred(content, official)
    return _coarse_only(found, coarse) if colon else found


def _unpickled(path: Path, files: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    if path.is_dir():
        for file in files:
            yield file, pickles.loads(drive.read_bytes(path / file), str(path / file))
    else:
        for file, data in archives.members(path, files):
            yield file, pickles.loads(data, f"{path} ({file})")


class _Batch:
    """One unpickled dictionary, whose keys are bytes or text."""

    def __init__(self, file: str, value: object) -> None:
        if not isinstance(value, Mapping):
            raise DataError(f"CIFAR file {file} holds {type(value).__name__}, not a dictionary: it is not an official file")
        self.file = file
        self._values = {_text(key): item for key, item in value.items()}

    def get(self, key: str) -> Any:
        if key not in self._values:
            raise DataError(f"CIFAR file {self.file} has no '{key}', only {', '.join(sorted(self._values))}: it is not an official file")
        return self._values[key]

    def rows(self) -> npt.NDArray[np.uint8]:
        data = self.get("data")
        if not isinstance(data, np.ndarray) or data.dtype != np.uint8 or data.ndim != 2 or data.shape[1] != 3072:
            raise DataError(f"CIFAR file {self.file}: data should be uint8 (N,3072), found {getattr(data, 'dtype', type(data))} {getattr(data, 'shape', '')}")
        return data

    def labels(self, key: str, classes: int) -> npt.NDArray[np.int64]:
        labels, count = np.asarray(self.get(key)), len(self.rows())
        if labels.shape != (count,):
            raise DataError(f"CIFAR file {self.file} has {count} images and {labels.size} labels ({key}): it is not an official file")
        if labels.dtype.kind not in "iu" or labels.min() < 0 or labels.max() >= classes:
            raise DataError(f"CIFAR file {self.file}: {key} should be 0..{classes - 1}, found {labels.min()}..{labels.max()}", "label-range")
        return labels.astype(np.int64)

    def names(self, key: str) -> tuple[str, ...]:
        return tuple(_text(name) for name in self.get(key))


def _text(value: object) -> str:
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)


def _ten(content: Mapping[str, _Batch], official: fetch.Official) -> Found:
    classes = content["batches.meta"].names("label_names")
    files = [f for f in official.files if f != "batches.meta"]
    labels = [content[f].labels("labels", len(classes)) for f in files]
    return _found("cifar10", [content[f] for f in files], labels, classes, ["test" in f for f in files])


def _hundred(content: Mapping[str, _Batch], official: fetch.Official) -> Found:
    classes = content["meta"].names("fine_label_names")
    groups = content["meta"].names("coarse_label_names")
    files = ("train", "test")
    labels = [content[f].labels("fine_labels", len(classes)) for f in files]
    found = _found("cifar100", [content[f] for f in files], labels, classes, [False, True])
    coarse = np.concatenate([content[f].labels("coarse_labels", len(groups)) for f in files])
    of_class = np.zeros(len(classes), np.int64)
    of_class[found.labels] = coarse
    if (of_class[found.labels] != coarse).any():
        raise DataError("the CIFAR-100 files put one fine class into two coarse ones: they are not the official files")
    return replace(found, coarse=tuple(groups[g] for g in of_class))


def _found(name: str, batches: list[_Batch], labels: list[npt.NDArray[np.int64]], classes: tuple[str, ...], test: list[bool]) -> Found:
    counts = [len(batch.rows()) for batch in batches]
    images = np.empty((sum(counts), 32, 32, 3), np.uint8)
    for batch, end in zip(batches, np.cumsum(counts), strict=True):
        rows = batch.rows()
        images[end - len(rows) : end] = rows.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    parts = np.repeat(np.array([TEST if t else TRAIN for t in test], np.int8), counts)
    customary = int((parts == TRAIN).sum()) == _CUSTOMARY_TRAINING_ROWS
    return Found(
        name=name,
        official=True,
        images=images,
        labels=np.concatenate(labels),
        classes=classes,
        sources=[f"{batch.file}#{row}" for batch, count in zip(batches, counts, strict=True) for row in range(count)],
        parts=parts,
        roots=np.repeat(np.arange(len(batches)), counts),
        root_names=tuple(batch.file for batch in batches),
        validation_rule="last_10000" if customary else "fraction",
    )


def _coarse_only(found: Found, wanted: str) -> Found:
    assert found.coarse is not None
    if wanted not in found.coarse:
        raise DataError(f"CIFAR-100 has no coarse class '{wanted}': {did_you_mean(wanted, sorted({c for c in found.coarse if c}))}")
    fine = [k for k, group in enumerate(found.coarse) if group == wanted]
    to = np.full(len(found.classes), -1, np.int64)
    to[fine] = np.arange(len(fine))
    kept = found.relabel(to, tuple(found.classes[k] for k in fine), (wanted,) * len(fine))
    return replace(kept, name=f"cifar100:{wanted}", validation_rule="fraction")
