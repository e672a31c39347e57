"""What a network answered on one part of the data: saved once, the source of every score, plot and comparison."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


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

    def probabilities(self) -> npt.NDArray[np.float64]:
        """Return the softmax of the logits, float64 (N,K); rows sum to 1."""
        shifted = self.logits.astype(np.float64) - self.logits.max(axis=1, keepdims=True)
        exponents = np.exp(shifted)
        return exponents / exponents.sum(axis=1, keepdims=True)

    def answers(self) -> npt.NDArray[np.int64]:
        """Return the class of the highest logit, int64 (N,)."""
        return self.logits.argmax(axis=1)
