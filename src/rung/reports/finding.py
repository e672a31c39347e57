"""The record of one finding, and the headings of all kinds there are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

LABELS: Final = {
    "verdict": "Result",
    "openings": "Test set",
    "members": "Ensemble",
    "start": "Begun from",
    "scored_weights": "Scored weights",
    "batch_norm": "Batch norm",
    "gap": "Train and validation",
    "test_gap": "Validation and test",
    "overfit": "Over-fitting",
    "diverged": "Diverged",
    "ended_early": "Ended early",
    "plateau": "Plateau",
    "improving": "Still improving",
    "training_mode": "Training mode",
    "loss": "Loss",
    "chance": "Against guessing",
    "never_answered": "Never answered",
    "above_average": "Above average",
    "below_average": "Below average",
    "categories": "Categories",
    "classes_alike": "Classes alike",
    "confusions": "Confusions",
    "confident_mistakes": "Sure and wrong",
    "calibration": "Confidence",
    "imbalance": "Uneven classes",
    "data": "Files",
    "copies": "Near-duplicates",
}


@dataclass(frozen=True)
class Finding:
    """One sentence or two, with the numbers they were made from; kind: a key of LABELS."""

    kind: str
    sentence: str
    numbers: Mapping[str, Any]
