"""Whether two networks make the same errors, or only as many."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rung.evaluate.predictions import Predictions

Shares = npt.NDArray[np.float64]


@dataclass(frozen=True)
class SameErrors:
    """What two networks get wrong on the same images; of several runs a side, means over all pairs of runs, so that counts may be fractions.

    both_right, first_only (wrong in the first alone), second_only, both_wrong: images. by_accuracy: images that both would get wrong if errors fell anywhere;
    by_class: if they fell anywhere within each class. same_answer: share of `both_wrong` that got the same wrong answer, None where there are none.
    consistency: error consistency, 0: as by_accuracy, 1: the same images (Geirhos, Meding and Wichmann, arXiv 2006.16736); None where one makes no error, or
    only errors.
    overlap: consistency as a share of the largest that the two accuracies allow, so that 1 means: whatever the better one gets wrong the other does too.
    mcnemar: exact p-value of McNemar's test that both err equally often; None where a side has several runs, or no image tells the two apart.
    within: the overlap between runs of one recipe, of the first side and of the second; None for a side that has one run, or of which it is not known.
    """

    both_right: float
    first_only: float
    second_only: float
    both_wrong: float
    by_accuracy: float
    by_class: float
    same_answer: float | None
    consistency: float | None
    overlap: float | None
    mcnemar: float | None
    within: tuple[float | None, float | None]


def same_errors(first: Sequence[Predictions], second: Sequence[Predictions]) -> SameErrors:
    """Compare the errors of two sides that answered the same images in the same order."""
    labels, classes = first[0].labels, len(first[0].classes)
    wrong = [np.stack([run.answers() != labels for run in side]).astype(np.float64) for side in (first, second)]
    pairs = [[_counts(a, b) for b in wrong[1]] for a in wrong[0]]
    both_right, first_only, second_only, both_wrong = np.mean(pairs, axis=(0, 1)).tolist()
    images = len(labels)
    of_class = np.maximum(np.bincount(labels, minlength=classes), 1)
    rates = [np.bincount(labels, side.mean(axis=0), classes) / of_class for side in wrong]
    single = len(first) == len(second) == 1
    return SameErrors(
        both_right=both_right,
        first_only=first_only,
        second_only=second_only,
        both_wrong=both_wrong,
        by_accuracy=float(wrong[0].mean() * wrong[1].mean() * images),
        by_class=float((rates[0] * rates[1] * np.bincount(labels, minlength=classes)).sum()),
        same_answer=_same_answer(first, second),
        consistency=_mean([consistency(a, b) for a in wrong[0] for b in wrong[1]]),
        overlap=_mean([overlap(a, b) for a in wrong[0] for b in wrong[1]]),
        mcnemar=mcnemar(round(first_only), round(second_only)) if single else None,
        within=(_within(wrong[0]), _within(wrong[1])),
    )


def consistency(first: Shares, second: Shares) -> float | None:
    """Return Cohen's kappa of being right or wrong, from 1.0 for each wrong answer, (N,); None where a side is all right or all wrong."""
    share, other = float(first.mean()), float(second.mean())
    if share in (0.0, 1.0) or other in (0.0, 1.0):
        return None
    expected = share * other + (1 - share) * (1 - other)
    return (float((first == second).mean()) - expected) / (1 - expected)


def overlap(first: Shares, second: Shares) -> float | None:
    """Return how far both err on the same images: 0 as by chance, 1 as often as their accuracies allow; None where a side is all right or all wrong."""
    share, other = float(first.mean()), float(second.mean())
    if share in (0.0, 1.0) or other in (0.0, 1.0):
        return None
    expected = share * other
    return (float((first * second).mean()) - expected) / (min(share, other) - expected)


def mcnemar(first_only: int, second_only: int) -> float | None:
    """Return the exact two-sided p-value that an image wrong in one alone is as likely wrong in either; None without such images."""
    from scipy.special import bdtr

    count = first_only + second_only
    return min(1.0, 2 * float(bdtr(min(first_only, second_only), count, 0.5))) if count else None


def _counts(first: Shares, second: Shares) -> tuple[float, float, float, float]:
    both = float((first * second).sum())
    return len(first) - float(first.sum() + second.sum()) + both, float(first.sum()) - both, float(second.sum()) - both, both


def _same_answer(first: Sequence[Predictions], second: Sequence[Predictions]) -> float | None:
    labels, agreed, both = first[0].labels, 0, 0
    for a in (run.answers() for run in first):
        for b in (run.answers() for run in second):
            wrong = (a != labels) & (b != labels)
            both += int(wrong.sum())
            agreed += int((a[wrong] == b[wrong]).sum())
    return agreed / both if both else None


def _within(side: Shares) -> float | None:
    return _mean([overlap(side[i], side[k]) for i in range(len(side)) for k in range(i)])


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
