"""Runs to report on: real digits answered by a small scikit-learn model, and made-up answers with a wanted confusion table."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from rung import recipe as recipes
from rung.evaluate.metrics import score
from rung.evaluate.predictions import Predictions
from rung.explain.architecture import LayerRow, picture
from rung.explain.mistakes import worst
from rung.reports.inputs import ReportInput, Samples, WrongAnswer

MakeReport = Callable[..., ReportInput]

LAYERS = [
    LayerRow("input", "input", "", (1, 8, 8), 0, 0),
    LayerRow("blocks.0.convolution", "convolution", "3×3", (16, 8, 8), 160, 160),
    LayerRow("blocks.0.norm", "normalisation", "BatchNorm2d", (16, 8, 8), 64, 32),
    LayerRow("blocks.0.activation", "activation", "ReLU", (16, 8, 8), 0, 0),
    LayerRow("blocks.0.pool", "pooling", "max 2×2", (16, 4, 4), 0, 0),
    LayerRow("flatten", "flatten", "", (256,), 0, 0),
    LayerRow("dense", "dense", "", (64,), 16448, 16448),
    LayerRow("dropout", "dropout", "0.3", (64,), 0, 0),
    LayerRow("head", "dense", "", (10,), 650, 650),
]

ENVIRONMENT = {"rung": "0.1.0", "torch": "2.15.0", "numpy": "2.4.6", "python": "3.11", "system": "Linux", "processor": "made-up", "threads": 1, "cuda": None}


def log_of(
    validation_loss: Sequence[float], train_loss: Sequence[float] | None = None, validation_accuracy: Sequence[float] | None = None
) -> list[dict[str, Any]]:
    """Return the rows of a training log with these losses."""
    train_loss = train_loss or [0.9 * loss for loss in validation_loss]
    validation_accuracy = validation_accuracy or [1 - loss / 4 for loss in validation_loss]
    return [
        {
            "epoch": i + 1,
            "step": 10 * (i + 1),
            "learning_rate": 0.001,
            "train_loss": fitted,
            "train_accuracy": max(0.0, 1 - fitted / 4),
            "penalty": 0.0,
            "validation_loss": loss,
            "validation_accuracy": accuracy,
            "validation_objective": loss,
        }
        for i, (loss, fitted, accuracy) in enumerate(zip(validation_loss, train_loss, validation_accuracy, strict=True))
    ]


def answers_of(part: str, confusion: Sequence[Sequence[int]], classes: Sequence[str], confidence: float = 0.9) -> Predictions:
    """Return predictions that give this confusion table, every answer with the same confidence."""
    cells = [(i, j) for i, row in enumerate(confusion) for j, count in enumerate(row) for _ in range(count)]
    labels, answers = (np.array(side, dtype=np.int64) for side in zip(*cells, strict=True))
    logits = np.full((len(cells), len(classes)), np.log((1 - confidence) / (len(classes) - 1)), dtype=np.float32)
    logits[np.arange(len(cells)), answers] = np.log(confidence)
    rows = np.arange(len(cells), dtype=np.int64)
    return Predictions(part, tuple(classes), logits, labels, rows, rows)


def report_of(
    predictions: Mapping[str, Predictions],
    rows: Sequence[Mapping[str, Any]] = (),
    *,
    recipe: Mapping[str, Any] | None = None,
    kept: Mapping[str, Any] | None = None,
    sealed: int = 0,
    data: Mapping[str, Any] | None = None,
    **more: Any,
) -> ReportInput:
    """Return what a report of these predictions and this log is made from; sealed: images of each class in the sealed test part."""
    classes = next(iter(predictions.values())).classes
    counts = {name: sealed + sum(int((p.labels == k).sum()) for p in predictions.values()) for k, name in enumerate(classes)}
    described = {"name": "made-up", "hash": "0" * 64, "shape": [8, 8, 1], "classes": list(classes), "counts": {"train": counts}, "duplicates": {}}
    epochs = [row for row in rows if row.get("validation_loss") is not None]
    best = min(epochs, key=lambda row: row["validation_loss"])["epoch"] if epochs else 1
    values: dict[str, Any] = {
        "recipe": recipes.parse(recipe or {}),
        "run_id": "20261120-101500-default-0",
        "data": described | {"dropped": [], "repaired": [], "warnings": [], "remarks": []} | dict(data or {}),
        "splits_how": "20 % of each class for validation, by seed 0",
        "rows": rows,
        "times": [{"epoch": row["epoch"], "train_s": 1.5, "evaluate_s": 0.25, "images": 1000} for row in rows],
        "setup_s": 0.5,
        "scores": {part: score(p).to_json() for part, p in predictions.items()},
        "predictions": dict(predictions),
        "environment": ENVIRONMENT,
        "layers": LAYERS,
        "picture": picture(LAYERS),
        "samples": None,
        "mistakes": [],
        "opening": 1 if "test" in predictions else None,
        "kept": kept or {"epoch": best, "how": "best by validation_loss"},
        "command": "rung train runs/20261120-101500-default-0/recipe.toml",
        "test_command": "rung test runs/20261120-101500-default-0",
        "files": {"recipe.toml": "the whole recipe"},
    }
    return ReportInput(**(values | more))


@pytest.fixture
def make_report() -> MakeReport:
    """Return the function that makes a report's input of predictions and a log."""
    return report_of


@pytest.fixture
def answered() -> Callable[..., Predictions]:
    """Return the function that makes predictions with a wanted confusion table."""
    return answers_of


@pytest.fixture
def log() -> Callable[..., list[dict[str, Any]]]:
    """Return the function that makes the rows of a training log."""
    return log_of


@pytest.fixture(scope="session")
def digits_report() -> ReportInput:
    """A run as real as it gets in two seconds: the digits, answers of a linear model, a log of 12 epochs that over-fits, the test part sealed."""
    from sklearn.datasets import load_digits
    from sklearn.linear_model import RidgeClassifier

    digits = load_digits()
    pixels = np.rint(digits.data * 255 / 16).astype(np.uint8)
    order = np.random.default_rng(0).permutation(len(pixels))
    parts = {"train": order[:1080], "validation": order[1080:1438]}
    model = RidgeClassifier(alpha=1.0).fit(pixels[parts["train"]] / 255, digits.target[parts["train"]])
    classes = tuple(str(digit) for digit in range(10))
    predictions = {
        part: Predictions(part, classes, model.decision_function(pixels[rows] / 255).astype(np.float32) * 5, digits.target[rows].astype(np.int64), rows, rows)
        for part, rows in parts.items()
    }
    images = pixels.reshape(-1, 8, 8, 1)
    chosen = parts["train"][[int(np.flatnonzero(digits.target[parts["train"]] == k)[0]) for k in range(10)]]
    draws = tuple(np.roll(images[chosen], shift, axis=(1, 2)) for shift in ((0, 1), (1, 0), (-1, -1)))
    validation = [0.92, 0.56, 0.42, 0.345, 0.301, 0.274, 0.2633, 0.270, 0.286, 0.310, 0.335, 0.368]
    train = [1.6, 0.82, 0.55, 0.41, 0.33, 0.27, 0.225, 0.19, 0.162, 0.14, 0.121, 0.106]
    accuracy = [0.78, 0.86, 0.891, 0.911, 0.922, 0.930, 0.933, 0.930, 0.933, 0.933, 0.930, 0.930]
    shown = worst(predictions["validation"], 16)
    report = report_of(
        predictions,
        log_of(validation, train, accuracy),
        recipe={
            "name": "digits_cnn",
            "why": "Is a small network enough for digits?",
            "notes": "Second try: shifts of one pixel.\nNext: a wider dense layer.",
            "data": {"sources": ["digits"]},
            "augment": {"shift_pixels": 1.0},
            "network": {"kind": "cnn", "filters": [16], "batch_norm": "before_activation", "dense": [64], "dense_dropout": 0.3},
            "train": {"epochs": 12, "learning_rate": 0.001},
            "compute": {"threads": 1, "device": "cpu"},
        },
        samples=Samples(images[chosen], draws, classes),
        mistakes=[WrongAnswer(images[a.row], a.true, a.answered, a.confidence, a.true_confidence, f"digits#{a.row}") for a in shown],
    )
    counts = {name: int((digits.target == k).sum()) for k, name in enumerate(classes)}
    data = dict(report.data) | {"name": "digits", "counts": {"train": counts}, "hash": "6a" * 32}
    return ReportInput(**{name: getattr(report, name) for name in report.__dataclass_fields__} | {"data": data})
