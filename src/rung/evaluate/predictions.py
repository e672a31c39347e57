"""What a network answered on one part of the data: saved once, the source of every score, plot and comparison."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import safetensors
import safetensors.numpy

from rung.data.imageset import PARTS
from rung.errors import RunError
from rung.store.atomic import read_bytes, reason, write_bytes
from rung.store.headers import header

MOST_TRAIN: Final = 10_000  # training images that are answered where each is answered by several views
_DTYPES: Final = {"digests": "int64", "labels": "int64", "logits": "float32", "rows": "int64"}


@dataclass(frozen=True)
class Predictions:
    """Answers in evaluation mode.

    part: "train", "validation" or "test".
    logits: float32 (N,K); labels: int64 (N,); rows: int64 (N,), row numbers of the run's ImageSet;
    digests: int64 (N,), the images' own digests, by which rows of different runs are paired.
    """

    part: str
    classes: tuple[str, ...]
    logits: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64]
    rows: npt.NDArray[np.int64]
    digests: npt.NDArray[np.int64]

    def take(self, which: npt.NDArray[np.bool_]) -> Predictions:
        """Return the predictions that `which`, bool (N,), chooses."""
        return replace(self, logits=self.logits[which], labels=self.labels[which], rows=self.rows[which], digests=self.digests[which])

    def probabilities(self) -> npt.NDArray[np.float64]:
        """Return the softmax of the logits, float64 (N,K); rows sum to 1."""
        exponents = np.exp(self._shifted())
        exponents /= exponents.sum(axis=1, keepdims=True)
        return exponents

    def losses(self) -> npt.NDArray[np.float64]:
        """Return minus the logarithm of the true class's probability, float64 (N,), not clipped anywhere."""
        shifted = self._shifted()
        true = shifted[np.arange(len(shifted)), self.labels]
        losses: npt.NDArray[np.float64] = np.log(np.exp(shifted).sum(axis=1)) - true
        return losses

    def answers(self) -> npt.NDArray[np.int64]:
        """Return the class of the highest logit, int64 (N,); the first of equal ones."""
        answers: npt.NDArray[np.int64] = self.logits.argmax(axis=1)
        return answers

    def _shifted(self) -> npt.NDArray[np.float64]:
        logits = self.logits.astype(np.float64)
        logits -= logits.max(axis=1, keepdims=True)
        return logits


def problem(predictions: Predictions) -> str:
    """Return in words what is wrong with these predictions, or an empty text; every score needs them sound."""
    logits, labels, classes = predictions.logits, predictions.labels, predictions.classes
    if predictions.part not in PARTS:
        return f"the part is {predictions.part!r}, not train, validation or test"
    if len(set(classes)) != len(classes):
        return "two classes have the same name"
    if logits.ndim != 2 or logits.shape[1] != len(classes):
        return f"logits have the shape {logits.shape}, but there are {len(classes)} classes"
    for name in ("labels", "rows", "digests"):
        if getattr(predictions, name).shape != (len(logits),):
            return f"{name} have the shape {getattr(predictions, name).shape} for {len(logits)} rows of logits"
    bad = np.flatnonzero(~np.isfinite(logits).all(axis=1))
    if len(bad):
        return f"the answers to {len(bad)} of {len(logits)} {predictions.part} images are not finite numbers (first: row {predictions.rows[bad[0]]})"
    outside = labels[(labels < 0) | (labels >= len(classes))]
    if len(outside):
        return f"labels are {labels.min()}..{labels.max()}, expected 0..{len(classes) - 1}"
    if len(labels) and (predictions.rows.min() < 0 or len(np.unique(predictions.rows)) != len(labels)):
        return "a row number is negative or there twice"
    return ""


def save(path: Path, predictions: Predictions) -> None:
    """Write predictions as safetensors; equal content gives equal bytes.

    Raises: RunError if they are not sound, ResourceError if the disk is full.
    """
    if trouble := problem(predictions):
        raise RunError(f"cannot save the predictions {path}: {trouble}")
    tensors = {name: np.ascontiguousarray(getattr(predictions, name), dtype=dtype) for name, dtype in _DTYPES.items()}
    # One metadata key only: safetensors writes several in no fixed order.
    about = json.dumps({"part": predictions.part, "classes": list(predictions.classes)}, sort_keys=True)
    write_bytes(path, safetensors.numpy.save(tensors, metadata={"predictions": about}))


def load(path: Path, classes: Sequence[str] | None = None) -> Predictions:
    """Read predictions; with `classes`, their class names must be these, in this order.

    Raises: RunError naming the file if it is not there, is damaged, or is of other classes.
    """
    try:
        content = read_bytes(path)
    except OSError as error:
        raise RunError(f"cannot read the predictions {path}: {reason(error)}") from None
    try:
        about, tensors = _parts(content)
        predictions = Predictions(about["part"], tuple(about["classes"]), **tensors)
        trouble = problem(predictions)
    except (ValueError, KeyError, TypeError, RecursionError, safetensors.SafetensorError) as error:
        trouble = str(error) or type(error).__name__
    if trouble:
        raise RunError(f"{path} does not hold usable predictions: {trouble}; score the run again to write it anew")
    if classes is not None and predictions.classes != tuple(classes):
        raise RunError(f"{path} holds predictions for the classes {', '.join(predictions.classes)}, expected {', '.join(classes)}")
    return predictions


def _parts(content: bytes) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
    about = json.loads(header(content)["__metadata__"]["predictions"])
    if not isinstance(about["classes"], list) or not all(isinstance(name, str) for name in about["classes"]):
        raise ValueError("its class names are not texts")
    tensors = safetensors.numpy.load(content)
    found = {name: str(tensor.dtype) for name, tensor in sorted(tensors.items())}
    if found != _DTYPES:
        raise ValueError(f"it holds {found}, expected {_DTYPES}")
    return about, tensors
