"""Everything a report is made from, as one frozen record of plain parts that any run folder can fill."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from rung.evaluate.ensemble import Members
from rung.evaluate.predictions import Predictions
from rung.recipe import Recipe

if TYPE_CHECKING:
    from rung.explain.architecture import LayerRow


@dataclass(frozen=True)
class Samples:
    """The same training images before and after augmentation.

    before: uint8 (M,H,W,C); after: a few draws, each uint8 (M,h,w,C), image for image those of `before`; none if nothing is augmented.
    classes: M class names.
    """

    before: npt.NDArray[np.uint8]
    after: tuple[npt.NDArray[np.uint8], ...]
    classes: tuple[str, ...]


@dataclass(frozen=True)
class WrongAnswer:
    """One wrong answer: uint8 (H,W,C) image, class names, probability 0..1 of the answered and of the true class, where the image came from."""

    image: npt.NDArray[np.uint8]
    true: str
    answered: str
    confidence: float
    true_confidence: float
    source: str = ""


@dataclass(frozen=True)
class ReportInput:
    """One run, as its folder tells it.

    recipe: as it ran, with every value that machine or data decided; run_id: the folder's name.
    data: DataReport.to_json(); splits_how: in words how the parts were made.
    rows: metrics.jsonl, one row an epoch; times: times.jsonl; setup_s: seconds before the first step, None if unknown.
    scores: {"train" | "validation" | "test": Scores.to_json()}; test is there only once it was opened.
    predictions: the same parts, the source of every figure.
    environment: versions and machine, nested at most once; layers, picture, norm_memory: explain.architecture.
    samples: before and after augmentation; mistakes: the worst wrong answers of `shown_part`, worst first.
    opening: the how-manieth opening of this test set the test scores come from; None: sealed.
    kept: {"epoch": which weights are scored, "how": such as "best by validation_loss", "stopped": why the training ended}.
    command: does the run again; test_command: opens the test part.
    files: {name in the run folder: what it is}. members: the runs that this one is the mean of, None for one that was trained.
    """

    recipe: Recipe
    run_id: str
    data: Mapping[str, Any]
    splits_how: str
    rows: Sequence[Mapping[str, Any]]
    times: Sequence[Mapping[str, Any]]
    setup_s: float | None
    scores: Mapping[str, Mapping[str, Any]]
    predictions: Mapping[str, Predictions]
    environment: Mapping[str, Any]
    layers: Sequence[LayerRow]
    picture: str
    samples: Samples | None
    mistakes: Sequence[WrongAnswer]
    opening: int | None
    kept: Mapping[str, Any]
    command: str
    norm_memory: float | None = None
    test_command: str = ""
    files: Mapping[str, str] | None = None
    members: Members | None = None

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names, in the order of the logits."""
        return next(iter(self.predictions.values())).classes

    @property
    def shown_part(self) -> str:
        """The part that headline, figures and mistakes are measured on: test once opened, else validation, else train."""
        return next(part for part in ("test", "validation", "train") if part in self.scores)

    def part_counts(self) -> dict[str, dict[str, int]]:
        """Return {part: {class: images}}: the answered parts by their labels, a sealed test part by what the others leave of the data."""
        total = {name: sum(counts.get(name, 0) for counts in self.data["counts"].values()) for name in self.classes}
        counted: dict[str, dict[str, int]] = {}
        for part, predicted in self.predictions.items():
            numbers = np.bincount(predicted.labels, minlength=len(self.classes)).tolist()
            counted[part] = dict(zip(self.classes, numbers, strict=True))
        if "test" not in counted:
            sealed = {name: total[name] - sum(counts[name] for counts in counted.values()) for name in self.classes}
            if any(sealed.values()):
                counted["test"] = sealed
        return counted

    @property
    def sealed_images(self) -> int:
        """How many images lie in the sealed test part; 0 if it was opened or there is none."""
        return 0 if "test" in self.scores else sum(self.part_counts().get("test", {}).values())
